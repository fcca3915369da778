import { expect, test } from "bun:test"
import fc from "fast-check"
import { agreedBy, termsOf } from "../../src/tcp/terms.ts"

test("terms: what was agreed comes back from the number", () => {
  const agreed = fc.record({
    peerMss: fc.integer({ min: 0, max: 65535 }),
    sndScale: fc.integer({ min: 0, max: 14 }),
    rcvScale: fc.integer({ min: 0, max: 14 }),
    scaling: fc.boolean(),
    timestamps: fc.boolean(),
    sack: fc.boolean(),
    ecn: fc.boolean(),
    signature: fc.integer({ min: 0, max: 40 }),
  })
  fc.assert(fc.property(agreed, (each) => expect(agreedBy(termsOf(each))).toEqual(each)))
})
