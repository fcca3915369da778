import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import {
  type Assembly,
  type Fragment,
  firstFragment,
  fragmentArrives,
  impossible,
  type ReassemblyStep,
} from "../../src/ip/reassembly.ts"
import { ipv4 } from "../../src/wire/address.ts"
import { isDrop } from "../../src/wire/drop.ts"
import { FRAGMENT_HEADER, NEXT_HEADER_FRAGMENT, writeFragmentHeader } from "../../src/wire/fragmentHeader.ts"
import { decodeIpv4, writeIpv4 } from "../../src/wire/ipv4.ts"
import { decodeIpv6, IPV6_HEADER } from "../../src/wire/ipv6.ts"
import { EMPTY } from "../../src/wire/tcpSegment.ts"

const LIFETIME = 30_000_000

const HEAD4 = ((): Uint8Array => {
  const head = new Uint8Array(20)
  const addresses = { source: ipv4(0xc6120002), destination: ipv4(0xc6120001) }
  const flags = { dontFragment: false, moreFragments: true, fragmentOffset: 0 }
  const rest = { protocol: 17, ttl: 64, tos: 2, identification: 9, options: EMPTY, payloadLength: 8 }
  writeIpv4(head, 0, { ...addresses, ...flags, ...rest })
  return head
})()
const HEAD6 = ((): Uint8Array => {
  const head = new Uint8Array(IPV6_HEADER + FRAGMENT_HEADER)
  head[0] = 0x60
  head[6] = NEXT_HEADER_FRAGMENT
  writeFragmentHeader(head, IPV6_HEADER, { nextHeader: 17, offset: 0, more: true, identification: 9 })
  return head
})()

/** "8+16m": sixteen octets at offset 8, more to come. Octets tell where they belong; `x` makes other ones of them. */
const fragmentOf = (notation: string, family: 4 | 6 = 4, ecn = 0): Fragment => {
  const [, offset = "", length = "", more, other] = /^(\d+)\+(\d+)(m?)(x?)$/.exec(notation) ?? []
  const from = Number(offset)
  return {
    family,
    offset: from,
    more: more === "m",
    octets: Uint8Array.from({ length: Number(length) }, (_, index) => (from + index + (other === "x" ? 1 : 0)) & 0xff),
    ecn,
    head: family === 4 ? HEAD4 : HEAD6,
  }
}

const outcome = (step: ReassemblyStep): string =>
  step._tag === "Ignored" || step._tag === "Discarded" ? `${step._tag} ${step.why}` : step._tag

/** What becomes of each fragment in turn. */
const outcomes = (notations: ReadonlyArray<string>, family: 4 | 6 = 4): ReadonlyArray<string> => {
  let assembly: Assembly | undefined
  return notations.map((notation) => {
    const fragment = fragmentOf(notation, family)
    const why = impossible(fragment)
    if (why !== undefined) return `impossible ${why}`
    const step = fragmentArrives(assembly, fragment, 0, LIFETIME)
    assembly = step._tag === "Complete" ? undefined : step.assembly
    return outcome(step)
  })
}

const HELD = "Held"
const DONE = "Complete"
const OVERLAP = "Discarded RFC5722-4:overlap"
const DISAGREE = "Discarded RFC791-3.2:ends-disagree"
const DUPLICATE = "Ignored RFC8200-4.5:exact-duplicate"
const SPOILT = "Ignored RFC5722-4:of-a-discarded-datagram"

describe("fragments in every order", () => {
  test.each<[string, ReadonlyArray<string>, ReadonlyArray<string>]>([
    ["first to last", ["0+8m", "8+8m", "16+3"], [HELD, HELD, DONE]],
    ["last to first", ["16+3", "8+8m", "0+8m"], [HELD, HELD, DONE]],
    ["the middle last", ["16+3", "0+8m", "8+8m"], [HELD, HELD, DONE]],
    ["one twice", ["0+8m", "0+8m", "8+3"], [HELD, DUPLICATE, DONE]],
    ["the last twice", ["8+3", "8+3", "0+8m"], [HELD, DUPLICATE, DONE]],
    ["a tiny first one, of eight octets", ["0+8m", "8+1400"], [HELD, DONE]],
  ])("%s", (_, notations, expected) => {
    expect(outcomes(notations, 4)).toEqual([...expected])
    expect(outcomes(notations, 6)).toEqual([...expected])
  })
})

