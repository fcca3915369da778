import { describe, expect, test } from "bun:test"
import { Duration, Effect, Either, Fiber, Scope, TestClock, TestContext } from "effect"
import { happyEyeballs, interleaved } from "../../src/net/happyEyeballs.ts"

/** An attempt that ends after so many milliseconds, well or not. */
interface Plan {
  readonly name: string
  readonly after: number
  readonly works: boolean
}

const works = (name: string, after: number): Plan => ({ name, after, works: true })
const fails = (name: string, after: number): Plan => ({ name, after, works: false })
const NEVER = 1_000_000

/** What happens, with times: "0 +a", "250 +b", "300 b". */
const run = (...plans: readonly [Plan, ...ReadonlyArray<Plan>]): Promise<ReadonlyArray<string>> => {
  const log: Array<string> = []
  const now = Effect.clockWith((clock) => clock.currentTimeMillis)
  const note = (what: string): Effect.Effect<void> => Effect.map(now, (at) => void log.push(`${at} ${what}`))
  const attempt = ({ name, after, works }: Plan): Effect.Effect<string, string, Scope.Scope> =>
    note(`+${name}`).pipe(
      Effect.zipRight(Effect.sleep(Duration.millis(after))),
      Effect.zipRight(
        works ? Effect.acquireRelease(Effect.succeed(name), () => note(`release ${name}`)) : Effect.fail(name),
      ),
      Effect.onInterrupt(() => note(`-${name}`)),
    )
  const program = Effect.gen(function* () {
    const scope = yield* Scope.make()
    const fiber = yield* Effect.fork(Effect.either(Scope.extend(happyEyeballs(plans, attempt), scope)))
    yield* TestClock.adjust("10 seconds")
    const result = yield* Fiber.join(fiber)
    log.push(Either.isRight(result) ? `won: ${result.right}` : `failed: ${result.left}`)
    return log
  })
  return Effect.runPromise(Effect.provide(program, TestContext.TestContext))
}

describe("happy eyeballs", () => {
  const rows: ReadonlyArray<readonly [string, readonly [Plan, ...ReadonlyArray<Plan>], ReadonlyArray<string>]> = [
    ["the first answers at once", [works("a", 30), works("b", 30)], ["0 +a", "won: a"]],
    [
      "the first is silent: the second after 250 ms",
      [works("a", NEVER), works("b", 30)],
      ["0 +a", "250 +b", "280 -a", "won: b"],
    ],
    ["the first fails: the second at once", [fails("a", 10), works("b", 30)], ["0 +a", "10 +b", "won: b"]],
    [
      "the first is slow and wins all the same",
      [works("a", 300), works("b", NEVER)],
      ["0 +a", "250 +b", "300 -b", "won: a"],
    ],
    [
      "all fail: the first one's failure",
      [fails("a", 400), fails("b", 10), fails("c", 10)],
      ["0 +a", "250 +b", "260 +c", "failed: a"],
    ],
    ["one alone fails", [fails("a", 5)], ["0 +a", "failed: a"]],
  ]
  test.each(rows)("%s", async (_, plans, outcome) => {
    expect(await run(...plans)).toEqual([...outcome])
  })

  test("families by turns, the best one's first", () => {
    const familyOf = (name: string): 4 | 6 => (name.startsWith("6") ? 6 : 4)
    expect(interleaved(["6a", "6b", "6c", "4a", "4b"], familyOf)).toEqual(["6a", "4a", "6b", "4b", "6c"])
    expect(interleaved(["4a"], familyOf)).toEqual(["4a"])
    expect(interleaved([], familyOf)).toEqual([])
  })
})
