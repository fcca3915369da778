import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { extensionOf, moved } from "../../src/tcp/authentication/extension.ts"
import {
  type AoKey,
  type Authentication,
  aoKeysFor,
  md5KeyFor,
  NO_AUTHENTICATION,
  problemOf,
  signatureOctets,
} from "../../src/tcp/authentication/keys.ts"
import { findSignatures } from "../../src/tcp/authentication/octets.ts"
import { UNSPECIFIED4 } from "../../src/wire/address.ts"
import { parseAddress, parseCidr } from "../../src/wire/addressText.ts"

const cidr = (text: string) => parseCidr(text) ?? expect.unreachable(text)
const at = (text: string) => parseAddress(text) ?? expect.unreachable(text)
const key = (length: number): Uint8Array => new Uint8Array(length).fill(7)

const md5 = (peer: string, length = 8) => ({ peer: cidr(peer), key: key(length) })
const ao = (peer: string, sendId: number, recvId: number, more: Partial<AoKey> = {}): AoKey => ({
  peer: cidr(peer),
  key: key(16),
  sendId,
  recvId,
  algorithm: "sha1",
  macLength: 12,
  coverOptions: true,
  ...more,
})
const asked = (more: Partial<Authentication>): Authentication => ({ ...NO_AUTHENTICATION, ...more })

describe("keys of a socket", () => {
  test("of several MD5 prefixes that hold a peer the longest counts", () => {
    const wide = md5("198.18.0.0/16")
    const narrow = md5("198.18.7.0/24")
    for (const keys of [
      [wide, narrow],
      [narrow, wide],
    ]) {
      expect(md5KeyFor(asked({ md5: keys }), at("198.18.7.1"))).toBe(narrow)
      expect(md5KeyFor(asked({ md5: keys }), at("198.18.8.1"))).toBe(wide)
      expect(md5KeyFor(asked({ md5: keys }), at("10.0.0.1"))).toBeUndefined()
      expect(md5KeyFor(asked({ md5: keys }), at("2001:db8::1"))).toBeUndefined()
    }
    expect(md5KeyFor(undefined, at("198.18.7.1"))).toBeUndefined()
  })

  test("all TCP-AO keys that hold a peer are its keys", () => {
    const keys = [ao("198.18.0.0/16", 1, 2), ao("198.18.7.0/24", 3, 4), ao("2001:db8::/32", 1, 2)]
    expect(aoKeysFor(asked({ ao: keys }), at("198.18.7.1")).map(({ sendId }) => sendId)).toEqual([1, 3])
    expect(aoKeysFor(asked({ ao: keys }), at("2001:db8::1")).map(({ sendId }) => sendId)).toEqual([1])
  })

  const octets: ReadonlyArray<readonly [string, Authentication | undefined, number]> = [
    ["none", undefined, 0],
    ["MD5 of another peer", asked({ md5: [md5("10.0.0.0/8")] }), 0],
    ["MD5: two NOPs and 18", asked({ md5: [md5("198.18.0.0/16")] }), 20],
    ["TCP-AO, MAC of 12", asked({ ao: [ao("198.18.0.0/16", 1, 2)] }), 16],
    ["TCP-AO, MAC of 16", asked({ ao: [ao("198.18.0.0/16", 1, 2, { macLength: 16 })] }), 20],
    ["TCP-AO, MAC of 5, padded", asked({ ao: [ao("198.18.0.0/16", 1, 2, { macLength: 5 })] }), 12],
    [
      "the longest of several",
      asked({ ao: [ao("198.18.0.0/16", 1, 2), ao("198.18.0.0/16", 3, 4, { macLength: 16 })] }),
      20,
    ],
  ]
  test.each(octets)("octets in every segment: %s", (_, authentication, expected) => {
    expect(signatureOctets(authentication, at("198.18.7.1"))).toBe(expected)
  })

  const problems: ReadonlyArray<readonly [string, Partial<Authentication>, string | undefined]> = [
    ["nothing", {}, undefined],
    ["80 octets of key", { md5: [md5("198.18.0.1/32", 80)] }, undefined],
    ["81 octets of MD5 key", { md5: [md5("198.18.0.1/32", 81)] }, "80 octets"],
    ["81 octets of TCP-AO key", { ao: [ao("198.18.0.1/32", 1, 1, { key: key(81) })] }, "80 octets"],
    ["no key", { md5: [md5("198.18.0.1/32", 0)] }, "1 to 80"],
    ["a prefix of 33", { md5: [{ peer: { address: UNSPECIFIED4, length: 33 }, key: key(1) }] }, "prefix"],
    ["two MD5 keys for one prefix", { md5: [md5("198.18.0.1/24"), md5("198.18.0.2/24")] }, "one peer"],
    ["two MD5 prefixes, one in the other", { md5: [md5("198.18.0.0/24"), md5("198.18.0.1/32")] }, undefined],
    ["MD5 and TCP-AO for one peer", { md5: [md5("198.18.0.0/24")], ao: [ao("198.18.0.1/32", 1, 1)] }, "not both"],
    ["MD5 and TCP-AO for two peers", { md5: [md5("198.18.0.2/32")], ao: [ao("198.18.0.1/32", 1, 1)] }, undefined],
    ["a SendID twice", { ao: [ao("198.18.0.1/32", 1, 1), ao("198.18.0.0/24", 1, 2)] }, "share an id"],
    ["a RecvID twice", { ao: [ao("198.18.0.1/32", 1, 1), ao("198.18.0.0/24", 2, 1)] }, "share an id"],
    ["the same ids for two peers", { ao: [ao("198.18.0.1/32", 1, 1), ao("198.18.0.2/32", 1, 1)] }, undefined],
    ["ids 0 and 255", { ao: [ao("198.18.0.1/32", 0, 255)] }, undefined],
    ["id 256", { ao: [ao("198.18.0.1/32", 256, 1)] }, "0 to 255"],
    ["a MAC of 17", { ao: [ao("198.18.0.1/32", 1, 1, { macLength: 17 })] }, "4 to 16"],
    ["a MAC of 3", { ao: [ao("198.18.0.1/32", 1, 1, { macLength: 3 })] }, "4 to 16"],
    ["a current key that is none", { ao: [ao("198.18.0.1/32", 1, 2)], current: 2 }, "sends as 2"],
    ["an rnext key that is none", { ao: [ao("198.18.0.1/32", 1, 2)], rnext: 1 }, "receives as 1"],
  ]
  test.each(problems)("%s", (_, authentication, expected) => {
    const problem = problemOf(asked(authentication))
    if (expected === undefined) expect(problem).toBeUndefined()
    else expect(problem).toContain(expected)
  })
})

