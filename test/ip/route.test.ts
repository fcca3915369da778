import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { lookup, type Route } from "../../src/ip/route.ts"
import { ipv4, UNSPECIFIED4 } from "../../src/wire/address.ts"
import { formatAddress, parseCidr, parseIpv4 } from "../../src/wire/addressText.ts"

const ip = (s: string) => parseIpv4(s) ?? UNSPECIFIED4

const route = (cidr: string, via: string | undefined, iface: number): Route => {
  const parsed = parseCidr(cidr)
  if (parsed === undefined) throw new Error(cidr)
  return {
    prefix: parsed.address,
    prefixLength: parsed.length,
    via: via === undefined ? undefined : ip(via),
    interface: iface,
  }
}

const table = [
  route("198.18.0.2/24", undefined, 0),
  route("10.0.0.0/8", "198.18.0.9", 0),
  route("10.1.0.0/16", undefined, 1),
  route("10.1.2.3/32", "10.1.0.9", 1),
  route("0.0.0.0/0", "198.18.0.1", 0),
]

describe("a route table", () => {
  const rows: ReadonlyArray<readonly [string, number, string]> = [
    // destination    interface  neighbour
    ["198.18.0.77", 0, "198.18.0.77"],
    ["10.9.9.9", 0, "198.18.0.9"],
    ["10.1.9.9", 1, "10.1.9.9"],
    ["10.1.2.3", 1, "10.1.0.9"],
    ["8.8.8.8", 0, "198.18.0.1"],
    ["255.255.255.255", 0, "198.18.0.1"],
  ]

  test.each(rows)("%s: interface %p, by way of %s", (destination, iface, neighbour) => {
    const hop = lookup(table, ip(destination))
    expect(hop === undefined ? undefined : [hop.interface, formatAddress(hop.neighbour)]).toEqual([iface, neighbour])
  })

  test("the unspecified address: no way, not even by default", () => {
    expect(lookup(table, UNSPECIFIED4)).toBeUndefined()
  })

  test("no route that holds the address: no way", () => {
    expect(lookup(table.slice(0, 4), ip("8.8.8.8"))).toBeUndefined()
    expect(lookup([], ip("198.18.0.1"))).toBeUndefined()
  })

  test("two routes of one length: the first", () => {
    const twins = [route("10.0.0.0/8", undefined, 3), route("10.0.0.0/8", undefined, 4)]
    expect(lookup(twins, ip("10.0.0.1"))?.interface).toBe(3)
  })

  test("any table and address: the longest prefix that holds it, as a bit-by-bit search finds it", () => {
    const word = fc.integer({ min: 0, max: 0xffff_ffff })
    // Few different words, so that prefixes meet addresses.
    const few = fc.constantFrom(0x0a000000, 0x0a010000, 0x0a010203, 0xc6120001, 0x80000000, 1)
    const anyWord = fc.oneof(few, few, word)
    const anyRoute = fc.tuple(anyWord, fc.integer({ min: 0, max: 32 }))
    fc.assert(
      fc.property(fc.array(anyRoute, { maxLength: 12 }), anyWord, (prefixes, destination) => {
        const routes = prefixes.map(
          ([w, prefixLength], index): Route => ({
            prefix: ipv4(w),
            prefixLength,
            via: undefined,
            interface: index,
          }),
        )
        const bits = (w: number, n: number): string => w.toString(2).padStart(32, "0").slice(0, n)
        let best = -1
        for (const [index, [w, n]] of prefixes.entries()) {
          const longer = best < 0 || n > (prefixes[best]?.[1] ?? 0)
          if (bits(w, n) === bits(destination, n) && longer) best = index
        }
        expect(lookup(routes, ipv4(destination))?.interface).toBe(best < 0 || destination === 0 ? undefined : best)
      }),
    )
  })
})
