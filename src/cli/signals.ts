import { Effect } from "effect"

const ENDING = ["SIGINT", "SIGTERM", "SIGHUP"] as const

/** Waits until somebody wants the process to end, and tells with which signal. Asked twice, it ends at once. */
export const untilSignal: Effect.Effect<NodeJS.Signals> = Effect.async((resume) => {
  let asked = false
  const onSignal = (signal: NodeJS.Signals): void => {
    // As the shell reports a process that a signal has ended.
    if (asked) process.exit(128 + (signal === "SIGINT" ? 2 : 15))
    asked = true
    resume(Effect.succeed(signal))
  }
  for (const signal of ENDING) process.on(signal, onSignal)
})
