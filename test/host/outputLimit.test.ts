import { describe, expect, test } from "bun:test"
import { OFF } from "../../src/tcp/time.ts"
import { Pair, pattern } from "./lab.ts"

const LIMIT = 3000
const MSS = 1448
/** Whole segments up to the limit, and the one that reaches it. */
const AT_MOST = LIMIT + MSS

/** A flush of the sender's: octets of payload by destination port. */
const flushed = (pair: Pair): ReadonlyMap<number, number> => {
  const { host } = pair.a
  host.flush(pair.now)
  const octets = new Map<number, number>()
  for (const effect of host.take()) {
    if (effect._tag !== "SendSegment") continue
    octets.set(effect.destinationPort, (octets.get(effect.destinationPort) ?? 0) + effect.segment.length)
  }
  return octets
}

const senders = (count: number): Pair => {
  const pair = new Pair({ settings: { tcpLimitOutputBytes: LIMIT } })
  const clients = Array.from({ length: count }, (_, index) => pair.open(index + 1).client)
  for (const client of clients) pair.a.write(client, pattern(8 * MSS))
  return pair
}

describe("tcpLimitOutputBytes", () => {
  test("a flush sends so much of one connection's window, and the next goes on at once", () => {
    const pair = senders(1)
    const sent: Array<number> = []
    do sent.push(flushed(pair).get(1) ?? 0)
    while (pair.a.host.nextDeadline() === 0)
    expect(Math.max(...sent)).toBeLessThanOrEqual(AT_MOST)
    expect(sent.reduce((sum, n) => sum + n)).toBe(8 * MSS)
    expect(pair.a.host.nextDeadline()).not.toBe(OFF)
  })

  test("of many connections, those go first next time that had no turn", () => {
    const pair = senders(6)
    const turns: Array<ReadonlyArray<number>> = []
    do turns.push([...flushed(pair).keys()])
    while (pair.a.host.nextDeadline() === 0)
    expect(turns.slice(0, 4)).toEqual([
      [1, 2],
      [3, 4],
      [5, 6],
      [1, 2],
    ])
  })

  test("whoever asks for everything still gets it", () => {
    const pair = new Pair({ settings: { tcpLimitOutputBytes: LIMIT } })
    const { client, server } = pair.open(7)
    const bytes = pattern(100_000)
    let at = 0
    let received = 0
    pair.tick = () => {
      if (at < bytes.length) at += pair.a.write(client, bytes.subarray(at))
      received += pair.b.readBytes(server).length
    }
    pair.settle()
    expect(received).toBe(bytes.length)
  })
})
