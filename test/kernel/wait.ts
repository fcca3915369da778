/** How long anything may take before a test is thought to hang. Never a measure: no test passes by it. */
const HANG_MILLIS = 20_000
/** Turns of the event loop that find nothing before waiting costs no CPU any more. */
const BUSY_TURNS = 200

/** One turn of the event loop: the stack in this process has had its own. */
export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

const rest = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1))

/** Turns the event loop until `look` finds something, and gives it. */
export const found = async <A>(what: string, look: () => A | undefined): Promise<A> => {
  const deadline = performance.now() + HANG_MILLIS
  for (let turns = 0; ; turns++) {
    const seen = look()
    if (seen !== undefined) return seen
    if (performance.now() > deadline) throw new Error(`never happened: ${what}`)
    await (turns < BUSY_TURNS ? turn() : rest())
  }
}

/** Turns the event loop until it is so. */
export const until = async (what: string, isSo: () => boolean): Promise<void> => {
  await found(what, () => (isSo() ? true : undefined))
}

/** What a promise that must fail fails with. */
export const reasonOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => Promise.reject(new Error("succeeded")),
    (reason: unknown) => reason,
  )
