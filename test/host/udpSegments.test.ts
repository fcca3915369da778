import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import type { SocketId } from "../../src/host/types.ts"
import { MAX_SEGMENTS } from "../../src/host/udp/segments.ts"
import { defaultUdpOptions, type UdpOptions } from "../../src/host/udp/types.ts"
import { UNSPECIFIED4, UNSPECIFIED6 } from "../../src/wire/address.ts"
import { A, A6, B, B6, digest, Pair, pattern } from "./lab.ts"

/** Two hosts that know each other, and a socket on each. */
const scene = (family: 4 | 6, options: Partial<UdpOptions> = {}) => {
  const six = { prefixLength: 64, iface: { dadTransmits: 0 } }
  const pair = family === 4 ? new Pair() : new Pair({ address: A6, ...six }, { address: B6, ...six })
  const to = { address: family === 4 ? B : B6, port: 7 }
  const server = pair.b.host.udp.socket(defaultUdpOptions)
  pair.b.host.udp.bind(server, { address: family === 4 ? UNSPECIFIED4 : UNSPECIFIED6, port: 7 })
  const client = pair.a.host.udp.socket({ ...defaultUdpOptions, ...options })
  pair.a.host.udp.bind(client, { address: family === 4 ? A : A6, port: 4000 })
  pair.a.host.udp.send(client, new Uint8Array(1), to, pair.a.now)
  pair.settle()
  pair.b.host.udp.receive(server)
  const send = (payload: Uint8Array, gsoSize?: number): string | undefined => {
    const refusal = pair.a.host.udp.send(client, payload, to, pair.a.now, gsoSize === undefined ? {} : { gsoSize })
    return refusal === undefined ? undefined : `${refusal.errno} ${refusal.why}`
  }
  return { pair, client, server, send }
}

const sizes = (pair: Pair, server: SocketId): ReadonlyArray<number> => {
  pair.settle()
  const all: Array<number> = []
  for (;;) {
    const datagram = pair.b.host.udp.receive(server)
    if (typeof datagram === "string" || "errno" in datagram) return all
    all.push(datagram.payload.length)
  }
}

const TOO_LONG = "EMSGSIZE Linux:udp_send_skb:segment-longer-than-the-path-takes"
const TOO_MANY = "EINVAL Linux:udp_send_skb:UDP_MAX_SEGMENTS"
const NO_SIZE = "EINVAL Linux:udp_lib_setsockopt:UDP_SEGMENT"

describe("what one send is given, cut into datagrams of a size (UDP_SEGMENT)", () => {
  for (const [what, length, gsoSize, expected] of [
    ["all of one size", 3000, 1000, [1000, 1000, 1000]],
    ["the last shorter", 2001, 1000, [1000, 1000, 1]],
    ["shorter than the size: one", 10, 1000, [10]],
    ["as long as the size: one", 1000, 1000, [1000]],
    ["nothing: one, of nothing", 0, 1000, [0]],
    ["as long as the path takes", 2944, 1472, [1472, 1472]],
    ["a size that the path does not take, of which there is not as much", 1472, 1473, [1472]],
    ["as many as can be", MAX_SEGMENTS, 1, new Array<number>(MAX_SEGMENTS).fill(1)],
    ["0: not cut", 1200, 0, [1200]],
    ["one octet longer than the path takes", 1473, 1473, TOO_LONG],
    ["one more than can be", MAX_SEGMENTS + 1, 1, TOO_MANY],
    ["longer than a datagram", 65_508, 1400, "EMSGSIZE RFC768:longer-than-a-datagram"],
    ["a size below 0", 10, -1, NO_SIZE],
    ["a size of more than 16 bits", 10, 65_536, NO_SIZE],
  ] as const) {
    test(`${what}: ${length} octets by ${gsoSize}`, () => {
      const { pair, server, send } = scene(4)
      const refused = send(pattern(length), gsoSize)
      expect(refused ?? sizes(pair, server)).toEqual(expected)
      // Some of a train is never sent.
      if (refused !== undefined) expect(sizes(pair, server)).toEqual([])
    })
  }

  test("by the socket's option, of which a send may differ", () => {
    const { pair, client, server, send } = scene(4, { gsoSize: 400 })
    send(pattern(1000))
    expect(sizes(pair, server)).toEqual([400, 400, 200])
    send(pattern(1000), 0)
    expect(sizes(pair, server)).toEqual([1000])
    send(pattern(1000), 500)
    expect(sizes(pair, server)).toEqual([500, 500])
    expect(pair.a.host.udp.setOptions(client, { gsoSize: 65_536 })).toMatchObject({ errno: "EINVAL" })
    pair.a.host.udp.setOptions(client, { gsoSize: 0 })
    send(pattern(1000))
    expect(sizes(pair, server)).toEqual([1000])
  })

  test("over IPv6 the header is longer", () => {
    const { pair, server, send } = scene(6)
    expect(send(pattern(2904), 1452)).toBeUndefined()
    expect(sizes(pair, server)).toEqual([1452, 1452])
    expect(send(pattern(2906), 1453)).toBe(TOO_LONG)
  })

  test("each datagram counts", () => {
    const { pair, server, send } = scene(4)
    const before = pair.a.counter("UdpOutDatagrams")
    send(pattern(2500), 1000)
    expect(sizes(pair, server)).toHaveLength(3)
    expect(pair.a.counter("UdpOutDatagrams") - before).toBe(3)
  })

  test("the same frames leave as of one send for each datagram", () => {
    fc.assert(
      fc.property(
        fc.constantFrom<4 | 6>(4, 6),
        fc.integer({ min: 1, max: 1452 }),
        fc.integer({ min: 0, max: 20_000 }),
        (family, gsoSize, length) => {
          const payload = pattern(Math.min(length, gsoSize * MAX_SEGMENTS), length)
          const framesOf = (work: (send: ReturnType<typeof scene>["send"]) => void) => {
            const { pair, send } = scene(family)
            pair.a.host.take()
            work(send)
            return pair.a.host
              .take()
              .map((effect) => (effect._tag === "SendFrame" ? digest(effect.bytes) : effect._tag))
          }
          const together = framesOf((send) => void send(payload, gsoSize))
          const apart = framesOf((send) => {
            for (let from = 0; from < Math.max(1, payload.length); from += gsoSize) {
              send(payload.subarray(from, from + gsoSize))
            }
          })
          expect(together).toEqual(apart)
          expect(together).toHaveLength(Math.max(1, Math.ceil(payload.length / gsoSize)))
        },
      ),
      { numRuns: 100 },
    )
  })
})
