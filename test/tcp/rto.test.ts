import { describe, expect, test } from "bun:test"
import { initialRto, interval, measured } from "../../src/tcp/rto.ts"
import { defaultSettings, freebsd, linux, type TcpSettings } from "../../src/tcp/settings.ts"
import { defaultSocketOptions } from "../../src/tcp/tcb.ts"
import { next, open, sentRanges } from "./support/peer.ts"
import { connection, deadline, MS, play, type Scene, SECOND } from "./support/world.ts"

/** RFC 6298 without floors: RTO = SRTT + 4 RTTVAR. */
const bare: TcpSettings = {
  ...defaultSettings,
  profile: { ...linux, rttvarFloor: 0, rtoSlop: 0, minRto: 0, maxRto: 60 * SECOND },
}

describe("RTO (RFC 6298 section 2)", () => {
  test("2.1, nothing measured: one second", () => {
    expect(initialRto(bare).rto).toBe(SECOND)
  })

  test("2.2, the first measurement R: SRTT = R, RTTVAR = R/2, RTO = 3 R", () => {
    const first = measured(initialRto(bare), 100 * MS, bare, defaultSocketOptions)
    expect([first.srtt, first.rttvar, first.rto]).toEqual([100 * MS, 50 * MS, 300 * MS])
  })

  test("2.3, further measurements: RTTVAR from the old SRTT, then SRTT", () => {
    let rto = measured(initialRto(bare), 100 * MS, bare, defaultSocketOptions)
    // RTTVAR = 3/4 50 + 1/4 |100-180| = 57.5, SRTT = 7/8 100 + 1/8 180 = 110
    rto = measured(rto, 180 * MS, bare, defaultSocketOptions)
    expect([rto.srtt, rto.rttvar, rto.rto]).toEqual([110 * MS, 57.5 * MS, 340 * MS])
    // RTTVAR = 3/4 57.5 + 1/4 |110-30| = 63.125, SRTT = 7/8 110 + 1/8 30 = 100
    rto = measured(rto, 30 * MS, bare, defaultSocketOptions)
    expect([rto.srtt, rto.rttvar, rto.rto]).toEqual([100 * MS, 63.125 * MS, 352.5 * MS])
  })

  test("2.3, a steady path: K*RTTVAR does not fall below G", () => {
    const settings: TcpSettings = { ...bare, profile: { ...bare.profile, rttvarFloor: 200 * MS } }
    let rto = initialRto(settings)
    for (let i = 0; i < 100; i++) rto = measured(rto, 100 * MS, settings, defaultSocketOptions)
    expect(rto.rto).toBe(300 * MS)
  })

  test("2.4 and 2.5: within the profile's bounds", () => {
    const fast = measured(initialRto(defaultSettings), 1, defaultSettings, defaultSocketOptions)
    expect(fast.rto).toBeGreaterThanOrEqual(200 * MS)
    const slow = measured(initialRto(defaultSettings), 1000 * SECOND, defaultSettings, defaultSocketOptions)
    expect(slow.rto).toBe(120 * SECOND)
    const bsd: TcpSettings = { ...defaultSettings, profile: freebsd }
    expect(measured(initialRto(bsd), 1000 * SECOND, bsd, defaultSocketOptions).rto).toBe(64 * SECOND)
  })

  test.each([
    [{ minRto: 50 * MS }, 10 * MS, 60 * MS, 120 * SECOND],
    [{ minRto: 50 * MS }, 100 * MS, 150 * MS, 120 * SECOND],
    [{ maxRto: SECOND }, 10 * MS, 210 * MS, SECOND],
    [{ maxRto: SECOND }, 900 * MS, SECOND, SECOND],
  ])("a socket's own bounds %j, a steady path of %d us: %d us, and %d at most", (own, path, first, most) => {
    const bounds = { ...defaultSocketOptions, ...own }
    let rto = initialRto(defaultSettings)
    for (let i = 0; i < 100; i++) rto = measured(rto, path, defaultSettings, bounds)
    expect(interval(rto, defaultSettings, bounds)).toBe(first)
    expect(interval({ ...rto, backoff: 30 }, defaultSettings, bounds)).toBe(most)
  })

  test("5.5, time-outs in a row: doubled, up to the bound", () => {
    const rto = measured(initialRto(bare), 100 * MS, bare, defaultSocketOptions)
    const backedOff = [0, 1, 2, 3, 7, 8, 40].map(
      (backoff) => interval({ ...rto, backoff }, bare, defaultSocketOptions) / MS,
    )
    expect(backedOff).toEqual([300, 600, 1200, 2400, 38400, 60000, 60000])
  })
})

/** 100 octets out at 100 ms, RTO 300 ms. */
const sending = (timestamps: boolean) => open({ habits: { timestamps } }, [[100, "SEND 100"]])