describe("the classic attacks", () => {
  // After an overlap IPv4 forgets the datagram, IPv6 keeps the rest of it from being believed.
  test.each<[string, ReadonlyArray<string>, ReadonlyArray<string>, ReadonlyArray<string>]>([
    ["teardrop: the second lies inside the first", ["0+40m", "24+4"], [HELD, DISAGREE], [HELD, DISAGREE]],
    ["teardrop with a middle fragment", ["0+40m", "24+8m", "40+8"], [HELD, OVERLAP, HELD], [HELD, OVERLAP, SPOILT]],
    ["syndrop: the second begins before the first ends", ["0+16m", "8+16m"], [HELD, OVERLAP], [HELD, OVERLAP]],
    [
      "bonk: the second begins behind the end",
      ["0+40m", "48+8", "56+8m"],
      [HELD, HELD, DISAGREE],
      [HELD, HELD, DISAGREE],
    ],
    ["the header written over", ["0+24m", "0+8m", "24+8"], [HELD, OVERLAP, HELD], [HELD, OVERLAP, SPOILT]],
    ["a copy with other octets", ["0+8m", "0+8mx", "8+8"], [HELD, OVERLAP, HELD], [HELD, OVERLAP, SPOILT]],
    ["two ends, the second nearer", ["16+8", "8+8"], [HELD, DISAGREE], [HELD, DISAGREE]],
    ["two ends, the second further", ["16+8", "24+8"], [HELD, DISAGREE], [HELD, DISAGREE]],
    ["one that spans two others", ["0+8m", "16+8m", "0+24m"], [HELD, HELD, OVERLAP], [HELD, HELD, OVERLAP]],
  ])("%s", (_, notations, over4, over6) => {
    expect(outcomes(notations, 4)).toEqual([...over4])
    expect(outcomes(notations, 6)).toEqual([...over6])
  })

  test("ping of death: a last fragment that ends beyond 65535 is impossible", () => {
    const LONGER = "impossible RFC791-3.1:longer-than-65535"
    expect(outcomes(["65512+4"], 4)).toEqual([LONGER])
    expect(outcomes(["65512+3"], 4)).toEqual([HELD])
    expect(outcomes(["65528+8"], 6)).toEqual([LONGER])
    expect(outcomes(["65528+7"], 6)).toEqual([HELD])
  })

  test("a fragment that is not the last, and not of whole eights: impossible", () => {
    expect(outcomes(["0+9m"])).toEqual(["impossible RFC8200-4.5:fragment-not-of-8-octets"])
  })

  test("a fragment of nothing: impossible", () => {
    expect(outcomes(["8+0m", "8+0"])).toEqual(new Array(2).fill("impossible RFC791-3.2:empty-fragment"))
  })
})

