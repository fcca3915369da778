import { expect, test } from "bun:test"
import fc from "fast-check"
import { Agenda } from "../../src/wire/agenda.ts"
import { OFF } from "../../src/wire/time.ts"

test("whatever is entered: it comes out by time, then by order of entry", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(20)), (times) => {
      const agenda = new Agenda<number>()
      for (const [order, at] of times.entries()) agenda.add(at, order)
      const expected = times.map((at, order) => ({ at, order })).sort((x, y) => x.at - y.at || x.order - y.order)
      for (const { at, order } of expected) {
        expect(agenda.next()).toBe(at)
        expect(agenda.takeDue(at - 1)).toBeUndefined()
        expect(agenda.takeDue(at)).toBe(order)
      }
      expect(agenda.next()).toBe(OFF)
    }),
  )
})
