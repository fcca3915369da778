import { describe, expect, test } from "bun:test"
import { makeHost } from "../../src/host/host.ts"
import type { HostApi, SendSegment, SocketId } from "../../src/host/types.ts"
import { copyTo } from "../../src/tcp/sendQueue.ts"
import { defaultSettings, type TcpSettings } from "../../src/tcp/settings.ts"
import { defaultSocketOptions } from "../../src/tcp/tcb.ts"
import { type IpAddress, type MacAddress, UNSPECIFIED4 } from "../../src/wire/address.ts"
import { IPV4_HEADER, PROTOCOL_TCP, writeIpv4 } from "../../src/wire/ipv4.ts"
import { TCP_HEADER, writeTcpHeader } from "../../src/wire/tcp.ts"
import { optionsLength } from "../../src/wire/tcpOptionLayout.ts"
import { EMPTY, SYN } from "../../src/wire/tcpSegment.ts"
import { A, B, SECOND } from "./lab.ts"

/** 1 Gbit/s, and 100 ms there and back: 12.5 MB are on their way when it is full. */
const BITS_PER_MICRO = 1000
const ONE_WAY = 50_000
/** What leaves at once, as for a device that cuts segments: fewer steps for the test. */
const BURST = 43 * 1448

interface End {
  readonly host: HostApi
  /** When the wire is free again. */
  free: number
  readonly arriving: Array<{ readonly at: number; readonly bytes: Uint8Array }>
}

const end = (address: IpAddress, secret: number, settings: Partial<TcpSettings>): End => ({
  host: makeHost({
    interfaces: [
      {
        name: "test0",
        mac: 0 as MacAddress,
        layer: "ip",
        mtu: 1500,
        burst: BURST,
        addresses: [{ address, prefixLength: 24 }],
      },
    ],
    routes: [],
    settings: { ...defaultSettings, ...settings },
    secret: new Uint8Array(32).fill(secret),
  }),
  free: 0,
  arriving: [],
})

const packet = ({ segment, source, destination, sourcePort, destinationPort, ttl }: SendSegment): Uint8Array => {
  const { seq, ack, flags, wnd, up, options, queue, length } = segment
  const tcpLength = TCP_HEADER + optionsLength(options, "linux") + length
  const bytes = new Uint8Array(IPV4_HEADER + tcpLength)
  writeIpv4(bytes, 0, {
    source,
    destination,
    payloadLength: tcpLength,
    protocol: PROTOCOL_TCP,
    ttl,
    tos: 0,
    identification: 0,
    dontFragment: true,
    moreFragments: false,
    fragmentOffset: 0,
    options: EMPTY,
  })
  const header = { sourcePort, destinationPort, seq, ack, flags, wnd, up, options }
  const at = IPV4_HEADER + writeTcpHeader(bytes, IPV4_HEADER, header, "linux")
  if (queue !== undefined) copyTo(queue, (seq + ((flags & SYN) !== 0 ? 1 : 0)) >>> 0, length, bytes, at)
  return bytes
}