const rtoOf = (scene: Scene) => connection(scene).rto

describe("measuring (RFC 6298 sections 3 and 4)", () => {
  test("the handshake: measured", () => {
    expect(rtoOf(open()).srtt).toBe(100 * MS)
  })

  test("a SYN that was sent again: not measured, and 3 s when data begins (5.7)", () => {
    const scene = play(open().world ? { ...open(), tcb: { _tag: "CLOSED" } } : open(), [
      [0, "OPEN active"],
      [1000, "retransmit timeout"],
      [1100, "<SYN,ACK> seq=irs ack=iss+1 ts=none"],
      [1100, "SEND 100"],
    ])
    expect(rtoOf(scene).srtt).toBe(0)
    expect(deadline(scene, "retransmit")).toBe(4100 * MS)
  })

  test("an ACK of data sent once: measured", () => {
    const scene = next(sending(false), 140, "<ACK> seq=rcv.nxt ack=snd.nxt")
    // SRTT = 7/8 100 + 1/8 40
    expect(rtoOf(scene).srtt).toBe(92.5 * MS)
  })

  test("an ACK of what was sent again, no timestamps: not measured (Karn)", () => {
    const lost = next(sending(false), 400, "retransmit timeout")
    expect(rtoOf(next(lost, 410, "<ACK> seq=rcv.nxt ack=snd.nxt")).srtt).toBe(100 * MS)
  })

  test("an ACK of what was sent again, no timestamps: the interval stays doubled until something is measured", () => {
    const lost = next(sending(false), 400, "retransmit timeout")
    const scene = play(lost, [
      [410, "<ACK> seq=rcv.nxt ack=snd.nxt"],
      [500, "SEND 100"],
    ])
    expect(deadline(scene, "retransmit")).toBe((500 + 600) * MS)
    const measuredAgain = play(scene, [
      [600, "<ACK> seq=rcv.nxt ack=snd.nxt"],
      [700, "SEND 100"],
    ])
    // SRTT 100, RTTVAR 37.5: RTO = 100 + max(200, 150)
    expect(deadline(measuredAgain, "retransmit")).toBe((700 + 300) * MS)
  })

  test("an ACK of what was sent again, with timestamps: measured from the echo", () => {
    const lost = next(sending(true), 400, "retransmit timeout")
    // It answers the second one, which left at 400.
    const scene = next(lost, 480, "<ACK> seq=rcv.nxt ack=snd.nxt ecr=400")
    expect(rtoOf(scene).srtt).toBe(97.5 * MS)
    expect(rtoOf(scene).backoff).toBe(0)
  })
})

describe("the retransmission timer (RFC 6298 section 5)", () => {
  test("5.1, data is sent while it runs: goes on", () => {
    const scene = next(sending(false), 150, "SEND 1012")
    expect(deadline(scene, "retransmit")).toBe(400 * MS)
  })

  test("5.2, all is acknowledged: off", () => {
    const scene = next(sending(false), 200, "<ACK> seq=rcv.nxt ack=snd.nxt")
    expect(connection(scene).timers.retransmit).toBeLessThan(0)
  })

  test("5.3, some is acknowledged: starts again", () => {
    const scene = next(sending(false), 200, "<ACK> seq=rcv.nxt ack=snd.nxt-1")
    expect(deadline(scene, "retransmit")).toBe(500 * MS)
  })

  test("5.4 to 5.6, no answer: the first segment again, doubling, tcpRetries2 times, then the end", () => {
    let scene = open({ habits: { timestamps: false }, settings: { tcpRetries2: 3 } }, [[100, "SEND 3000"]])
    const seen: Array<string> = []
    for (const at of [400, 1000, 2200, 4600]) {
      expect(deadline(scene, "retransmit")).toBe(at * MS)
      scene = next(scene, at, "retransmit timeout")
      seen.push(...sentRanges(scene))
    }
    expect(seen).toEqual(["0+1012", "0+1012", "0+1012"])
    expect(scene.tcb._tag).toBe("CLOSED")
    expect(scene.effects.find((e) => e._tag === "Closed")).toEqual({
      _tag: "Closed",
      reason: "ConnectionTimedOut",
      why: "RFC9293-3.8.3:R2",
    })
  })

  test("progress between time-outs: R2 is counted anew", () => {
    let scene = open({ habits: { timestamps: false }, settings: { tcpRetries2: 5 } }, [[100, "SEND 4048"]])
    for (let i = 0; i < 3; i++) {
      for (let j = 0; j < 2; j++) {
        const at = deadline(scene, "retransmit") / MS
        scene = next(scene, at, "retransmit timeout")
      }
      scene = next(scene, scene.now / MS + 10, "<ACK> seq=rcv.nxt ack=snd.una+1012")
    }
    expect(scene.tcb._tag).toBe("ESTABLISHED")
  })
})
