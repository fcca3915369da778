import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { Deadlines, type Scheduled } from "../../src/host/deadlines.ts"
import { NumberTable } from "../../src/host/numberTable.ts"
import { OFF } from "../../src/tcp/time.ts"
import { must, PATIENCE, runs } from "./support.ts"

describe("a table of numbers", () => {
  /** Few of them, so that they meet again; among them such as a hash makes and such as 32 bits do not hold. */
  const anyKey = fc.oneof(
    fc.nat(40),
    fc.constantFrom(-1, -(2 ** 31), 2 ** 31, 2 ** 32, 2 ** 32 + 1, Number.MAX_SAFE_INTEGER),
    fc.nat(30).map((n) => n * 2 ** 16),
  )
  const anyChange = fc.oneof(
    fc.record({ set: anyKey, value: fc.nat(1000) }),
    fc.record({ set: anyKey, value: fc.nat(1000) }),
    fc.record({ delete: anyKey }),
  )

  test(
    "set and deleted in any order: what a Map would hold",
    () => {
      fc.assert(
        fc.property(fc.array(anyChange, { maxLength: 400 }), (changes) => {
          const table = new NumberTable<number>()
          const model = new Map<number, number>()
          for (const change of changes) {
            if ("set" in change) {
              table.set(change.set, change.value)
              model.set(change.set, change.value)
            } else {
              must(table.delete(change.delete) === model.delete(change.delete), "delete says whether there was one")
            }
            must(table.size === model.size, "as many")
          }
          for (const change of changes) {
            const key = "set" in change ? change.set : change.delete
            must(table.get(key) === model.get(key), "the same value")
            must(table.has(key) === model.has(key), "the same keys")
          }
          expect(new Map(table.entries())).toEqual(model)
        }),
        runs(200),
      )
    },
    PATIENCE,
  )

  test("a hundred thousand that all go again: all are found, and the memory goes with them", () => {
    const table = new NumberTable<number>()
    const count = 100_000
    for (let key = 0; key < count; key++) table.set(key, key)
    for (let key = 0; key < count; key++) if (table.get(key) !== key) throw new Error(`${key} is lost`)
    expect(table.slots).toBeGreaterThan(count)
    for (let key = 0; key < count; key++) table.delete(key)
    expect(table.size).toBe(0)
    expect(table.slots).toBeLessThan(100)
  })

  test("cleared: nothing is left", () => {
    const table = new NumberTable<string>()
    table.set(7, "seven")
    table.clear()
    expect(table.get(7)).toBeUndefined()
    expect([...table.entries()]).toEqual([])
  })
})

describe("deadlines", () => {
  const OWNERS = 200
  const anyChange = fc.oneof(
    fc.record({ schedule: fc.nat(OWNERS - 1), at: fc.integer({ min: 1, max: 500 }) }),
    fc.record({ schedule: fc.nat(OWNERS - 1), at: fc.integer({ min: 1, max: 500 }) }),
    fc.record({ forget: fc.nat(OWNERS - 1) }),
    fc.record({ due: fc.integer({ min: 1, max: 300 }) }),
  )

  test(
    "scheduled, forgotten and taken in any order: each comes up once, at its earliest, in order",
    () => {
      fc.assert(
        fc.property(fc.array(anyChange, { minLength: 300, maxLength: 1500 }), (changes) => {
          const deadlines = new Deadlines<Scheduled>()
          const owners = Array.from({ length: OWNERS }, (): Scheduled => ({ scheduledAt: OFF }))
          const model = new Map<Scheduled, number>()
          const take = (now: number): void => {
            for (let last = 0; ; ) {
              const first = model.size === 0 ? OFF : Math.min(...model.values())
              must(deadlines.next() === first, "the earliest is next")
              const owner = deadlines.takeDue(now)
              const at = owner === undefined ? undefined : model.get(owner)
              must((at !== undefined) === (first !== OFF && first <= now), "what is due is taken")
              if (owner === undefined || at === undefined) return
              must(at >= last && at === first, "in order")
              last = at
              model.delete(owner)
            }
          }
          for (const change of changes) {
            if ("due" in change) take(change.due)
            else if ("forget" in change) {
              const owner = owners[change.forget]
              if (owner === undefined) continue
              deadlines.forget(owner)
              model.delete(owner)
            } else {
              const owner = owners[change.schedule]
              if (owner === undefined) continue
              deadlines.schedule(owner, change.at)
              model.set(owner, Math.min(model.get(owner) ?? Number.POSITIVE_INFINITY, change.at))
            }
          }
          take(1000)
        }),
        runs(60),
      )
    },
    PATIENCE,
  )

  test("owners that come and go before their time: the heap keeps few of them", () => {
    const deadlines = new Deadlines<Scheduled>()
    for (let n = 0; n < 10_000; n++) {
      const owner: Scheduled = { scheduledAt: OFF }
      deadlines.schedule(owner, 1_000_000 + n)
      deadlines.forget(owner)
    }
    expect(deadlines.length).toBeLessThan(200)
    expect(deadlines.next()).toBe(OFF)
  })
})
