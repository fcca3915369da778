import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { setU16 } from "../../src/wire/bytes.ts"
import { finish, sum } from "../../src/wire/checksum.ts"
import { ETHERNET_HEADER } from "../../src/wire/ethernet.ts"
import { IPV4_HEADER } from "../../src/wire/ipv4.ts"
import { finishTcp } from "../../src/wire/tcp.ts"
import { ACK, FIN, PSH, SYN } from "../../src/wire/tcpSegment.ts"
import { A, B, pattern, SECOND } from "./lab.ts"
import { brief, Stranger, segmentOf, type TcpFields, tcpFrame } from "./stranger.ts"

const FIRST = 1001

/** An accepted connection of a host whose frames stay, or do not. */
const connected = (framesStay: boolean) => {
  const stranger = new Stranger({ framesStay })
  stranger.introduce()
  const listener = stranger.host.listen(7)
  const { seq } = segmentOf(
    stranger.send(tcpFrame({ seq: FIRST - 1, flags: SYN, options: { mss: 1460, windowScale: 7 } }))[0],
  )
  const ack = (seq + 1) >>> 0
  stranger.tcp({ seq: FIRST, ack, flags: ACK })
  return { stranger, ack, socket: stranger.host.accept(listener) }
}

type Scene = ReturnType<typeof connected>

const octets = pattern(20_000)

/** Data of the stream from `at` on. */
const data = ({ ack }: Scene, at: number, length: number, more: Partial<TcpFields> = {}): Uint8Array =>
  tcpFrame({ seq: FIRST + at, ack, flags: ACK, payload: octets.subarray(at, at + length), ...more })

/** All frames in one batch; what the host answers. */
const batch = ({ stranger }: Scene, ...frames: ReadonlyArray<Uint8Array>): ReadonlyArray<string> => {
  for (const frame of frames) stranger.put(frame)
  return stranger.answers().map(brief)
}

/** How often the application was given something, and what. */
const chunks = ({ stranger, socket }: Scene): ReadonlyArray<number> => {
  const lengths: Array<number> = []
  for (;;) {
    const read = stranger.host.host.read(socket, 1 << 20, stranger.now)
    if (!(read instanceof Uint8Array)) return lengths
    lengths.push(read.length)
  }
}

describe("frames that stay", () => {
  test("five segments in order in one batch: one chunk, one ACK, the octets in order", () => {
    const scene = connected(true)
    const frames = [0, 1, 2, 3, 4].map((n) => data(scene, n * 1000, 1000))
    expect(batch(scene, ...frames)).toEqual(["<ACK>"])
    expect(scene.stranger.host.counter("InSegs")).toBe(2 + 5)
    expect(scene.stranger.host.readBytes(scene.socket)).toEqual(octets.slice(0, 5000))
  })

  const once: ReadonlyArray<readonly [string, (scene: Scene) => ReadonlyArray<Uint8Array>, ReadonlyArray<number>]> = [
    ["in order", (s) => [data(s, 0, 600), data(s, 600, 600)], [1200]],
    ["pushed in the middle", (s) => [data(s, 0, 600, { flags: ACK | PSH }), data(s, 600, 600)], [1200]],
    ["another window", (s) => [data(s, 0, 600), data(s, 600, 600, { wnd: 9 })], [1200]],
    ["another ACK", (s) => [data(s, 0, 600), data(s, 600, 600, { ack: s.ack - 1 })], [600, 600]],
    ["a hole", (s) => [data(s, 0, 600), data(s, 1200, 600)], [600]],
    ["a hole, and filled", (s) => [data(s, 600, 600), data(s, 0, 600)], [600, 600]],
    ["the same twice", (s) => [data(s, 0, 600), data(s, 0, 600)], [600]],
    ["FIN at the end", (s) => [data(s, 0, 600), data(s, 600, 600, { flags: ACK | FIN })], [600, 600]],
    [
      "an option that nobody knows",
      (s) => [data(s, 0, 600), data(s, 600, 600, { options: { unknown: [{ kind: 200, data: new Uint8Array(2) }] } })],
      [600, 600],
    ],
  ]
  test.each(once)("%s: the chunks that the application gets", (_, frames, expected) => {
    const scene = connected(true)
    batch(scene, ...frames(scene))
    expect(chunks(scene)).toEqual([...expected])
  })

  test("more than 64 KiB in one batch: trains of what an IP packet could hold", () => {
    const scene = connected(true)
    let seq = FIRST
    const send = (count: number): ReadonlyArray<number> => {
      batch(
        scene,
        ...Array.from({ length: count }, () => {
          const frame = tcpFrame({ seq, ack: scene.ack, flags: ACK, payload: pattern(1400) })
          seq += 1400
          return frame
        }),
      )
      scene.stranger.now += 10_000
      const lengths = chunks(scene)
      scene.stranger.answers()
      return lengths
    }
    // The window opens as the application reads.
    for (let round = 0; round < 4; round++) send(40)
    expect(send(50)).toEqual([46 * 1400, 4 * 1400])
  })

  test("segments out of order: a duplicate ACK for each, for the peer counts them", () => {
    const scene = connected(true)
    expect(batch(scene, data(scene, 1000, 500), data(scene, 1500, 500), data(scene, 2000, 500))).toEqual([
      "<ACK>",
      "<ACK>",
      "<ACK>",
    ])
  })

  test("a call between the frames and the flush: what waits is there", () => {
    const { stranger, socket, ack } = connected(true)
    const frame = tcpFrame({ seq: FIRST, ack, flags: ACK, payload: octets.subarray(0, 10) })
    stranger.host.host.frame(0, frame, 0, frame.length, false, stranger.now)
    expect(stranger.host.readBytes(socket).length).toBe(10)
  })
})

