import { expect, test } from "bun:test"
import fc from "fast-check"
import { AddressMap } from "../../src/ip/addressMap.ts"
import { inZone, ipv4, ipv6 } from "../../src/wire/address.ts"
import { formatAddress } from "../../src/wire/addressText.ts"

// Few different ones, so that they meet; link-local ones on two links.
const few = fc.nat(5)
const anyAddress = fc.oneof(
  few.map(ipv4),
  few.map((n) => ipv6(0x20010db8, 0, 0, n)),
  fc.tuple(few, fc.constantFrom(1, 2)).map(([n, zone]) => inZone(ipv6(0xfe800000, 0, 0, n), zone)),
)
const anyCall = fc.oneof(
  fc.tuple(fc.constant("set" as const), anyAddress, fc.nat(99)),
  fc.tuple(fc.constant("delete" as const), anyAddress, fc.constant(0)),
)

test("any calls: as a map keyed by text answers", () => {
  fc.assert(
    fc.property(fc.array(anyCall, { maxLength: 40 }), fc.integer(), (calls, seed) => {
      const map = new AddressMap<number>(seed)
      const model = new Map<string, number>()
      for (const [call, address, value] of calls) {
        if (call === "set") {
          map.set(address, value)
          model.set(formatAddress(address), value)
        } else {
          map.delete(address)
          model.delete(formatAddress(address))
        }
        expect(map.get(address)).toBe(model.get(formatAddress(address)))
        expect(map.size).toBe(model.size)
      }
      expect(new Map([...map.entries()].map(([address, value]) => [formatAddress(address), value]))).toEqual(model)
    }),
  )
})
