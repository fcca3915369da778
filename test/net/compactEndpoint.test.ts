import { expect, test } from "bun:test"
import fc from "fast-check"
import { compact, unpacked } from "../../src/net/compactEndpoint.ts"
import { ipv4, ipv6 } from "../../src/wire/address.ts"

const word = fc.nat(0xffffffff)
const port = fc.nat(65535)

test("a compact endpoint of either family is unpacked as it was, and that of IPv4 is a number", () => {
  fc.assert(
    fc.property(word, word, word, word, port, (a, b, c, d, port) => {
      const four = { address: ipv4(d), port }
      const six = { address: { ...ipv6(a, b, c, d), zone: 1 }, port }
      expect([unpacked(compact(four)), unpacked(compact(six))]).toEqual([four, six])
      expect(typeof compact(four)).toBe("number")
    }),
    { seed: 1, examples: [[0, 0, 0, 0xffffffff, 65535]] },
  )
})