describe("the whole", () => {
  const whole = (...fragments: ReadonlyArray<Fragment>): Uint8Array | string => {
    let assembly: Assembly | undefined
    for (const fragment of fragments) {
      const step = fragmentArrives(assembly, fragment, 0, LIFETIME)
      if (step._tag === "Complete") return step.packet
      if (step._tag === "Discarded") return step.why
      assembly = step.assembly
    }
    return "incomplete"
  }

  test("over IPv4: a packet with a right checksum and no mark of fragments", () => {
    const packet = whole(fragmentOf("8+5"), fragmentOf("0+8m"))
    const decoded = typeof packet === "string" ? packet : decodeIpv4(packet, 0, packet.length)
    if (typeof decoded === "string") throw new Error(decoded)
    expect(decoded).toMatchObject({ moreFragments: false, fragmentOffset: 0, payloadLength: 13, ttl: 64, tos: 2 })
  })

  test("over IPv6: the payload length is that of the whole", () => {
    const packet = whole(fragmentOf("8+5", 6), fragmentOf("0+8m", 6))
    const decoded = typeof packet === "string" ? packet : decodeIpv6(packet, 0, packet.length)
    if (isDrop(decoded as object) || typeof decoded === "string") throw new Error(String(decoded))
    expect(decoded).toMatchObject({ protocol: 17, payloadLength: 13 })
  })

  // The codepoints of two fragments, and the whole's. RFC 3168 section 5.3; the mixtures as Linux's ip_frag_ecn_table.
  const DISAGREES = "RFC3168-5.3:ECN-disagrees"
  test.each<[string, number, number, number | string]>([
    ["ECT(0), ECT(0)", 2, 2, 2],
    ["ECT(0), CE", 2, 3, 3],
    ["ECT(0), ECT(1)", 2, 1, 2],
    ["Not-ECT, CE", 0, 3, DISAGREES],
    ["ECT(0), Not-ECT", 2, 0, DISAGREES],
  ])("of %s", (_, first, second, expected) => {
    const head = HEAD4.slice()
    head[1] = first
    const packet = whole({ ...fragmentOf("0+8m", 4, first), head }, fragmentOf("8+8", 4, second))
    expect(typeof packet === "string" ? packet : (packet[1] ?? 0) & 3).toBe(expected)
  })

  test("CE over IPv6 is set in the traffic class", () => {
    const packet = whole(fragmentOf("0+8m", 6, 2), fragmentOf("8+8", 6, 3))
    expect(typeof packet === "string" ? packet : ((packet[1] ?? 0) >> 4) & 3).toBe(3)
  })

  test("what an error quotes: the first fragment, and nothing before it has come", () => {
    const later = fragmentArrives(undefined, fragmentOf("8+8m"), 0, LIFETIME)
    if (later._tag !== "Held") throw new Error(later._tag)
    expect(firstFragment(later.assembly)).toBeUndefined()
    const both = fragmentArrives(later.assembly, fragmentOf("0+8m"), 0, LIFETIME)
    if (both._tag !== "Held") throw new Error(both._tag)
    expect(firstFragment(both.assembly)).toEqual(Uint8Array.from([...HEAD4, ...fragmentOf("0+8m").octets]))
  })

  test("the deadline is the first fragment's, whatever comes later", () => {
    const first = fragmentArrives(undefined, fragmentOf("8+8m"), 1000, LIFETIME)
    if (first._tag !== "Held") throw new Error(first._tag)
    const second = fragmentArrives(first.assembly, fragmentOf("16+8m"), 9_000_000, LIFETIME)
    expect(second._tag === "Held" ? second.assembly.deadline : 0).toBe(1000 + LIFETIME)
  })

  test("cut anywhere, shuffled and doubled: the same octets, whatever the order", () => {
    const cuts = fc.uniqueArray(fc.integer({ min: 1, max: 500 }), { maxLength: 40 })
    fc.assert(
      fc.property(
        fc.integer({ min: 4001, max: 9000 }),
        cuts,
        fc.constantFrom<4 | 6>(4, 6),
        fc.infiniteStream(fc.nat()),
        (length, units, family, chance) => {
          const data = Uint8Array.from({ length }, (_, index) => (index * 37 + (index >> 7)) & 0xff)
          const edges = [0, ...units.map((unit) => unit * 8).sort((x, y) => x - y), length]
          const pieces = edges.slice(0, -1).map((from, index): Fragment => {
            const to = edges[index + 1] ?? length
            return { ...fragmentOf("0+0", family), offset: from, more: to < length, octets: data.slice(from, to) }
          })
          const random = (): number => chance.next().value ?? 0
          const doubled = pieces.flatMap((piece) => (random() % 3 === 0 ? [piece, piece] : [piece]))
          const shuffled = doubled
            .map((piece) => ({ piece, key: random() }))
            .sort((x, y) => x.key - y.key)
            .map(({ piece }) => piece)
          const packet = whole(...shuffled)
          if (typeof packet === "string") throw new Error(packet)
          expect(packet.subarray(family === 4 ? 20 : 40)).toEqual(data)
        },
      ),
      { numRuns: 300 },
    )
  })
})
