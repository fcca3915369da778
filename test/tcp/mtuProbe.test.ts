import { describe, expect, test } from "bun:test"
import type { TcpSettings } from "../../src/tcp/settings.ts"
import { next, open, sentRanges } from "./support/peer.ts"
import { connection, deadline, type Happened, MS, transmits, type WorldOptions } from "./support/world.ts"

/** RFC 4821: segments of 1024 octets to begin with on a link of 1500, so that the first probe has 1242. */
const BASE = 1024
const PROBE = 1242
const FIRST_WINDOW = 10

const probing = (settings: Partial<TcpSettings> = {}): WorldOptions => ({
  habits: { timestamps: false, mss: 1460, wnd: 65_535 },
  path: { mss: 1460 },
  socket: { sendBuffer: 1_000_000 },
  settings: { tcpMtuProbing: 2, tcpCongestionControl: "reno", ...settings },
})

const sending = (octets: number, settings?: Partial<TcpSettings>): Happened =>
  open(probing(settings), [[100, `SEND ${octets}`]])

const ack = (scene: Happened, at: number, octets: number, more = ""): Happened =>
  next(scene, at, `<ACK> seq=rcv.nxt ack=snd.una+${octets}${more}`)

const whys = (scene: Happened): ReadonlyArray<string> => transmits(scene.effects).map(({ why }) => why)
const counters = (scene: Happened): ReadonlyArray<string> =>
  scene.effects.flatMap((effect) => (effect._tag === "Count" ? [effect.counter] : []))

/** The probe is out, behind nine segments of the first window. */
const probed = (settings?: Partial<TcpSettings>): Happened => ack(sending(100_000, settings), 200, BASE)

describe("a probe (RFC 4821 section 7)", () => {
  test("the first window: segments of the base, and no probe from fewer than eleven of them", () => {
    const scene = sending(100_000)
    expect(sentRanges(scene)).toEqual(Array.from({ length: FIRST_WINDOW }, (_, n) => `${n * BASE}+${BASE}`))
  })

  test("the window is large enough: one segment half way to the link's size", () => {
    const scene = probed()
    expect(whys(scene)).toEqual(["RFC4821-7.5:probe"])
    expect(sentRanges(scene)).toEqual([`${FIRST_WINDOW * BASE}+${PROBE}`])
    expect(connection(scene).mtu).toMatchObject({ size: PROBE + 40, low: BASE + 40, high: 1500 })
  })

  test("no second one while the first is out", () => {
    expect(whys(ack(probed(), 210, BASE))).not.toContain("RFC4821-7.5:probe")
  })

  test.each([
    ["little to send", 12_000, {}, ""],
    ["SACK blocks of ours would go along", 100_000, {}, "out of order"],
    ["it is off", 100_000, { tcpMtuProbing: 0 }, ""],
    ["only for black holes", 100_000, { tcpMtuProbing: 1 }, ""],
    ["the link is no larger than the base", 100_000, { tcpBaseMss: 1456 }, ""],
  ] as const)("%s: none", (_, octets, settings, happening) => {
    let scene = sending(octets, settings)
    if (happening !== "") scene = next(scene, 150, "<ACK> seq=rcv.nxt+100 ack=snd.una data=10")
    const { mss } = connection(scene).snd
    expect(whys(ack(scene, 200, mss))).not.toContain("RFC4821-7.5:probe")
  })
})

describe("the answer", () => {
  const acknowledged = () => ack(probed(), 300, (FIRST_WINDOW - 1) * BASE + PROBE)

  test("acknowledged: segments have its size, and the search goes on above it", () => {
    const scene = acknowledged()
    expect(counters(scene)).toContain("TCPMTUPSuccess")
    expect(connection(scene).snd.mss).toBe(PROBE)
    expect(connection(scene).mtu).toMatchObject({ low: PROBE + 40, high: 1500 })
    expect(whys(scene)[0]).toBe("RFC4821-7.5:probe")
    expect(transmits(scene.effects)[0]?.length).toBe(((PROBE + 40 + 1500) >> 1) - 40)
  })

  /** All but the probe arrives, and what went after it. */
  const lost = (settings?: Partial<TcpSettings>): { readonly before: number; readonly scene: Happened } => {
    let scene = probed(settings)
    scene = ack(scene, 300, (FIRST_WINDOW - 1) * BASE)
    const before = connection(scene).cc.cwnd
    const from = `snd.una+${PROBE}`
    for (let n = 1; n <= 4; n++) scene = ack(scene, 300 + n, 0, ` sack=${from}..snd.una+${PROBE + n * BASE}`)
    return { before, scene }
  }

  test("it alone is lost: no congestion, smaller probes, and its octets again in segments of before", () => {
    const { before, scene } = lost()
    const { cc, recovery, mtu, snd } = connection(scene)
    expect(mtu).toMatchObject({ size: 0, low: BASE + 40, high: PROBE + 39 })
    expect(snd.mss).toBe(BASE)
    expect(cc.cwnd).toBeGreaterThanOrEqual(before)
    expect(recovery.undo).toBeUndefined()
    expect(counters(scene).filter((counter) => counter === "TCPSackRecovery")).toEqual([])
  })

  test("the search has ended: none, until tcpProbeInterval is over, for the path may have changed", () => {
    let { scene } = lost({ tcpProbeThreshold: 220 })
    scene = next(scene, 400, "<ACK> seq=rcv.nxt ack=snd.nxt")
    expect(connection(scene).mtu).toMatchObject({ low: BASE + 40, high: PROBE + 39, size: 0, at: 100 * MS })
    scene = next(scene, 600_000, "<ACK> seq=rcv.nxt ack=snd.nxt")
    expect(connection(scene).mtu.high).toBe(PROBE + 39)
    scene = next(scene, 600_101, "<ACK> seq=rcv.nxt ack=snd.nxt")
    expect(connection(scene).mtu).toMatchObject({ low: BASE + 40, high: 1500, at: 600_101 * MS })
  })
})

describe("a black hole (section 7.7)", () => {
  test("time-outs in a row: the base, then half of it each time, down to the floor", () => {
    let scene = sending(20_000, { tcpMtuProbing: 1, tcpMtuProbeFloor: 300 })
    expect(connection(scene).snd.mss).toBe(1460)
    const sizes: Array<number> = []
    for (let n = 0; n < 9; n++) {
      scene = next(scene, deadline(scene, "retransmit") / MS, "retransmit timeout")
      sizes.push(connection(scene).snd.mss)
    }
    // tcpRetries1 time-outs first, for which small losses are as good an explanation.
    expect(sizes.slice(0, 3)).toEqual([1460, 1460, 1460])
    expect([...new Set(sizes)]).toEqual([1460, 1024, 512, 300])
  })
})
