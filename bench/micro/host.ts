import { type Device, noCounters } from "../../src/device/device.ts"
import { encodeSegment } from "../../src/host/encode.ts"
import { makeHost } from "../../src/host/host.ts"
import type { HostApi, HostEffect, SendSegment, SocketId } from "../../src/host/types.ts"
import { add } from "../../src/tcp/seq.ts"
import { defaultSettings } from "../../src/tcp/settings.ts"
import { defaultSocketOptions } from "../../src/tcp/tcb.ts"
import { NOT_ECT } from "../../src/wire/ecn.ts"
import { ETHERNET_HEADER, ETHERTYPE_ARP, writeEthernet } from "../../src/wire/ethernet.ts"
import { onlyTimestamps } from "../../src/wire/tcpOptions.ts"
import { ACK, EMPTY, NO_OPTIONS, PSH, type Segment, SYN } from "../../src/wire/tcpSegment.ts"
import type { Case } from "../measure.ts"
import { CLIENT_MAC, frameOf, SERVER_MAC } from "./codec.ts"
import { CLIENT, PAYLOAD, SECRET, SERVER, START } from "./scene.ts"

/** Frames of one pass, and of one batch: what a device brings between two flushes. */
const FRAMES = 1024
const BATCH = 32

const ARP_REQUEST = 1
const ARP_REPLY = 2

/** "The client is at CLIENT_MAC", and, of a request, "who has the server?" */
const arp = (operation: number): Uint8Array => {
  const out = new Uint8Array(ETHERNET_HEADER + 28)
  writeEthernet(out, 0, { destination: SERVER_MAC, source: CLIENT_MAC, etherType: ETHERTYPE_ARP })
  const view = new DataView(out.buffer, ETHERNET_HEADER)
  const words: ReadonlyArray<readonly [number, number]> = [
    [0, 0x0001_0800],
    [4, 0x0604_0000 | operation],
    [14, CLIENT.address.d],
    [24, SERVER.address.d],
  ]
  for (const [at, word] of words) view.setUint32(at, word)
  view.setUint32(8, CLIENT_MAC / 2 ** 16)
  view.setUint16(12, CLIENT_MAC % 2 ** 16)
  return out
}

const isSegment = (effect: HostEffect): effect is SendSegment => effect._tag === "SendSegment"

/** A host with one connection, whose peer is made by hand: the frames that it will send are known beforehand. */
class Peer {
  readonly host: HostApi
  readonly socket: SocketId
  #now = START
  #seq: number
  #ack: number
  #tick = 0

