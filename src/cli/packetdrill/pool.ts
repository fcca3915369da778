import { Effect } from "effect"
import { type Common, crashed, type Job, type Result } from "./job.ts"
import type { Batch } from "./worker.ts"

/** Jobs that a worker gets at a time: few messages, and no worker idle for long at the end. */
const BATCH = 16

/** A script that takes longer has caught the stack in a loop: virtual time has nothing to wait for. */
const LIMIT_SECONDS = 120

/** Runs jobs on as many threads as `workers`; results come in the order of the jobs. */
export const runAll = (
  jobs: ReadonlyArray<Job>,
  common: Common,
  workers: number,
  onResult: (result: Result) => void,
): Effect.Effect<ReadonlyArray<Result>> =>
  Effect.async((resume) => {
    const pool = new Pool(jobs, common, onResult, (results) => resume(Effect.succeed(results)))
    pool.start(workers)
    return Effect.sync(() => pool.stop())
  })

/** A worker, the jobs that it still owes, and who watches it. */
interface Hand {
  readonly worker: Worker
  readonly owed: Array<number>
  watchdog: ReturnType<typeof setTimeout> | undefined
}

class Pool {
  private readonly results: Array<Result | undefined>
  private readonly hands = new Set<Hand>()
  private next = 0
  private done = 0

  constructor(
    private readonly jobs: ReadonlyArray<Job>,
    private readonly common: Common,
    private readonly onResult: (result: Result) => void,
    private readonly onEnd: (results: ReadonlyArray<Result>) => void,
  ) {
    this.results = new Array(jobs.length)
  }

  start(workers: number): void {
    if (this.jobs.length === 0) return this.onEnd([])
    const count = Math.min(workers, Math.ceil(this.jobs.length / BATCH))
    for (let i = 0; i < count; i++) this.hire()
  }

  stop(): void {
    for (const hand of this.hands) this.dismiss(hand)
  }

  /** A worker for the next jobs, or for those that another has left. */
  private hire(left: ReadonlyArray<number> = this.take()): void {
    const worker = new Worker(new URL("./worker.ts", import.meta.url))
    const hand: Hand = { worker, owed: [], watchdog: undefined }
    this.hands.add(hand)
    worker.onmessage = ({ data }: MessageEvent<Result>) => this.finished(hand, data)
    worker.onerror = ({ message }) => this.lost(hand, `the worker died: ${message}`)
    this.give(hand, left)
  }

  private take(): ReadonlyArray<number> {
    const first = this.next
    this.next = Math.min(first + BATCH, this.jobs.length)
    return Array.from({ length: this.next - first }, (_, i) => first + i)
  }

  private dismiss(hand: Hand): void {
    clearTimeout(hand.watchdog)
    hand.worker.terminate()
    this.hands.delete(hand)
  }

  private give(hand: Hand, indexes: ReadonlyArray<number>): void {
    if (indexes.length === 0) return this.dismiss(hand)
    hand.owed.push(...indexes)
    this.watch(hand)
    const batch: Batch = { common: this.common, jobs: indexes.flatMap((index) => this.jobs[index] ?? []) }
    hand.worker.postMessage(batch)
  }

  private watch(hand: Hand): void {
    clearTimeout(hand.watchdog)
    hand.watchdog = setTimeout(
      () => this.lost(hand, `not finished within ${LIMIT_SECONDS} seconds`),
      LIMIT_SECONDS * 1000,
    )
  }

  private finished(hand: Hand, result: Result): void {
    const index = hand.owed.shift()
    if (index === undefined) return
    this.watch(hand)
    if (hand.owed.length === 0) this.give(hand, this.take())
    this.record(index, result)
  }

  /** The script at fault fails; those behind it are another worker's. */
  private lost(hand: Hand, problem: string): void {
    const [index, ...rest] = hand.owed
    this.dismiss(hand)
    const job = index === undefined ? undefined : this.jobs[index]
    if (rest.length > 0) this.hire(rest)
    else if (this.next < this.jobs.length) this.hire()
    if (index !== undefined && job !== undefined) {
      this.record(index, { ...job, outcome: crashed(problem), mutation: undefined, took: 0 })
    }
  }

  private record(index: number, result: Result): void {
    this.results[index] = result
    this.onResult(result)
    if (++this.done === this.jobs.length) this.onEnd(this.results.filter((one) => one !== undefined))
  }
}
