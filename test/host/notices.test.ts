import { describe, expect, test } from "bun:test"
import { type Notice, Notices } from "../../src/host/notices.ts"
import type { Transmit } from "../../src/tcp/effect.ts"
import { add } from "../../src/tcp/seq.ts"
import { NOT_ECT } from "../../src/wire/ecn.ts"
import { ACK, NO_OPTIONS } from "../../src/wire/tcpSegment.ts"

const FIRST = 0xffff_fff0

const segment = (offset: number, length: number): Transmit => ({
  _tag: "Transmit",
  seq: add(FIRST, offset),
  ack: 0,
  flags: ACK,
  wnd: 0,
  up: 0,
  options: NO_OPTIONS,
  queue: undefined,
  length,
  segmentSize: length,
  ecn: NOT_ECT,
  why: "RFC9293-3.10.2:send",
})

const all = (notices: Notices): ReadonlyArray<Notice> => {
  const taken: Array<Notice> = []
  for (let notice = notices.take(); notice !== undefined; notice = notices.take()) taken.push(notice)
  return taken
}

const watching = (...ends: ReadonlyArray<number>): Notices => {
  const notices = new Notices(FIRST)
  for (const end of ends) notices.watch(add(FIRST, end), add(FIRST, end), { released: true })
  return notices
}

describe("the release of a write", () => {
  test.each([
    ["nothing acknowledged", [], []],
    ["part of the first", [9], []],
    ["all of the first", [10], [[0, 0]]],
    ["the first, then the rest", [10, 40], [[0, 2]]],
    ["all at once", [40], [[0, 2]]],
  ])("%s", (_, acks, released) => {
    const notices = watching(10, 30, 40)
    for (const una of acks) notices.acknowledged(add(FIRST, una), 5)
    expect(all(notices)).toEqual(released.map(([first = 0, last = 0]) => ({ _tag: "Released", first, last })))
  })

  test("told apart once the first notice has been taken", () => {
    const notices = watching(10, 30)
    notices.acknowledged(add(FIRST, 10), 5)
    expect(all(notices)).toEqual([{ _tag: "Released", first: 0, last: 0 }])
    notices.acknowledged(add(FIRST, 30), 6)
    expect(all(notices)).toEqual([{ _tag: "Released", first: 1, last: 1 }])
  })

  test("the connection's end releases what is left", () => {
    const notices = watching(10, 30)
    expect(notices.over()).toBe(true)
    expect(all(notices)).toEqual([{ _tag: "Released", first: 0, last: 1 }])
    expect(notices.over()).toBe(false)
  })

  test.each([
    ["nothing of the first has left", 0, [[], [[0, 1]], [[2, 2]]]],
    ["its last octet has not", 9, [[], [[0, 1]], [[2, 2]]]],
    ["it has left", 10, [[[0, 0]], [[1, 1]], [[2, 2]]]],
  ])("written behind another, and %s: told together or apart", (_, sent, expected) => {
    const notices = new Notices(FIRST)
    notices.watch(add(FIRST, 10), FIRST, { released: true })
    notices.watch(add(FIRST, 20), add(FIRST, sent), { released: true })
    notices.watch(add(FIRST, 30), add(FIRST, 20), { released: true })
    const told = [10, 20, 30].map((una) => {
      notices.acknowledged(add(FIRST, una), 5)
      return all(notices).map((notice) => (notice._tag === "Released" ? [notice.first, notice.last] : []))
    })
    expect(told).toEqual(expected)
  })

  test("of more than 512 KiB together: each by itself", () => {
    const notices = new Notices(FIRST)
    notices.watch(add(FIRST, 1 << 18), FIRST, { released: true })
    notices.watch(add(FIRST, 1 << 19), FIRST, { released: true })
    notices.watch(add(FIRST, (1 << 19) + 1), FIRST, { released: true })
    notices.acknowledged(add(FIRST, 1 << 19), 5)
    expect(all(notices)).toEqual([{ _tag: "Released", first: 0, last: 1 }])
  })

  test("a write in two pieces: one notice, for the end of the second", () => {
    const notices = watching(10)
    notices.watch(add(FIRST, 20), FIRST, { released: true, goesOn: true })
    expect(notices.acknowledged(add(FIRST, 19), 5)).toBe(false)
    expect(notices.acknowledged(add(FIRST, 20), 5)).toBe(true)
    expect(all(notices)).toEqual([{ _tag: "Released", first: 0, last: 0 }])
  })
})

describe("the times of a write", () => {
  const EVERY = { scheduled: true, sent: true, acknowledged: true }

  test("of its last octet, across the wrap: once, whatever is sent again", () => {
    const notices = new Notices(FIRST)
    notices.watch(add(FIRST, 30), FIRST, EVERY)
    expect(notices.left(segment(0, 29), 1)).toBe(false)
    expect(notices.left(segment(29, 0), 1)).toBe(false)
    expect(notices.left(segment(29, 1), 2)).toBe(true)
    expect(notices.left(segment(0, 30), 3)).toBe(false)
    notices.acknowledged(add(FIRST, 30), 4)
    expect(all(notices)).toEqual([
      { _tag: "Stamp", of: "scheduled", offset: 29, at: 2 },
      { _tag: "Stamp", of: "sent", offset: 29, at: 2 },
      { _tag: "Stamp", of: "acknowledged", offset: 29, at: 4 },
    ])
  })

  test("acknowledged by the end in order", () => {
    const notices = new Notices(FIRST)
    notices.watch(add(FIRST, 30), FIRST, { acknowledged: true })
    notices.acknowledged(undefined, 4)
    expect(all(notices)).toEqual([{ _tag: "Stamp", of: "acknowledged", offset: 29, at: 4 }])
  })

  test("the connection's end otherwise: not", () => {
    const notices = new Notices(FIRST)
    notices.watch(add(FIRST, 30), FIRST, EVERY)
    notices.over()
    expect(all(notices)).toEqual([])
  })
})

test("notices that nobody fetches: kept up to a limit", () => {
  const notices = new Notices(FIRST)
  for (let i = 1; i <= 3000; i++) {
    notices.watch(add(FIRST, i), FIRST, { acknowledged: true })
    notices.acknowledged(add(FIRST, i), i)
  }
  expect(all(notices).length).toBe(1024)
})
