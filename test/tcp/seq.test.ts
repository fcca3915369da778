import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { acceptable } from "../../src/tcp/acceptable.ts"
import { add, after, atOrAfter, atOrBefore, before, distance, earliest, latest } from "../../src/tcp/seq.ts"

const anySeq = fc.integer({ min: 0, max: 0xffff_ffff })
/** Ahead by less than half of the space. */
const ahead = fc.integer({ min: 1, max: 0x7fff_ffff })

describe("sequence numbers (RFC 9293 section 3.4)", () => {
  test("add, over the wrap: modulo 2^32", () => {
    expect(add(0xffff_ffff, 1)).toBe(0)
    expect(add(0xffff_fff0, 0x20)).toBe(0x10)
    expect(add(0, -1)).toBe(0xffff_ffff)
    expect(add(5, 0xffff_ffff)).toBe(4)
  })

  test("distance, over the wrap: signed", () => {
    expect(distance(0x10, 0xffff_fff0)).toBe(0x20)
    expect(distance(0xffff_fff0, 0x10)).toBe(-0x20)
  })

  test("distance, of what was added: the same", () => {
    fc.assert(
      fc.property(anySeq, ahead, (base, n) => {
        expect(distance(add(base, n), base)).toBe(n)
        expect(distance(base, add(base, n))).toBe(-n)
      }),
    )
  })

  test("before and after, anywhere: one of less, equal, greater", () => {
    fc.assert(
      fc.property(anySeq, ahead, (base, n) => {
        const later = add(base, n)
        expect([before(base, later), after(base, later), atOrBefore(base, later), atOrAfter(base, later)]).toEqual([
          true,
          false,
          true,
          false,
        ])
        expect([before(later, base), after(later, base)]).toEqual([false, true])
        expect([before(base, base), after(base, base), atOrBefore(base, base), atOrAfter(base, base)]).toEqual([
          false,
          false,
          true,
          true,
        ])
        expect([latest(base, later), latest(later, base)]).toEqual([later, later])
        expect([earliest(base, later), earliest(later, base)]).toEqual([base, base])
      }),
    )
  })
})

describe("segment acceptability (RFC 9293 table 6)", () => {
  // Windows are small enough to compare with the table counted out, octet by octet.
  test("any segment, over the wrap: as the table, counted out", () => {
    const small = fc.integer({ min: 0, max: 40 })
    fc.assert(
      fc.property(
        fc.constantFrom(0, 5, 0x7fff_fff0, 0x8000_0000, 0xffff_ffe8, 0xffff_ffff),
        fc.integer({ min: -60, max: 60 }),
        small,
        small,
        (nxt, offset, length, wnd) => {
          // As plain integers around RCV.NXT = 0.
          const inside = (at: number) => at >= 0 && at < wnd
          const wanted =
            length === 0
              ? wnd === 0
                ? offset === 0
                : inside(offset)
              : wnd > 0 && (inside(offset) || inside(offset + length - 1))
          expect(acceptable(add(nxt, offset), length, nxt, wnd)).toBe(wanted)
        },
      ),
      { numRuns: 5000 },
    )
  })
})
