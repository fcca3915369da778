import { type Device, noCounters } from "../../src/device/device.ts"
import { encodeSegment } from "../../src/host/encode.ts"
import type { SendSegment } from "../../src/host/types.ts"
import { append, emptyQueue } from "../../src/tcp/sendQueue.ts"
import { add } from "../../src/tcp/seq.ts"
import { NOT_ECT } from "../../src/wire/ecn.ts"
import { onlyTimestamps } from "../../src/wire/tcpOptions.ts"
import { ACK, EMPTY } from "../../src/wire/tcpSegment.ts"
import { Crowd, memory, TURN } from "../growth/crowd.ts"
import type { Case } from "../measure.ts"
import { CLIENT_MAC, SERVER_MAC } from "./codec.ts"
import { BATCH, FRAMES, isSegment, Peer } from "./peer.ts"
import { CLIENT, PAYLOAD, SERVER } from "./scene.ts"

/** Bulk data into the host, read by an application: one ACK and one read a batch. */
export const sink = (vouched: boolean): Case => {
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
export const echo = (): Case => {
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

/** A bulk sender: ACKs of two segments each come in, the application writes on, as many segments leave. */
export const bulkSender = (): Case => {
  const peer = new Peer()
  const chunk = new Uint8Array(64 * 1024).fill(0x61)
  const frames: Array<Uint8Array> = []
  /** Where the segments end that are sent and not yet acknowledged. */
  const ends: Array<number> = []
  const batch = (): void => {
    while (peer.host.room(peer.socket) >= chunk.length) peer.host.write(peer.socket, chunk, peer.now)
    for (const effect of peer.end()) {
      if (isSegment(effect) && effect.segment.length > 0) ends.push(add(effect.segment.seq, effect.segment.length))
    }
  }
  /** One flush lets only so much out. */
  const batches = (): void => {
    do batch()
    while (peer.host.nextDeadline() === 0)
  }
  return {
    name: "host: bulk data out, ACK of two segments in",
    per: "ACK",
    octets: 2 * PAYLOAD,
    prepare: () => {
      batches()
      // Slow start opens the window until enough are out for a whole pass.
      for (let round = 0; ends.length < 2 * FRAMES; round++) {
        if (round > 10_000) throw new Error(`only ${ends.length} segments in flight`)
        const last = ends.at(-1)
        if (last !== undefined) {
          const acks: Array<Uint8Array> = []
          peer.acks([...ends.filter((_, n) => n % 2 === 1), last], acks)
          ends.length = 0
          for (const frame of acks) peer.frame(frame)
        }
        batches()
      }
      peer.acks(
        ends.splice(0, 2 * FRAMES).filter((_, n) => n % 2 === 1),
        frames,
      )
    },
    run: () => {
      for (let from = 0; from < FRAMES; from += BATCH) {
        for (let n = from; n < from + BATCH; n++) peer.frame(frames[n] ?? EMPTY)
        batch()
      }
      if (ends.length < FRAMES) throw new Error(`${ends.length} segments out for ${FRAMES} ACKs`)
      return FRAMES
    },
  }
}

/** Connections of one pass that are opened. */
const OPENED = 200

/** Handshakes with a listener, until the application has the connections. */
const accepts = (): Case => {
  const first = new Crowd({ peers: OPENED })
  const syns = Array.from({ length: OPENED }, (_, n) => first.syn(n, memory()))
  first.request(0, OPENED)
  // The same secret and the same time make the same initial sequence numbers in every crowd.
  const acks = Array.from({ length: OPENED }, (_, n) => first.frame(n, ACK, EMPTY, memory()))
  let crowd = first
  return {
    name: "host: SYN in, SYN-ACK out, ACK in, accept",
    per: "connection",
    prepare: () => {
      crowd = new Crowd({ peers: OPENED })
    },
    run: () => {
      for (const frames of [syns, acks]) {
        for (const [n, frame] of frames.entries()) {
          crowd.give(frame)
          if (n % TURN === TURN - 1) crowd.end()
        }
      }
      const accepted = crowd.acceptAll()
      if (accepted !== OPENED) throw new Error(`${accepted} connections of ${OPENED}`)
      return accepted
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
      queue: length === 0 ? undefined : append(emptyQueue(1), bytes),
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
  bulkSender(),
  accepts(),
  encode("transmit: pure ACK into device memory", 0, 0, false),
  encode("transmit: 1448 octets, summed", PAYLOAD, PAYLOAD, false),
  encode("transmit: 1448 octets, sum left to the device", PAYLOAD, PAYLOAD, true),
  encode("transmit: 44 x 1448 octets, cut and summed", 44 * PAYLOAD, PAYLOAD, false),
  encode("transmit: 44 x 1448 octets in one, left to the device", 44 * PAYLOAD, PAYLOAD, true),
]