/** A transfer for so long: octets read in each second, and the receiver at the end. */
const transfer = (seconds: number, settings: Partial<TcpSettings> = {}, back = false) => {
  const a = end(A, 1, settings)
  const b = end(B, 2, settings)
  let now = SECOND
  const options = defaultSocketOptions
  const listener = b.host.listen({ address: UNSPECIFIED4, port: 7, backlog: 8, options }, now)
  const client = a.host.connect({ remote: { address: B, port: 7 }, local: {}, options }, now)
  if (typeof listener !== "number" || typeof client !== "number") throw new Error("no sockets")
  let server: SocketId | undefined
  const chunk = new Uint8Array(1 << 20)
  const perSecond: Array<number> = []

  const send = (host: HostApi, socket: SocketId): void => {
    for (;;) {
      const room = host.room(socket)
      if (room === 0) return
      const taken = host.write(socket, room < chunk.length ? chunk.subarray(0, room) : chunk, now)
      if (typeof taken !== "number" || taken === 0) return
    }
  }
  const read = (host: HostApi, socket: SocketId): void => {
    const second = Math.floor(now / SECOND) - 1
    for (;;) {
      const bytes = host.read(socket, 1 << 22, now)
      if (!(bytes instanceof Uint8Array)) return
      perSecond[second] = (perSecond[second] ?? 0) + bytes.length
    }
  }
  const turn = (from: End, to: End): void => {
    while ((from.arriving[0]?.at ?? Number.POSITIVE_INFINITY) <= now) {
      const bytes = from.arriving.shift()?.bytes ?? EMPTY
      from.host.frame(0, bytes, 0, bytes.length, true, now)
    }
    from.host.advance(now)
    server ??= b.host.accept(listener)
    const [sender, receiver] = back ? [server, client] : [client, server]
    if (sender !== undefined && from === (back ? b : a)) send(from.host, sender)
    if (receiver !== undefined && from === (back ? a : b)) read(from.host, receiver)
    from.host.flush(now)
    for (const effect of from.host.take()) {
      if (effect._tag !== "SendSegment") continue
      const bytes = packet(effect)
      from.free = Math.max(from.free, now) + (bytes.length * 8) / BITS_PER_MICRO
      to.arriving.push({ at: from.free + ONE_WAY, bytes })
    }
  }

  const stop = now + seconds * SECOND
  while (now < stop) {
    turn(a, b)
    turn(b, a)
    const next = [a, b].flatMap(({ host, arriving }) => {
      const timer = host.nextDeadline()
      return [...(timer >= 0 ? [timer] : []), ...(arriving[0] === undefined ? [] : [arriving[0].at])]
    })
    now = Math.max(now + 1, Math.min(...next))
  }
  const receiver = back ? a.host.status(client) : b.host.status(server ?? client)
  if (receiver === undefined || !("rcv" in receiver.tcb)) throw new Error("no receiver")
  return { perSecond, tcb: receiver.tcb }
}

const MEGA = 1_000_000

describe("1 Gbit/s at 100 ms", () => {
  test.each([
    ["from the client", false],
    ["from the server", true],
  ] as const)("no setting, %s: the windows grow until the pipe is full", (_, back) => {
    const { perSecond, tcb } = transfer(4, {}, back)
    // 125 MB less the headers.
    expect(perSecond.at(-1)).toBeGreaterThan(115 * MEGA)
    expect(tcb.rcv.buf).toBeGreaterThan(12.5 * MEGA)
    // Known by the receiver though it sends nothing: 100 ms and what waits in the sender's queue.
    expect(tcb.drs.rtt).toBeGreaterThanOrEqual(100_000)
    expect(tcb.drs.rtt).toBeLessThan(300_000)
  })

  test("receive memory is accounted: the limit grows until the pipe is full, and nothing waits at the end", () => {
    const { perSecond, tcb } = transfer(4, { tcpRcvbufTruesize: true })
    expect(perSecond.at(-1)).toBeGreaterThan(115 * MEGA)
    expect(tcb.drs.memory?.rcvbuf).toBeWithin(12.5 * MEGA, defaultSettings.tcpRmem[2] + 1)
    expect(tcb.drs.memory).toMatchObject({ alloc: 0, queue: [], ahead: [] })
  })

  test("no timestamps: the trip is measured by how long a window takes", () => {
    const { perSecond, tcb } = transfer(4, { tcpTimestamps: false })
    expect(tcb.drs.rtt).toBeGreaterThanOrEqual(100_000)
    expect(perSecond.at(-1)).toBeGreaterThan(115 * MEGA)
  })

  test("Linux's default of 6 MiB: half of it is window, which is 240 Mbit/s", () => {
    const { perSecond, tcb } = transfer(3, { tcpRmem: [4096, 131072, 6291456] })
    expect(tcb.rcv.buf).toBe(6291456 / 2)
    expect(perSecond.at(-1)).toBeWithin(27 * MEGA, 32 * MEGA)
  })

  test("tcpModerateRcvbuf off: the window stays, and with it 5 Mbit/s", () => {
    const { perSecond, tcb } = transfer(3, { tcpModerateRcvbuf: false })
    expect(tcb.rcv.buf).toBe(65_536)
    expect(perSecond.at(-1)).toBeLessThan(0.7 * MEGA)
  })
})
