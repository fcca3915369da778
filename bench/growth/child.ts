/**
 * One scene in a process of its own, so that no other's heap is collected with it: `bun child.ts KIND COUNT`.
 * Says what it has over IPC, then takes a sample of each case as often as it is asked.
 */
import type { Answer, Question } from "./children.ts"
import { KINDS, makeScene } from "./scenes.ts"

const [word, count] = process.argv.slice(2)
const kind = KINDS.find((k) => k === word)
if (kind === undefined || process.send === undefined) throw new Error("this program is a child of the bench")

const say = (answer: Answer): void => void process.send?.(answer)

/** What one collection of the whole heap takes, all threads, milliseconds. */
const collection = (): number => {
  const before = process.cpuUsage()
  Bun.gc(true)
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000
}

// Whoever asked is gone.
process.on("disconnect", () => process.exit())
process.on("message", async ({ millis }: Question) => {
  const nanos: Array<number> = []
  for (const one of cases) nanos.push(await one.sample(millis))
  say({ _tag: "Sampled", nanos })
})

const { sizes, cases } = await makeScene(kind, Number(count))
say({
  _tag: "Ready",
  sizes,
  collection: collection(),
  cases: cases.map(({ name, per, octets }) => ({ name, per, octets })),
})
