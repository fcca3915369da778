import { describe, expect, test } from "bun:test"
import { COPIED_AT_ONCE, copiedFootprint, footprint, packetLength } from "../../../src/tcp/receiveMemory/truesize.ts"
import { NO_OPTIONS } from "../../../src/wire/tcpSegment.ts"

/** IPv4 and TCP without options. */
const HEADERS = 40

describe("what SO_MEMINFO of Linux 6.18 said of one segment that waited, by octets of payload", () => {
  test.each([
    [1, 832],
    [152, 832],
    [153, 1280],
    [600, 1280],
    [601, 2304],
    [1000, 2304],
    [1460, 2304],
    [1624, 2304],
    [1625, 4352],
    [3672, 4352],
    [3673, 8448],
    [4000, 8448],
    [7768, 8448],
    [7769, 12544],
    [9000, 12544],
    [10000, 12544],
    [15000, 16640],
    [20000, 20736],
    [25000, 28928],
    [40000, 41216],
    [60000, 61696],
    [65495, 69888],
  ])("%d: %d", (payload, truesize) => {
    expect(footprint(HEADERS + payload).truesize).toBe(truesize)
  })
})

describe("the room that a segment leaves in its head", () => {
  test.each([
    ["a small one: what is left of 256 octets", 100, 52],
    ["a full one: what is left of 1728", 1000, 624],
    ["the largest that has no pages", 3672, 0],
    ["none where pages follow", 20000, 0],
  ])("%s", (_, payload, room) => {
    expect(footprint(HEADERS + payload).room).toBe(room)
  })
})

test("a copy takes a head of a page at most", () => {
  expect(copiedFootprint(COPIED_AT_ONCE)).toEqual({ truesize: 4352, room: 0 })
  expect(copiedFootprint(1400)).toEqual({ truesize: 2304, room: 328 })
})

test.each([
  ["IPv4, no options", 4, {}, 1040],
  ["IPv6, no options", 6, {}, 1060],
  ["timestamps, padded", 4, { tsVal: 1, tsEcr: 1 }, 1052],
  ["two SACK blocks, padded", 4, { sack: [block(), block()] }, 1060],
  ["an MD5 digest, padded", 4, { md5: new Uint8Array(16) }, 1060],
  ["TCP-AO with a MAC of 12 octets", 4, { ao: { keyId: 1, rNextKeyId: 1, mac: new Uint8Array(12) } }, 1056],
] as const)("a packet of 1000 octets of payload, %s", (_, family, options, length) => {
  const payload = new Uint8Array(1000)
  const segment = { seq: 0, ack: 0, flags: 0, wnd: 0, up: 0, options: { ...NO_OPTIONS, ...options }, payload }
  expect(packetLength(segment, family)).toBe(length)
})

function block() {
  return { left: 1, right: 2 }
}
