import { Effect } from "effect"
import { type Common, crashed, type Job, type Result } from "./job.ts"
import type { Batch } from "./worker.ts"

/** Jobs that a worker gets at a time: few messages, and no worker idle for long at the end. */
const BATCH = 16

export interface PoolOptions {
  readonly workers: number
  /** A script that takes longer has caught the stack in a loop: virtual time has nothing to wait for. */
  readonly limitSeconds?: number
  /** What a thread runs. */
  readonly module?: URL
}

const LIMIT_SECONDS = 120

/** So many workers that die one after another, none having finished a script, are not the scripts' fault. */
const BARREN_LIMIT = 8

/** Runs jobs on some threads; results come in the order of the jobs. */
export const runAll = (
  jobs: ReadonlyArray<Job>,
  common: Common,
  options: PoolOptions,
  onResult: (result: Result) => void,
): Effect.Effect<ReadonlyArray<Result>> =>
  Effect.async((resume) => {
    const pool = new Pool(jobs, common, options, onResult, (results) => resume(Effect.succeed(results)))
    pool.start()
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
  private barren = 0

  constructor(
    private readonly jobs: ReadonlyArray<Job>,
    private readonly common: Common,
    private readonly options: PoolOptions,
    private readonly onResult: (result: Result) => void,
    private readonly onEnd: (results: ReadonlyArray<Result>) => void,
  ) {
    this.results = new Array(jobs.length)
  }

  start(): void {
    if (this.jobs.length === 0) return this.onEnd([])
    const count = Math.min(this.options.workers, Math.ceil(this.jobs.length / BATCH))
    for (let i = 0; i < count; i++) this.hire()
  }

  stop(): void {
    for (const hand of this.hands) this.dismiss(hand)
  }

  /** A worker for the next jobs, or for those that another has left. */
  private hire(left: ReadonlyArray<number> = this.take()): void {
    const worker = new Worker(this.options.module ?? new URL("./worker.ts", import.meta.url))
    const hand: Hand = { worker, owed: [], watchdog: undefined }
    this.hands.add(hand)
    worker.onmessage = ({ data }: MessageEvent<Result>) => this.finished(hand, data)
    worker.onerror = ({ message }) => this.lost(hand, `the worker died: ${message}`)
    this.give(hand, left)
  }

  private take(most = BATCH): ReadonlyArray<number> {
    const first = this.next
    this.next = Math.min(first + most, this.jobs.length)
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
    const { limitSeconds = LIMIT_SECONDS } = this.options
    const late = (): void => this.lost(hand, `not finished within ${limitSeconds} seconds`)
    hand.watchdog = setTimeout(late, limitSeconds * 1000)
  }

  private finished(hand: Hand, result: Result): void {
    const index = hand.owed.shift()
    if (index === undefined) return
    this.barren = 0
    this.watch(hand)
    if (hand.owed.length === 0) this.give(hand, this.take())
    this.record(index, result)
  }

  /** The script at fault fails; those behind it are another worker's. */
  private lost(hand: Hand, problem: string): void {
    const [index, ...rest] = hand.owed
    this.dismiss(hand)
    const gaveUp = ++this.barren >= BARREN_LIMIT
    if (!gaveUp && rest.length > 0) this.hire(rest)
    else if (!gaveUp && this.next < this.jobs.length) this.hire()
    const failing = gaveUp ? [...rest, ...this.take(this.jobs.length)] : []
    for (const nth of index === undefined ? failing : [index, ...failing]) {
      const job = this.jobs[nth]
      if (job !== undefined) this.record(nth, { ...job, outcome: crashed(problem), mutation: undefined, took: 0 })
    }
  }

  private record(index: number, result: Result): void {
    this.results[index] = result
    this.onResult(result)
    if (++this.done === this.jobs.length) this.onEnd(this.results.filter((one) => one !== undefined))
  }
}
