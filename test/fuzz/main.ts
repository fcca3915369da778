/**
 * `bun run fuzz`: mutated frames through a host, until they are through or one of them shows a
 * fault. Seeded; where a run was interrupted, the next one with the same seed goes on.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir, userInfo } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { learn, readCorpus, writeCorpus } from "./corpus.ts"
import { EPISODE, runEpisode } from "./episode.ts"

const USAGE = `usage: bun run fuzz [--frames N] [--seed N] [--episode N] [--keep] [--anew] [--json]

  --frames N   how many frames in all (10,000,000)
  --seed N     another run (1)
  --episode N  only this one of ${EPISODE.toLocaleString("en-US")} frames: to see a failure again
  --keep       add what is learnt to the corpus in the repository
  --anew       do not go on where an interrupted run with this seed stopped
  --json       the result as JSON`

/** What is left of an interrupted run. */
interface Progress {
  readonly episode: number
  readonly sent: number
}

const whole = (name: string, text: string): number => {
  const n = Number(text)
  if (!Number.isInteger(n) || n < 0) throw new Error(`--${name} "${text}" is no whole number`)
  return n
}

const { values } = parseArgs({
  options: {
    frames: { type: "string", default: "10000000" },
    seed: { type: "string", default: "1" },
    episode: { type: "string" },
    keep: { type: "boolean", default: false },
    anew: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  },
})

const run = (): number => {
  const seed = whole("seed", values.seed)
  const corpus = readCorpus()
  // What is learnt on the way changes the frames of no later episode: each can be run by itself.
  const frames = [...corpus.values()]
  const only = values.episode === undefined ? undefined : whole("episode", values.episode)
  const last = only === undefined ? Math.ceil(whole("frames", values.frames) / EPISODE) : only + 1
  const folder = join(tmpdir(), `netfold-fuzz-${userInfo().uid}`)
  const file = join(folder, `${seed}-${last}-${frames.length}.json`)
  mkdirSync(folder, { recursive: true })
  const before: Progress =
    only === undefined && !values.anew && existsSync(file)
      ? JSON.parse(readFileSync(file, "utf8"))
      : { episode: only ?? 0, sent: 0 }
  let { episode, sent } = before
  const started = performance.now()
  const first = episode
  for (; episode < last; episode++) {
    const result = runEpisode(seed, episode, frames)
    sent += result.sent
    learn(corpus, result.reasons)
    if (result.failure !== undefined) {
      const { at, frame, what } = result.failure
      if (values.json) console.log(JSON.stringify({ seed, ...result.failure }))
      else
        console.error(
          `\nepisode ${episode}, frame ${at}: ${what}\n${frame}\nagain: bun run fuzz --seed ${seed} --episode ${episode}`,
        )
      return 1
    }
    if (only === undefined) writeFileSync(file, JSON.stringify({ episode: episode + 1, sent }))
    progress(episode + 1 - first, last - first, started, corpus.size)
  }
  if (process.stderr.isTTY) process.stderr.write("\n")
  rmSync(file, { force: true })
  if (values.keep) writeCorpus(corpus)
  const done = (last - (only ?? 0)) * EPISODE
  const seconds = (performance.now() - started) / 1000
  if (values.json) console.log(JSON.stringify({ seed, frames: done, sent, reasons: corpus.size, seconds }))
  else
    console.log(
      `${done.toLocaleString("en-US")} frames, ${sent.toLocaleString("en-US")} answers, ${corpus.size} reasons, no fault`,
    )
  return 0
}

const progress = (done: number, of: number, started: number, reasons: number): void => {
  if (!process.stderr.isTTY) return
  const rate = (done * EPISODE * 1000) / (performance.now() - started)
  process.stderr.write(
    `\r\x1b[2K${(done * EPISODE).toLocaleString("en-US")} of ${(of * EPISODE).toLocaleString("en-US")} frames, ${Math.round(rate).toLocaleString("en-US")}/s, ${reasons} reasons`,
  )
}

try {
  if (values.help) console.log(USAGE)
  else process.exitCode = run()
} catch (cause) {
  console.error(`fuzz: ${cause instanceof Error ? cause.message : String(cause)}`)
  process.exitCode = 2
}
