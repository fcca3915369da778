import { makeHost } from "../../src/host/host.ts"
import type { HostApi, HostEffect, SendSegment, SocketId } from "../../src/host/types.ts"
import { add } from "../../src/tcp/seq.ts"
import { defaultSettings } from "../../src/tcp/settings.ts"
import { defaultSocketOptions } from "../../src/tcp/tcb.ts"
import { ETHERNET_HEADER, ETHERTYPE_ARP, writeEthernet } from "../../src/wire/ethernet.ts"
import { onlyTimestamps } from "../../src/wire/tcpOptions.ts"
import { ACK, EMPTY, NO_OPTIONS, PSH, type Segment, SYN } from "../../src/wire/tcpSegment.ts"
import { CLIENT_MAC, frameOf, SERVER_MAC } from "./codec.ts"
import { CLIENT, SECRET, SERVER, START } from "./scene.ts"

/** Frames of one pass, and of one batch: what a device brings between two flushes. */
export const FRAMES = 1024
export const BATCH = 32

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

export const isSegment = (effect: HostEffect): effect is SendSegment => effect._tag === "SendSegment"

/** A host with one connection, whose peer is made by hand: the frames that it will send are known beforehand. */
export class Peer {
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
    const options = { ...defaultSocketOptions, noDelay: true, receiveBuffer: 1 << 22, sendBuffer: 1 << 22 }
    const call = { address: SERVER.address, port: SERVER.port, backlog: 16, options }
    const listener = this.host.listen(call, this.#now)
    if (typeof listener !== "number") throw new Error(listener.why)
    this.frame(arp(ARP_REQUEST))
    this.frame(
      this.#frameOf(1, 0, SYN, EMPTY, {
        ...NO_OPTIONS,
        mss: 1460,
        windowScale: 7,
        sackPermitted: true,
        tsVal: 1,
        tsEcr: 0,
      }),
    )
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

  /** Frames without data: each acknowledges all before `acks[n]`. */
  acks(acks: ReadonlyArray<number>, frames: Array<Uint8Array>): void {
    for (const [n, ack] of acks.entries()) {
      if (n % BATCH === 0) this.#tick++
      frames[n] = this.#frameOf(this.#seq, ack, ACK, EMPTY)
    }
  }

  #frameOf(seq: number, ack: number, flags: number, payload: Uint8Array, options = onlyTimestamps(1 + this.#tick, 0)) {
    const segment: Segment = { seq, ack, flags, wnd: 65535, up: 0, options, payload }
    return frameOf(segment)
  }
}
