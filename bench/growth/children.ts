import { join } from "node:path"
import type { Kind, Sizes } from "./scenes.ts"

/** One sample of each case, of so many milliseconds. */
export interface Question {
  readonly millis: number
}

export type Answer = Ready | { readonly _tag: "Sampled"; readonly nanos: ReadonlyArray<number> }

export interface Ready {
  readonly _tag: "Ready"
  readonly sizes: Sizes
  /** Processor time of one collection of the whole heap, milliseconds. */
  readonly collection: number
  readonly cases: ReadonlyArray<{ readonly name: string; readonly per: string; readonly octets: number | undefined }>
}

/** A scene in a process of its own. */
export interface Child {
  readonly ready: Ready
  /** Nanoseconds per operation of each case. */
  readonly sample: (millis: number) => Promise<ReadonlyArray<number>>
  readonly stop: () => Promise<void>
}

/** Longer than a million connections take to be made, on a busy machine. */
const MILLIS = 900_000

export const startChild = async (kind: Kind, count: number): Promise<Child> => {
  let answered: (answer: Answer) => void = () => {}
  const script = join(import.meta.dir, "child.ts")
  const child = Bun.spawn([process.execPath, script, kind, String(count)], {
    stdin: "ignore",
    stdout: "inherit",
    stderr: "inherit",
    timeout: MILLIS,
    killSignal: "SIGKILL",
    ipc: (answer: Answer) => answered(answer),
  })
  const gone = child.exited.then((status): never => {
    throw new Error(`the process with ${count} ${kind} ended with status ${status ?? "of a signal"}`)
  })
  gone.catch(() => {})
  const next = (): Promise<Answer> => {
    const { promise, resolve } = Promise.withResolvers<Answer>()
    answered = resolve
    return Promise.race([promise, gone])
  }
  const ready = await next()
  if (ready._tag !== "Ready") throw new Error("a sample that nobody asked for")
  return {
    ready,
    sample: async (millis) => {
      const answer = next()
      child.send({ millis } satisfies Question)
      const sampled = await answer
      if (sampled._tag !== "Sampled") throw new Error("no sample")
      return sampled.nanos
    },
    stop: async () => {
      child.kill("SIGKILL")
      await child.exited
    },
  }
}
