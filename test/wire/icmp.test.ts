import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { isDrop } from "../../src/wire/drop.ts"
import {
  decodeIcmp,
  encodeIcmp,
  FRAGMENTATION_NEEDED,
  type IcmpMessage,
  LONGEST_QUOTE,
  PORT_UNREACHABLE,
} from "../../src/wire/icmp.ts"
import { PROTOCOL_UDP } from "../../src/wire/ipv4.ts"
import { decodeQuote } from "../../src/wire/quote.ts"
import { displaced, hex, ip, LINUX, octets, toHex, u8, u16, u32, written } from "./support.ts"

const ping = hex("000102030405060708")
const quoted = LINUX.portUnreachable.slice(42)
const vectors: ReadonlyArray<[string, Uint8Array, IcmpMessage]> = [
  ["echo request", LINUX.ping.subarray(34), { _tag: "EchoRequest", identifier: 0x1bf9, sequence: 1, payload: ping }],
  [
    "port unreachable",
    LINUX.portUnreachable.subarray(34),
    { _tag: "DestinationUnreachable", code: PORT_UNREACHABLE, nextHopMtu: 0, quoted },
  ],
]

describe("message of Linux's", () => {
  test.each(vectors)("%s: read, and written again octet for octet", (_, bytes, message) => {
    const at = displaced(bytes)
    expect(decodeIcmp(at.bytes, at.offset, at.length)).toEqual(message)
    expect(toHex(written((out, offset) => encodeIcmp(out, offset, message)))).toBe(toHex(bytes))
  })
})

describe("message", () => {
  test("7 octets: dropped", () => {
    expect(decodeIcmp(LINUX.ping, 34, 7)).toBe("icmp:truncated")
  })

  test("one bit wrong: dropped", () => {
    const bytes = LINUX.ping.slice(34)
    bytes[9] = 0xff
    expect(decodeIcmp(bytes, 0, bytes.length)).toBe("icmp:bad-checksum")
  })

  test.each<[string, IcmpMessage, string]>([
    ["echo reply", { _tag: "EchoReply", identifier: 0x1bf9, sequence: 1, payload: ping }, "0000 cff5 1bf9 0001"],
    [
      "fragmentation needed",
      { _tag: "DestinationUnreachable", code: FRAGMENTATION_NEEDED, nextHopMtu: 1400, quoted: hex("") },
      "0304 f783 0000 0578",
    ],
    ["time exceeded", { _tag: "TimeExceeded", code: 1, quoted: hex("") }, "0b01 f4fe 0000 0000"],
    ["parameter problem", { _tag: "ParameterProblem", code: 0, pointer: 20, quoted: hex("") }, "0c00 dfff 1400 0000"],
    ["redirect", { _tag: "Other", type: 5, code: 1, rest: 0xc6120701, payload: hex("") }, "0501 2deb c612 0701"],
  ])("%s: encoded", (_, message, expected) => {
    const bytes = written((out, offset) => encodeIcmp(out, offset, message))
    expect(toHex(bytes.subarray(0, 8))).toBe(expected.replaceAll(" ", ""))
  })

  test("an error about a packet of 1500 octets: a datagram of 576", () => {
    const packet = Uint8Array.from({ length: 1500 }, (_, i) => i)
    for (const error of [
      { _tag: "DestinationUnreachable", code: 1, nextHopMtu: 0, quoted: packet },
      { _tag: "TimeExceeded", code: 0, quoted: packet },
      { _tag: "ParameterProblem", code: 0, pointer: 1, quoted: packet },
    ] as const) {
      const bytes = written((out, offset) => encodeIcmp(out, offset, error))
      expect(20 + bytes.length).toBe(576)
      expect(decodeIcmp(bytes, 0, bytes.length)).toEqual({ ...error, quoted: packet.slice(0, LONGEST_QUOTE) })
    }
  })

  test("an echo reply of 1500 octets: whole", () => {
    const message = { _tag: "EchoReply", identifier: 1, sequence: 2, payload: new Uint8Array(1500).fill(7) } as const
    const bytes = written((out, offset) => encodeIcmp(out, offset, message))
    expect(decodeIcmp(bytes, 0, bytes.length)).toEqual(message)
  })

  const body = octets(LONGEST_QUOTE)
  const anyMessage: fc.Arbitrary<IcmpMessage> = fc.oneof(
    fc.record({
      _tag: fc.constantFrom("EchoRequest", "EchoReply"),
      identifier: u16,
      sequence: u16,
      payload: body,
    }),
    fc.record({ _tag: fc.constant("DestinationUnreachable"), code: u8, nextHopMtu: u16, quoted: body }),
    fc.record({ _tag: fc.constant("TimeExceeded"), code: u8, quoted: body }),
    fc.record({ _tag: fc.constant("ParameterProblem"), code: u8, pointer: u8, quoted: body }),
    fc.record({
      _tag: fc.constant("Other"),
      type: u8.filter((type) => ![0, 3, 8, 11, 12].includes(type)),
      code: u8,
      rest: u32,
      payload: body,
    }),
  )

  test("any, encoded and decoded: the same", () => {
    fc.assert(
      fc.property(anyMessage, (message) => {
        const bytes = written((out, offset) => encodeIcmp(out, offset, message))
        expect(decodeIcmp(bytes, 0, bytes.length)).toEqual(message)
      }),
    )
  })
})

describe("quotation", () => {
  test("a UDP datagram that Linux refused: its ends", () => {
    const quote = decodeQuote(quoted)
    if (isDrop(quote)) throw new Error(quote)
    expect(quote).toMatchObject({ sourcePort: 4000, destinationPort: 4001 })
    expect(quote.ip).toMatchObject({ protocol: PROTOCOL_UDP, source: ip("198.18.7.2"), destination: ip("198.18.7.1") })
  })

  test("a TCP segment, only 8 octets of it: its sequence number", () => {
    expect(decodeQuote(LINUX.synIpv4.subarray(14, 42))).toMatchObject({ sourcePort: 59506, seq: 0xc75412f7 })
  })

  test("less than RFC 792's 8 octets: dropped", () => {
    expect(decodeQuote(LINUX.synIpv4.subarray(14, 41))).toBe("icmp:short-quote")
    expect(decodeQuote(LINUX.synIpv4.subarray(14, 33))).toBe("ipv4:truncated")
  })

  test("a later fragment, which has no ports: dropped", () => {
    const bytes = LINUX.synIpv4.slice(14)
    bytes[7] = 1
    expect(decodeQuote(bytes)).toBe("icmp:quoted-fragment")
  })
})
