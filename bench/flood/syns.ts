import { heapStats } from "bun:jsc"
import { type Device, noCounters } from "../../src/device/device.ts"
import { encodeSegment } from "../../src/host/encode.ts"
import { makeHost } from "../../src/host/host.ts"
import type { HostApi, HostConfig, HostEffect, SendSegment, SocketId } from "../../src/host/types.ts"
import { defaultSettings, type TcpSettings } from "../../src/tcp/settings.ts"
import { defaultSocketOptions } from "../../src/tcp/tcb.ts"
import { ipv4, type MacAddress, UNSPECIFIED4 } from "../../src/wire/address.ts"
import { IPV4_HEADER, PROTOCOL_TCP, writeIpv4 } from "../../src/wire/ipv4.ts"
import { encodeTcp } from "../../src/wire/tcp.ts"
import { ACK, EMPTY, NO_OPTIONS } from "../../src/wire/tcpSegment.ts"
import type { Case } from "../measure.ts"
import { Spoofer } from "./spoof.ts"

/** What one SYN costs a server, from its frame to the SYN-ACK in the device's memory. */

const SERVER = ipv4(0xc6120001)
const MAC = 0x02_00_00_00_00_01 as MacAddress
const PORT = 80
/** SYNs of one pass, and of one batch: what a listener handles in a turn. */
const FRAMES = 2000
const BATCH = 100
const START = 1_000_000

export const synCases = (): ReadonlyArray<Case> => [
  answered("SYN: a half-open request, SYN-ACK", { somaxconn: 1 << 20 }, "SYN-ACKs"),
  answered("SYN: a cookie, nothing kept", { tcpSyncookies: 2 }, "SYN-ACKs"),
  answered("SYN: dropped, SYN queue full, no cookies", { tcpSyncookies: 0, somaxconn: 0 }, "silence"),
  forged(),
]

/** Octets that a half-open request keeps on the heap: that of `count` of them, divided. */
export const octetsPerRequest = (count: number): number => {
  const server = new Server({ somaxconn: 1 << 20 })
  const spoofer = spoofing()
  const before = held()
  for (let n = 0; n < count; n++) {
    server.frame(spoofer.frame())
    if (n % BATCH === BATCH - 1) server.end(START)
  }
  server.end(START)
  const octets = held() - before
  // Now and then two sources are the same.
  if (server.requests < count * 0.999) throw new Error(`${server.requests} requests instead of ${count}`)
  return octets / server.requests
}

/** Made by the requests themselves, and by what finds and times them. */
const held = (): number => {
  Bun.gc(true)
  Bun.gc(true)
  // Array buffers are in it.
  return heapStats().heapSize
}

const answered = (name: string, settings: Partial<TcpSettings>, expected: "SYN-ACKs" | "silence"): Case => {
  const spoofer = spoofing()
  const frames: Array<Uint8Array> = []
  let server = new Server(settings)
  return {
    name,
    per: "SYN",
    prepare: () => {
      server = new Server(settings)
      // A queue without room still takes one.
      if (expected === "silence") server.handle([spoofer.frame()])
      for (let n = 0; n < FRAMES; n++) frames[n] = spoofer.frame()
    },
    run: () => {
      const sent = server.handle(frames)
      if (sent !== (expected === "silence" ? 0 : FRAMES)) throw new Error(`${name}: ${sent} SYN-ACKs`)
      return FRAMES
    },
  }
}

/** ACKs that claim to bring a cookie back. */
const forged = (): Case => {
  const server = new Server({ tcpSyncookies: 2 })
  const frames = Array.from({ length: FRAMES }, (_, n) => ackFrame(n))
  return {
    name: "ACK: a forged cookie, RST",
    per: "ACK",
    prepare: () => server.handle([spoofing().frame()]),
    run: () => {
      server.handle(frames)
      return FRAMES
    },
  }
}

const ackFrame = (n: number): Uint8Array => {
  const out = new Uint8Array(IPV4_HEADER + 20)
  const source = ipv4(0xc6120100 + n)
  const segment = {
    seq: Math.imul(n, 0x9e3779b1) >>> 0,
    ack: Math.imul(n, 0x85ebca6b) >>> 0,
    flags: ACK,
    wnd: 1000,
    up: 0,
    options: NO_OPTIONS,
    payload: EMPTY,
  }
  const packet = { source, destination: SERVER, sourcePort: 1024 + (n & 0xfff), destinationPort: PORT, segment }
  const payloadLength = encodeTcp(out, IPV4_HEADER, packet, "linux")
  const { destination } = packet
  writeIpv4(out, 0, {
    source,
    destination,
    protocol: PROTOCOL_TCP,
    ttl: 64,
    tos: 0,
    identification: n & 0xffff,
    dontFragment: true,
    moreFragments: false,
    fragmentOffset: 0,
    options: EMPTY,
    payloadLength,
  })
  return out
}

const ETHERNET = 14
const spoofing = (): { readonly frame: () => Uint8Array } => {
  const spoofer = new Spoofer(MAC, MAC, { address: SERVER, port: PORT })
  return { frame: () => spoofer.frame().subarray(ETHERNET) }
}

/** A host with one listener on a link without addresses, and a device that forgets what it is given. */
class Server {
  private readonly host: HostApi
  private readonly listener: SocketId
  private readonly device = nowhere()

  constructor(settings: Partial<TcpSettings>) {
    this.host = makeHost(configOf({ ...defaultSettings, ...settings }))
    const call = { address: UNSPECIFIED4, port: PORT, backlog: 1 << 20, options: defaultSocketOptions }
    const listener = this.host.listen(call, START)
    if (typeof listener !== "number") throw new Error(listener.why)
    this.listener = listener
  }

  get requests(): number {
    const { tcb } = this.host.status(this.listener) ?? {}
    return tcb?._tag === "LISTEN" ? tcb.requests : 0
  }

  frame(bytes: Uint8Array): void {
    this.host.frame(0, bytes, 0, bytes.length, false, START)
  }

  handle(frames: ReadonlyArray<Uint8Array>): number {
    let sent = 0
    for (let from = 0; from < frames.length; from += BATCH) {
      for (let n = from; n < Math.min(frames.length, from + BATCH); n++) {
        const frame = frames[n]
        if (frame !== undefined) this.frame(frame)
      }
      sent += this.end(START)
    }
    return sent
  }

  /** The end of a batch; how many segments it sent. */
  end(now: number): number {
    this.host.flush(now)
    let sent = 0
    for (const effect of this.host.take()) if (isSegment(effect)) sent += encodeSegment(this.device, "linux", effect)
    return sent
  }
}

const isSegment = (effect: HostEffect): effect is SendSegment => effect._tag === "SendSegment"

const nowhere = (): Device => {
  const memory = new Uint8Array(2048)
  return {
    name: "nowhere",
    mac: MAC,
    capabilities: { mtu: 1500, layer: "ip", checksumOffload: false, segmentationOffload: 0, framesStay: false },
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

const configOf = (settings: TcpSettings): HostConfig => ({
  interfaces: [
    { name: "flood0", mac: MAC, layer: "ip", mtu: 1500, burst: 0, addresses: [{ address: SERVER, prefixLength: 15 }] },
  ],
  routes: [],
  settings,
  secret: new Uint8Array(32).fill(1),
})