test("any segments in any batches: the same octets, states and ACK numbers as one by one", () => {
  const segment = fc.record({
    at: fc.nat(8).map((n) => n * 500),
    length: fc.constantFrom(0, 1, 500, 1000),
    flags: fc.constantFrom(ACK, ACK, ACK, ACK | PSH, ACK | FIN),
    old: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(fc.array(segment, { maxLength: 8 }), { maxLength: 6 }), (batches) => {
      const outcome = (framesStay: boolean): unknown => {
        const scene = connected(framesStay)
        const { stranger, socket, ack } = scene
        const said: Array<unknown> = []
        for (const segments of batches) {
          for (const { at, length, flags, old } of segments) {
            stranger.put(data(scene, at, length, { flags, ack: old ? (ack - 1) >>> 0 : ack }))
          }
          said.push(stranger.answers().map((seen) => segmentOf(seen).ack))
          said.push(stranger.host.state(socket), stranger.host.readBytes(socket))
        }
        stranger.wait(SECOND)
        return said
      }
      expect(outcome(true)).toEqual(outcome(false))
    }),
    { numRuns: 300 },
  )
}, 30_000)

/** One octet of a frame, from its first on, is not what it was; `repaired`: the checksums are right all the same. */
interface Damage {
  readonly at: number
  readonly xor: number
  readonly repaired: boolean
}

const damaged = (frame: Uint8Array, { at, xor, repaired }: Damage): Uint8Array => {
  const bytes = frame.slice()
  bytes[at] = (bytes[at] ?? 0) ^ xor
  if (!repaired) return bytes
  const tcp = ETHERNET_HEADER + IPV4_HEADER
  setU16(bytes, ETHERNET_HEADER + 10, 0)
  setU16(bytes, ETHERNET_HEADER + 10, finish(sum(bytes, ETHERNET_HEADER, IPV4_HEADER)))
  finishTcp(bytes, tcp, bytes.length - tcp, B, A)
  return bytes
}

test("headers that differ from the last frame's in any octet are seen as when each frame is parsed", () => {
  const headers = ETHERNET_HEADER + IPV4_HEADER + 20
  const damage: fc.Arbitrary<Damage> = fc.record({
    at: fc.nat(headers + 4),
    xor: fc.integer({ min: 1, max: 255 }),
    repaired: fc.boolean(),
  })
  const frames = fc.array(
    fc.record({ length: fc.constantFrom(1, 512, 1000), damage: fc.option(damage, { freq: 4 }) }),
    {
      maxLength: 8,
    },
  )
  fc.assert(
    fc.property(fc.array(frames, { maxLength: 4 }), (batches) => {
      const outcome = (framesStay: boolean): unknown => {
        const scene = connected(framesStay)
        const { stranger, socket } = scene
        const said: Array<unknown> = []
        let at = 0
        for (const batch of batches) {
          for (const { length, damage } of batch) {
            const frame = data(scene, at, length)
            stranger.put(damage === null ? frame : damaged(frame, damage))
            at += length
          }
          stranger.answers()
          said.push(stranger.host.state(socket), stranger.host.readBytes(socket))
        }
        const { InSegs, InErrs, InCsumErrors, IpInReceives, IpInHdrErrors, IpInAddrErrors, IpInDelivers } =
          stranger.host.host.counters
        return [said, InSegs, InErrs, InCsumErrors, IpInReceives, IpInHdrErrors, IpInAddrErrors, IpInDelivers]
      }
      expect(outcome(true)).toEqual(outcome(false))
    }),
    { numRuns: 150 },
  )
}, 30_000)

test("a frame that is marked on its way is not joined to one that is not", () => {
  const scene = connected(true)
  const marked = damaged(data(scene, 600, 600), { at: ETHERNET_HEADER + 1, xor: 3, repaired: true })
  batch(scene, data(scene, 0, 600), marked, data(scene, 1200, 600))
  expect(chunks(scene)).toEqual([600, 600, 600])
})
