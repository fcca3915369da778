import { describe, expect, test } from "bun:test"
import { next, open, sentRanges } from "./support/peer.ts"
import { connection, deadline, MS, type WorldOptions } from "./support/world.ts"

const M = 1000
const options: WorldOptions = {
  habits: { timestamps: false, mss: M, wnd: 65_535 },
  path: { mss: M, burst: 64_000 },
  socket: { sendBuffer: 1_000_000 },
}

describe("bursts (Linux's tcp_tso_autosize)", () => {
  test("100 ms of round trip, ten segments of window: a millisecond's worth is less than two, so two", () => {
    expect(sentRanges(open(options, [[100, "SEND 6000"]]))).toEqual(["0+2000 PSH", "2000+2000 PSH", "4000+2000 PSH"])
  })

  test("tcpMinTsoSegs 4: four at least", () => {
    const scene = open({ ...options, settings: { tcpMinTsoSegs: 4 } }, [[100, "SEND 6000"]])
    expect(sentRanges(scene)).toEqual(["0+4000 PSH", "4000+2000 PSH"])
  })

  test("however large: no more than half of the window", () => {
    const scene = open({ ...options, settings: { tcpMinTsoSegs: 64 } }, [[100, "SEND 20000"]])
    expect(sentRanges(scene)).toEqual(["0+5000 PSH", "5000+5000 PSH"])
  })
})

describe("pacing", () => {
  test("CUBIC, no limit asked for: all that the window allows leaves at once", () => {
    const scene = open(options, [[100, "SEND 20000"]])
    expect(connection(scene).timers.pacing).toBeLessThan(0)
    expect(connection(scene).flight.out).toBe(10)
  })

  test("SO_MAX_PACING_RATE of 100,000 octets a second: a burst of 2000, the next 20 ms later", () => {
    const socket = { ...options.socket, maxPacingRate: 100_000 }
    let scene = open({ ...options, socket }, [[100, "SEND 20000"]])
    expect(sentRanges(scene)).toEqual(["0+2000 PSH"])
    expect(deadline(scene, "pacing")).toBe(120 * MS)
    scene = next(scene, 120, "pacing timeout")
    expect(sentRanges(scene)).toEqual(["2000+2000 PSH"])
    expect(deadline(scene, "pacing")).toBe(140 * MS)
  })

  test("an ACK while a burst has to wait: nothing leaves before its time", () => {
    const socket = { ...options.socket, maxPacingRate: 100_000 }
    const scene = open({ ...options, socket }, [[100, "SEND 20000"]])
    expect(sentRanges(next(scene, 110, "<ACK> seq=rcv.nxt ack=snd.nxt"))).toEqual([])
  })

  test("BBR: paced by itself", () => {
    const scene = open({ ...options, settings: { tcpCongestionControl: "bbr" } }, [[100, "SEND 20000"]])
    expect(connection(scene).timers.pacing).toBeGreaterThan(100 * MS)
    expect(connection(scene).flight.out).toBeLessThan(10)
  })
})
