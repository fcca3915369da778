import { quantile } from "./measure.ts"

/** How often the application has something to do of its own, milliseconds. */
const PERIOD = 2

/** By how much a timer was late, milliseconds. */
export interface Delays {
  readonly samples: number
  readonly median: number
  readonly p99: number
  readonly most: number
}

/**
 * Keeps an eye on this process's own event loop: a line `watch` on standard input begins, a line `tell` ends, and the
 * answer is a line of JSON (`Delays`).
 */
export const answerDelays = (): void => {
  const delays: Array<number> = []
  let watching = false

  /** What an application's own timer is late by. */
  const sample = (): void => {
    const due = performance.now() + PERIOD
    setTimeout(() => {
      delays.push(performance.now() - due)
      if (watching) sample()
    }, PERIOD)
  }

  const answer = (line: string): void => {
    if (line === "watch") {
      watching = true
      delays.length = 0
      sample()
      return
    }
    watching = false
    const sorted = delays.toSorted((x, y) => x - y)
    const [median, p99, most = 0] = [quantile(sorted, 0.5), quantile(sorted, 0.99), sorted.at(-1)]
    const told: Delays = { samples: sorted.length, median, p99, most }
    console.log(JSON.stringify(told))
  }

  process.stdin.setEncoding("utf8")
  process.stdin.on("data", (text: string) => {
    for (const line of text.split("\n").filter(Boolean)) answer(line)
  })
}
