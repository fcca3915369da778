import { describe, expect, test } from "bun:test"
import { Schedule, type Task } from "../../../src/sim/network/schedule.ts"
import { OFF } from "../../../src/wire/time.ts"

describe("a schedule", () => {
  test("runs what is due by time, then by order, and a task moved earlier once only", () => {
    const schedule = new Schedule()
    const seen: Array<string> = []
    const task: Task = { wakeAt: OFF, run: (now) => seen.push(`task ${now}`) }
    schedule.wake(task, 50)
    schedule.wake(task, 20)
    schedule.at(20, () => seen.push("call"))
    schedule.at(10, () => seen.push("first"))
    for (let next = schedule.next(); next !== OFF; next = schedule.next()) schedule.runDue(next)
    expect(seen).toEqual(["first", "task 20", "call"])
    expect(schedule.now).toBe(50)
  })

  test("a task that never lets time go on: an error, not a hang", () => {
    const schedule = new Schedule()
    const task: Task = { wakeAt: OFF, run: (now) => schedule.wake(task, now) }
    schedule.wake(task, 7)
    expect(() => schedule.runDue(7)).toThrow("virtual time stands still at 7 us")
  })
})
