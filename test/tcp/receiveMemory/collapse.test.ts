import { describe, expect, test } from "bun:test"
import type { Mutable } from "../../../src/tcp/draft.ts"
import { collapse, collapseAhead } from "../../../src/tcp/receiveMemory/collapse.ts"
import type { Buffer, Memory } from "../../../src/tcp/receiveMemory/memory.ts"
import type { Out } from "../../../src/tcp/timers.ts"

const buffer = (seq: number, end: number, truesize: number, fin = false): Buffer => ({
  seq,
  end,
  truesize,
  room: 0,
  fin,
})

const memory = (
  ratio: number,
  ahead: ReadonlyArray<Buffer> = [],
  queue: ReadonlyArray<Buffer> = [],
): Mutable<Memory> => ({
  rcvbuf: 8000,
  alloc: [...ahead, ...queue].reduce((sum, { truesize }) => sum + truesize, 0),
  queue,
  ahead,
  ratio,
  ssthresh: 4000,
  clamp: 4000,
  wnd: 4000,
  full: false,
  predicts: true,
  pushed: 0,
  begun: true,
  held: true,
  small: 0,
})

const brief = (buffers: ReadonlyArray<Buffer>) => buffers.map(({ seq, end, truesize }) => `${seq}-${end}:${truesize}`)

/** What is left of a queue that is read up to `read`, what it takes, and how many buffers were released. */
const collapsed = (queue: ReadonlyArray<Buffer>, read: number, ratio = 128) => {
  const m = memory(ratio, [], queue)
  const out: Out = []
  const left = collapse(m, queue, read, queue.at(-1)?.end ?? read, out)
  return { left: brief(left), alloc: m.alloc, released: out.length }
}

describe("the receive queue is packed", () => {
  test("sparse buffers become one", () => {
    const sparse = [buffer(0, 100, 832), buffer(100, 200, 832), buffer(200, 300, 832)]
    expect(collapsed(sparse, 0)).toEqual({ left: ["0-300:1280"], alloc: 1280, released: 3 })
  })

  test("dense ones before the first sparse one stay", () => {
    const queue = [buffer(0, 1200, 2304), buffer(1200, 1300, 832), buffer(1300, 1400, 832)]
    expect(collapsed(queue, 0).left).toEqual(["0-1200:2304", "1200-1400:832"])
  })

  test("all dense: nothing changes", () => {
    const queue = [buffer(0, 1200, 2304), buffer(1200, 2400, 2304)]
    expect(collapsed(queue, 0)).toEqual({ left: ["0-1200:2304", "1200-2400:2304"], alloc: 4608, released: 0 })
  })

  test("what was read of the first one is not copied", () => {
    const queue = [buffer(0, 1200, 2304), buffer(1200, 2400, 2304)]
    expect(collapsed(queue, 1000)).toEqual({ left: ["1000-2400:2304"], alloc: 2304, released: 2 })
  })

  test("more than a page holds: a page each, the last one as small as it can be", () => {
    const queue = Array.from({ length: 8 }, (_, i) => buffer(i * 500, i * 500 + 500, 2304))
    expect(collapsed(queue, 0, 200)).toEqual({ left: ["0-3776:4352", "3776-4000:832"], alloc: 5184, released: 8 })
  })

  test("a FIN ends it: its buffer stays as it is, and the copy has the room that it would have taken", () => {
    const queue = [buffer(0, 100, 832), buffer(100, 200, 832), buffer(200, 300, 832, true)]
    expect(collapsed(queue, 0).left).toEqual(["0-200:1280", "200-300:832"])
  })
})

describe("what lies ahead is packed, each range by itself", () => {
  const ahead = (buffers: ReadonlyArray<Buffer>) => {
    const m = memory(128, buffers)
    collapseAhead(m, [])
    return { left: brief(m.ahead), alloc: m.alloc }
  }

  test("two ranges: two buffers", () => {
    const buffers = [buffer(100, 200, 832), buffer(200, 300, 832), buffer(900, 1000, 832), buffer(1000, 1100, 832)]
    expect(ahead(buffers)).toEqual({ left: ["100-300:832", "900-1100:832"], alloc: 1664 })
  })

  test("buffers that overlap: each octet is copied once", () => {
    expect(ahead([buffer(100, 300, 1280), buffer(200, 400, 1280)])).toEqual({ left: ["100-400:1280"], alloc: 1280 })
  })

  test("single tiny buffers are left alone", () => {
    const buffers = [buffer(100, 110, 832), buffer(200, 210, 832)]
    expect(ahead(buffers)).toEqual({ left: ["100-110:832", "200-210:832"], alloc: 1664 })
  })

  test("an eighth of the limit in tiny buffers: the rest is not looked at", () => {
    const buffers = [buffer(100, 110, 832), buffer(200, 210, 832), buffer(300, 310, 832), buffer(310, 320, 832)]
    expect(ahead(buffers).left).toEqual(["100-110:832", "200-210:832", "300-310:832", "310-320:832"])
  })
})