describe("sequence number extension", () => {
  const table: ReadonlyArray<readonly [string, number, number, number, number]> = [
    // known seq, its SNE, seq, expected
    ["the place itself", 100, 0, 100, 0],
    ["later", 100, 5, 200, 5],
    ["earlier", 200, 5, 100, 5],
    ["over the wrap", 0xffffff00, 0, 0x100, 1],
    ["back over the wrap", 0x100, 1, 0xffffff00, 0],
    ["before the very first octet", 0, 0, 0xffffffff, 0xffffffff],
    ["the extension's own wrap", 0xffffff00, 0xffffffff, 0, 0],
  ]
  test.each(table)("%s", (_, seq, sne, asked, expected) => {
    expect(extensionOf({ seq, sne }, asked)).toBe(expected)
  })

  test("follows a 64-bit stream however segments are reordered within a window", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 0xffffffff }),
        fc.array(fc.tuple(fc.integer({ min: 0, max: 2 ** 30 }), fc.integer({ min: 0, max: 2 ** 30 })), {
          maxLength: 60,
        }),
        (isn, steps) => {
          let known = { seq: isn, sne: 0 }
          let place = isn
          for (const [forward, back] of steps) {
            place += forward
            known = moved(known, place % 2 ** 32)
            expect(known).toEqual({ seq: place % 2 ** 32, sne: Math.floor(place / 2 ** 32) })
            const old = Math.max(isn, place - back)
            expect(extensionOf(known, old % 2 ** 32)).toBe(Math.floor(old / 2 ** 32))
            expect(moved(known, old % 2 ** 32)).toBe(known)
          }
        },
      ),
    )
  })
})

describe("signature options in a header", () => {
  const header = (...options: ReadonlyArray<number>) => {
    const padded = [...options, ...new Array<number>((4 - (options.length % 4)) % 4).fill(1)]
    const bytes = Uint8Array.from([...new Array<number>(20).fill(0), ...padded])
    bytes[12] = (bytes.length / 4) << 4
    return { bytes, offset: 0, length: bytes.length, source: UNSPECIFIED4, destination: UNSPECIFIED4 }
  }
  const MD5 = [19, 18, ...new Array<number>(16).fill(9)]
  const AO = [29, 16, 1, 2, ...new Array<number>(12).fill(9)]
  const table: ReadonlyArray<readonly [string, ReadonlyArray<number>, { md5: number; ao: number } | undefined]> = [
    ["none", [], { md5: 0, ao: 0 }],
    ["others only", [2, 4, 5, 180], { md5: 0, ao: 0 }],
    ["MD5 after NOPs", [1, 1, ...MD5], { md5: 22, ao: 0 }],
    ["TCP-AO after MSS", [2, 4, 5, 180, ...AO], { md5: 0, ao: 24 }],
    ["behind the end of the list", [0, ...AO], { md5: 0, ao: 0 }],
    ["MD5 twice", [...MD5, ...MD5], undefined],
    ["TCP-AO twice", [...AO, ...AO], undefined],
    ["both", [...MD5, ...AO], undefined],
    ["MD5 of a wrong length", [19, 10, 0, 0, 0, 0, 0, 0, 0, 0], undefined],
    ["TCP-AO without a MAC", [29, 4, 1, 2], undefined],
    ["TCP-AO beyond the header", [29, 20, 1, 2], undefined],
    ["a length of 0", [8, 0], undefined],
    ["a kind at the very end", [1, 1, 1, 8], undefined],
  ]
  test.each(table)("%s", (_, options, expected) => {
    expect(findSignatures(header(...options))).toEqual(expected)
  })
})
