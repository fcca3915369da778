import { describe, expect, test } from "bun:test"
import { decodeIpv6, type Ipv6Packet, writeIpv6 } from "../../src/wire/ipv6.ts"
import { inspectHopByHop, nextHeaderPointer, walkExtensions } from "../../src/wire/ipv6Extension.ts"
import { hex, ip } from "./support.ts"

const UDP = "11"

/** A packet whose chain begins with `first`, at an odd place. */
const packetOf = (first: number, chain: string): { bytes: Uint8Array; packet: Ipv6Packet } => {
  const body = hex(chain)
  const bytes = new Uint8Array(3 + 40 + body.length)
  writeIpv6(bytes, 3, {
    source: ip("2001:db8::1"),
    destination: ip("2001:db8::2"),
    trafficClass: 0,
    flowLabel: 0,
    nextHeader: first,
    hopLimit: 64,
    payloadLength: body.length,
  })
  bytes.set(body, 43)
  const packet = decodeIpv6(bytes, 3, bytes.length - 3)
  if (typeof packet === "string") throw new Error(packet)
  return { bytes, packet }
}

/** "upper 17 at 48 +2": the protocol, where it begins counted from the packet's first octet, its octets. */
const walked = (first: number, chain: string): string => {
  const { bytes, packet } = packetOf(first, chain)
  const walk = walkExtensions(bytes, packet)
  if (typeof walk === "string") return walk
  switch (walk._tag) {
    case "Upper": {
      const { protocol, payloadOffset, payloadLength } = walk.packet
      return `upper ${protocol} at ${payloadOffset - 3} +${payloadLength}`
    }
    case "Fragment": {
      const { protocol, payloadLength } = walk.packet
      return `fragment ${walk.identification} of ${protocol}, ${walk.offset} +${payloadLength}${walk.moreFragments ? " more" : ""}`
    }
    case "Problem":
      return `problem ${walk.code} at ${walk.pointer}${walk.evenAboutMulticast ? " even about groups" : ""}`
  }
}

const PAD = "0104 0000 0000"

describe("the extension headers of a packet", () => {
  test.each([
    ["none", 17, "aaaa", "upper 17 at 40 +2"],
    ["hop-by-hop options, padded", 0, `${UDP}00 ${PAD} aaaa`, "upper 17 at 48 +2"],
    ["hop-by-hop, then destination options", 0, `3c00 ${PAD} ${UDP}00 ${PAD} aa`, "upper 17 at 56 +1"],
    ["hop-by-hop behind another (RFC 8200 section 4.1)", 60, `0000 ${PAD} ${UDP}00 ${PAD}`, "problem 1 at 40"],
    ["a router alert", 0, `${UDP}00 0502 0000 0100`, "upper 17 at 48 +0"],
    ["two octets of Pad1", 60, `${UDP}00 0000 0102 0000`, "upper 17 at 48 +0"],
    ["a routing header with nothing left", 43, `${UDP}00 0400 0000 0000`, "upper 17 at 48 +0"],
    ["routing type 0 with segments left (RFC 5095)", 43, `${UDP}00 0001 0000 0000`, "problem 0 at 42"],
    ["an unknown routing type with segments left", 43, `${UDP}00 fd02 0000 0000`, "problem 0 at 42"],
    ["no next header", 59, "aaaa", "upper 59 at 40 +2"],
    ["no next header behind options", 60, `3b00 ${PAD} aaaa`, "upper 59 at 48 +0"],
    ["an unknown upper layer", 60, `fd00 ${PAD} aaaa`, "upper 253 at 48 +2"],
    ["unknown option, action 00: passed over", 60, `${UDP}00 1e04 0000 0000`, "upper 17 at 48 +0"],
    ["unknown option, action 01: dropped", 60, `${UDP}00 5e04 0000 0000`, "ipv6:unknown-option"],
    ["unknown option, action 10", 60, `${UDP}00 9e04 0000 0000`, "problem 2 at 42 even about groups"],
    ["unknown option, action 11", 60, `${UDP}00 de04 0000 0000`, "problem 2 at 42"],
    ["a jumbogram (RFC 2675)", 0, `${UDP}00 c204 0001 0000`, "problem 2 at 42"],
    ["a fragment", 44, `${UDP}00 0009 0000 0007 aabb ccdd eeff 0011`, "fragment 7 of 17, 8 +8 more"],
    ["the last fragment", 44, `${UDP}00 0008 0000 0007 aabbcc`, "fragment 7 of 17, 8 +3"],
    ["an atomic fragment (RFC 6946)", 44, `${UDP}00 0000 0000 0007 aabbcc`, "upper 17 at 48 +3"],
    ["a fragment that is no multiple of 8", 44, `${UDP}00 0009 0000 0007 aabbcc`, "problem 0 at 4"],
    ["a fragment beyond the longest packet", 44, `${UDP}00 fff8 0000 0007 aabb ccdd eeff 0011`, "problem 0 at 42"],
    ["a header cut short", 60, `${UDP}00 0104`, "ipv6:truncated-extension"],
    ["a header longer than the packet", 60, `${UDP}05 ${PAD}`, "ipv6:truncated-extension"],
    ["an option longer than its header", 60, `${UDP}00 0105 0000 0000`, "ipv6:truncated-extension"],
    ["an option without its length", 60, `${UDP}00 0103 0000 001e`, "ipv6:truncated-extension"],
    ["nine headers", 60, `${`3c00 ${PAD}`.repeat(8)} ${UDP}00 ${PAD}`, "ipv6:too-many-extensions"],
    ["nine options", 60, `${UDP}02 ${"1e00".repeat(9)} 0102 0000`, "ipv6:too-many-extensions"],
  ])("%s", (_, first, chain, outcome) => {
    expect(walked(first, chain)).toBe(outcome)
  })

  test("where an unknown upper layer was named: the field that a problem points at", () => {
    const { bytes, packet } = packetOf(0, `3c00 ${PAD} fd00 ${PAD} aaaa`)
    const walk = walkExtensions(bytes, packet)
    if (typeof walk === "string" || walk._tag !== "Upper") throw new Error("no upper layer")
    expect(nextHeaderPointer(bytes, walk.packet)).toBe(48)
    expect(nextHeaderPointer(bytes, packetOf(253, "aa").packet)).toBe(6)
  })

  test("a router looks at hop-by-hop options alone", () => {
    const look = (first: number, chain: string) => {
      const { bytes, packet } = packetOf(first, chain)
      return inspectHopByHop(bytes, packet)
    }
    expect(look(60, `${UDP}00 de04 0000 0000`)).toBeUndefined()
    expect(look(0, `${UDP}00 ${PAD}`)).toBeUndefined()
    expect(look(0, `${UDP}00 de04 0000 0000`)).toMatchObject({ code: 2, pointer: 42 })
    expect(look(0, `${UDP}07 ${PAD}`)).toBe("ipv6:truncated-extension")
  })
})