  constructor() {
    this.host = makeHost({
      interfaces: [
        {
          name: "bench",
          mac: SERVER_MAC,
          layer: "ethernet",
          mtu: 1500,
          burst: 0,
          addresses: [{ address: SERVER.address, prefixLength: 24 }],
        },
      ],
      routes: [],
      settings: defaultSettings,
      secret: SECRET,
    })
    const options = { ...defaultSocketOptions, noDelay: true, receiveBuffer: 1 << 22 }
    const call = { address: SERVER.address, port: SERVER.port, backlog: 16, options }
    const listener = this.host.listen(call, this.#now)
    if (typeof listener !== "number") throw new Error(listener.why)
    this.frame(arp(ARP_REQUEST))
    this.frame(this.#frameOf(1, 0, SYN, EMPTY, { ...NO_OPTIONS, mss: 1460, windowScale: 7, tsVal: 1, tsEcr: 0 }))
    const synAck = this.end().find(isSegment)
    if (synAck === undefined) throw new Error("no SYN-ACK")
    this.#seq = 2
    this.#ack = add(synAck.segment.seq, 1)
    this.frame(this.#frameOf(this.#seq, this.#ack, ACK, EMPTY))
    this.end()
    const accepted = this.host.accept(listener)
    if (accepted === undefined) throw new Error("nothing to accept")
    this.socket = accepted
  }

  get now(): number {
    return this.#now
  }

  frame(bytes: Uint8Array, vouched = false): void {
    this.host.frame(0, bytes, 0, bytes.length, vouched, this.#now)
  }

  /** End of a batch. */
  end(): ReadonlyArray<HostEffect> {
    this.#now += 50
    this.host.advance(this.#now)
    this.host.flush(this.#now)
    const effects = this.host.take()
    // After seconds of its time the host asks whether its neighbour is still there.
    if (effects.some(({ _tag }) => _tag === "SendFrame")) this.frame(arp(ARP_REPLY))
    return effects
  }

  /** The next frames with data; each acknowledges `echoed` octets more than the one before. */
  data(bytes: Uint8Array, frames: Array<Uint8Array>, echoed: number): void {
    for (let n = 0; n < FRAMES; n++) {
      if (n % BATCH === 0) this.#tick++
      frames[n] = this.#frameOf(this.#seq, this.#ack, ACK | PSH, bytes)
      this.#seq = add(this.#seq, bytes.length)
      this.#ack = add(this.#ack, echoed)
    }
  }

  #frameOf(seq: number, ack: number, flags: number, payload: Uint8Array, options = onlyTimestamps(1 + this.#tick, 0)) {
    const segment: Segment = { seq, ack, flags, wnd: 65535, up: 0, options, payload }
    return frameOf(segment)
  }
}

/** Bulk data into the host, read by an application: one ACK and one read a batch. */
const sink = (vouched: boolean): Case => {
  const peer = new Peer()
  const bytes = new Uint8Array(PAYLOAD).fill(0x61)
  const frames: Array<Uint8Array> = []
  return {
    name: `host: data in, read, ACK out${vouched ? ", sum vouched for" : ""}`,
    per: "segment",
    octets: PAYLOAD,
    prepare: () => peer.data(bytes, frames, 0),
    run: () => {
      let octets = 0
      for (let from = 0; from < FRAMES; from += BATCH) {
        for (let n = from; n < from + BATCH; n++) peer.frame(frames[n] ?? EMPTY, vouched)
        for (;;) {
          const read = peer.host.read(peer.socket, BATCH * PAYLOAD, peer.now)
          if (!(read instanceof Uint8Array)) break
          octets += read.length
        }
        peer.end()
      }
      if (octets !== FRAMES * PAYLOAD) throw new Error(`read ${octets} octets`)
      return FRAMES
    },
  }
}

/** One request of 64 octets a batch, answered with as many; the next request acknowledges the answer. */
const echo = (): Case => {
  const peer = new Peer()
  const bytes = new Uint8Array(64).fill(0x61)
  const frames: Array<Uint8Array> = []
  return {
    name: "host: request of 64 octets in, answer out",
    per: "request",
    prepare: () => peer.data(bytes, frames, bytes.length),
    run: () => {
      let answers = 0
      for (const frame of frames) {
        peer.frame(frame)
        const read = peer.host.read(peer.socket, 65536, peer.now)
        if (read instanceof Uint8Array) peer.host.write(peer.socket, read, peer.now)
        for (const effect of peer.end()) if (effect._tag === "SendSegment") answers++
      }
      if (answers !== FRAMES) throw new Error(`${answers} answers to ${FRAMES} requests`)
      return FRAMES
    },
  }
}

/** Transmit memory without a wire behind it. */
const noWire = (offload: boolean): Device => {
  const memory = new Uint8Array(new ArrayBuffer(70_000))
  return {
    name: "none",
    mac: SERVER_MAC,
    capabilities: {
      mtu: 1500,
      layer: "ethernet",
      checksumOffload: offload,
      segmentationOffload: offload ? 65000 : 0,
      framesStay: false,
    },
    counters: noCounters(),
    receive: () => 0,
    reserve: () => memory,
    commit: () => {},
    flush: () => {},
    wake: () => {},
    failure: () => undefined,
    close: () => {},
  }
}

const encode = (name: string, length: number, segmentSize: number, offload: boolean): Case => {
  const bytes = new Uint8Array(length).fill(0x61)
  const device = noWire(offload)
  const effect: SendSegment = {
    _tag: "SendSegment",
    interface: 0,
    nextHop: CLIENT_MAC,
    source: SERVER.address,
    destination: CLIENT.address,
    sourcePort: SERVER.port,
    destinationPort: CLIENT.port,
    ttl: 64,
    tos: 0,
    identification: 1,
    segment: {
      _tag: "Transmit",
      seq: 1,
      ack: 2,
      flags: ACK,
      wnd: 500,
      up: 0,
      options: onlyTimestamps(1, 2),
      queue: length === 0 ? undefined : { chunks: [{ seq: 1, bytes }], first: 0, last: 1, start: 1, length },
      length,
      segmentSize,
      ecn: NOT_ECT,
      why: "RFC9293-3.10.2:send",
    },
  }
  return {
    name,
    per: "effect",
    octets: length,
    run: () => {
      for (let n = 0; n < FRAMES; n++) encodeSegment(device, "linux", effect)
      return FRAMES
    },
  }
}

export const hostCases = (): ReadonlyArray<Case> => [
  sink(false),
  sink(true),
  echo(),
  encode("transmit: pure ACK into device memory", 0, 0, false),
  encode("transmit: 1448 octets, summed", PAYLOAD, PAYLOAD, false),
  encode("transmit: 1448 octets, sum left to the device", PAYLOAD, PAYLOAD, true),
  encode("transmit: 44 x 1448 octets in one, left to the device", 44 * PAYLOAD, PAYLOAD, true),
]
