import { describe, expect, test } from "bun:test"
import type { IcmpErrno, TcpEffect } from "../../src/tcp/effect.ts"
import { icmpArrives } from "../../src/tcp/icmpError.ts"
import { add } from "../../src/tcp/seq.ts"
import { OFF } from "../../src/tcp/time.ts"
import { TIMER_NAMES } from "../../src/tcp/timers.ts"
import { open } from "./support/peer.ts"
import { connection, type Happened, happen, MS, play, type Scene } from "./support/world.ts"

/** An ICMP error about the octet so many behind SND.UNA. */
const icmp = (scene: Scene, errno: IcmpErrno, offset = 0): Scene => {
  const { tcb } = scene
  const { una } = connection(scene).snd
  return { ...scene, tcb: icmpArrives(tcb, add(una, offset), errno).tcb }
}

/** Nothing comes any more: its timers end one after the other, until it is given up. */
const silent = (start: Scene): TcpEffect | undefined => {
  let scene: Scene = start
  for (let n = 0; n < 1000; n++) {
    const { timers } = connection(scene)
    const [first] = TIMER_NAMES.filter((name) => timers[name] !== OFF).sort((x, y) => timers[x] - timers[y])
    if (first === undefined) throw new Error("no timer runs")
    const at = timers[first]
    const next: Happened = happen({ ...scene, now: at }, { _tag: "Timeout", timer: first })
    const closed = next.effects.find(({ _tag }) => _tag === "Closed")
    if (closed !== undefined) return closed
    scene = next
  }
  throw new Error("never given up")
}

describe("an ICMP error about a connection (RFC 9293 section 3.9.2.2, RFC 5927)", () => {
  const waiting = () => play(open(), [[200, "SEND 100"]])

  test.each([
    ["EHOSTUNREACH", "HostUnreachable"],
    ["ENETUNREACH", "HostUnreachable"],
    // Hard in name; a connection that works is not ended by it.
    ["ECONNREFUSED", "ConnectionRefused"],
  ] as const)("%s, then silence: the connection stays, and ends by its timer with that reason", (errno, reason) => {
    const told = icmp(waiting(), errno)
    expect(told.tcb._tag).toBe("ESTABLISHED")
    expect(silent(told)).toMatchObject({ _tag: "Closed", reason, errno, why: "RFC9293-3.8.3:R2" })
  })

  test("silence alone: a time-out", () => {
    expect(silent(waiting())).toEqual({ _tag: "Closed", reason: "ConnectionTimedOut", why: "RFC9293-3.8.3:R2" })
  })

  test("the peer is heard of after it: it is forgotten", () => {
    const told = icmp(waiting(), "EHOSTUNREACH")
    const again = play(told, [
      [210, "<ACK> seq=rcv.nxt ack=snd.nxt"],
      [220, "SEND 100"],
    ])
    expect(silent(again)).toMatchObject({ reason: "ConnectionTimedOut" })
  })

  test("an ACK of nothing new: it is forgotten too", () => {
    const told = play(icmp(waiting(), "EHOSTUNREACH"), [[210, "<ACK> seq=rcv.nxt ack=snd.una"]])
    expect(silent(told)).toMatchObject({ reason: "ConnectionTimedOut" })
  })

  test.each([
    ["before SND.UNA", -1],
    ["behind SND.NXT", 101],
  ])("about an octet %s: not believed", (_, offset) => {
    expect(silent(icmp(waiting(), "EHOSTUNREACH", offset))).toMatchObject({ reason: "ConnectionTimedOut" })
  })

  test("the user timeout ends first: the same reason", () => {
    const scene = play(open({ socket: { userTimeout: 5000 * MS } }), [[200, "SEND 100"]])
    expect(silent(icmp(scene, "EHOSTUNREACH"))).toMatchObject({
      reason: "HostUnreachable",
      why: "RFC9293-3.10.8:USER-TIMEOUT",
    })
  })

  test("keep-alive finds nobody: the same reason", () => {
    const scene = open({ socket: { keepAlive: true } })
    expect(silent(icmp(scene, "EHOSTUNREACH"))).toMatchObject({
      reason: "HostUnreachable",
      errno: "EHOSTUNREACH",
      why: "RFC9293-3.8.4:no-answer-to-keep-alive",
    })
  })
})
