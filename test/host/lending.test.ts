import { describe, expect, test } from "bun:test"
import { ReceiveQueue } from "../../src/host/receiveQueue.ts"
import { ACK, SYN } from "../../src/wire/tcpSegment.ts"
import { pattern } from "./lab.ts"
import { Stranger, segmentOf, tcpFrame } from "./stranger.ts"

const FIRST = 1001
const LONG = 4000

/** An accepted connection of a host whose frames stay or not, and what gives it a frame of the stream. */
const connected = (framesStay: boolean) => {
  const stranger = new Stranger({ framesStay })
  stranger.introduce()
  const listener = stranger.host.listen(9)
  const syn = tcpFrame({ seq: FIRST - 1, flags: SYN, destinationPort: 9, options: { mss: 8960, windowScale: 7 } })
  const ack = (segmentOf(stranger.send(syn)[0]).seq + 1) >>> 0
  stranger.tcp({ seq: FIRST, ack, flags: ACK, destinationPort: 9 })
  const socket = stranger.host.accept(listener)
  const { host } = stranger.host
  const stream = pattern(4 * LONG)
  const put = (at: number, length: number): Uint8Array => {
    const payload = stream.subarray(at, at + length)
    const frame = tcpFrame({ seq: FIRST + at, ack, flags: ACK, destinationPort: 9, payload })
    host.frame(0, frame, 0, frame.length, false, stranger.now)
    return frame
  }
  const give = (at: number, length: number): Uint8Array => {
    const frame = put(at, length)
    host.take()
    return frame
  }
  const octets = (call: "read" | "borrow"): Uint8Array => {
    host.take()
    const result = host[call](socket, 1 << 20, stranger.now)
    if (!(result instanceof Uint8Array)) throw new Error(`nothing to ${call}`)
    return result
  }
  return { put, give, octets, stream, flush: () => host.flush(stranger.now) }
}

describe("a long segment whose frame stays", () => {
  test("is lent to who borrows: the array is the frame's own memory", () => {
    const { give, octets, stream } = connected(true)
    const frame = give(0, LONG)
    const lent = octets("borrow")
    expect(lent.buffer).toBe(frame.buffer)
    expect(lent).toEqual(stream.slice(0, LONG))
  })

  test("is copied for who reads: the frame may change", () => {
    const { give, octets, stream } = connected(true)
    const frame = give(0, LONG)
    const read = octets("read")
    frame.fill(0)
    expect(read).toEqual(stream.slice(0, LONG))
  })

  test("is copied at the flush when nobody has asked for it", () => {
    const { give, octets, stream, flush } = connected(true)
    const first = give(0, LONG)
    const second = give(LONG, LONG)
    flush()
    first.fill(0)
    second.fill(0)
    expect([octets("borrow"), octets("read")]).toEqual([stream.slice(0, LONG), stream.slice(LONG, 2 * LONG)])
  })

  test("in parts: what is borrowed is lent, what is left is copied at the flush", () => {
    const { give, octets, stream, flush } = connected(true)
    const frame = give(0, LONG)
    expect(octets("borrow").length).toBe(LONG)
    const rest = give(LONG, LONG)
    flush()
    frame.fill(0)
    rest.fill(0)
    expect(octets("borrow")).toEqual(stream.slice(LONG, 2 * LONG))
  })
})

test("a segment whose frame does not stay, and a short one, are copied at once", () => {
  for (const [framesStay, length] of [
    [false, LONG],
    [true, 100],
  ] as const) {
    const { give, octets, stream } = connected(framesStay)
    give(0, length).fill(0)
    expect(octets("borrow")).toEqual(stream.slice(0, length))
  }
})

test("short segments that are joined for a borrower are lent too, and copied at the flush when he has not asked", () => {
  const { give, octets, stream, flush, put } = connected(true)
  give(0, LONG)
  octets("borrow")
  put(LONG, 1000)
  put(LONG + 1000, 1000)
  const frame = put(LONG + 2000, 1000)
  const lent = octets("borrow")
  expect(lent).toEqual(stream.slice(LONG, LONG + 3000))
  expect(lent.buffer).not.toBe(frame.buffer)
  flush()
  put(LONG + 3000, 1000)
  put(LONG + 4000, 1100)
  flush()
  // Joined where the one before was.
  put(LONG + 5100, 900)
  put(LONG + 6000, 1200)
  expect(octets("borrow")).toEqual(stream.slice(LONG + 3000, LONG + 5100))
  expect(octets("read")).toEqual(stream.slice(LONG + 5100, LONG + 7200))
  flush()
  // Few octets are a copy from the start, also joined.
  put(LONG + 7200, 10)
  put(LONG + 7210, 10)
  flush()
  put(LONG + 7220, 1300)
  put(LONG + 8520, 1300)
  flush()
  expect(octets("read")).toEqual(stream.slice(LONG + 7200, LONG + 7220))
})

test("a queue borrows from one memory at a time: another's octets are copied", () => {
  const queue = new ReceiveQueue()
  const [mine, other] = [pattern(3000), pattern(3000)]
  expect([queue.lend(mine), queue.lend(mine), queue.lend(other)]).toEqual([true, false, false])
  other.fill(0)
  expect(queue.borrow(5000)?.buffer).toBe(mine.buffer)
  queue.own()
  mine.fill(0)
  expect([queue.borrow(5000), queue.borrow(5000)]).toEqual([pattern(3000), pattern(3000)])
  expect(queue.length).toBe(0)
})
