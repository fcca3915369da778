/** Bun's collector does as it is asked; others are left alone. */
const engine = "Bun" in globalThis ? await import("bun:jsc") : undefined

/** Connections put to rest, after which a collection pays. */
const RESTED = 256
/** How long a stack must be silent before everything is collected, milliseconds. */
const SILENCE = 250

/**
 * Asks for garbage collection where the collector cannot know that it pays. By itself it waits
 * until the heap has doubled: by then the few records that outlive a handshake lie scattered among
 * all that did not, and hold that memory for as long as the connections last. So the young are
 * collected whenever many connections have been put to rest. And where nothing is allocated it does
 * not run at all: when a stack falls silent that has put as many to rest, everything is collected
 * once. That takes some milliseconds for each 10 MiB of the heap, in which nobody is served.
 */
export interface Collector {
  /** A turn has ended: its frames, and the connections put to rest so far. */
  readonly worked: (frames: number, rested: number) => void
  /** The stack goes to sleep. */
  readonly sleeps: () => void
  /** Forgets what it has ordered. */
  readonly stop: () => void
}

/** Leaves all to the collector itself. */
export const NO_COLLECTOR: Collector = { worked: () => {}, sleeps: () => {}, stop: () => {} }

export const makeCollector = (): Collector => {
  if (engine === undefined) return NO_COLLECTOR
  const { edenGC } = engine
  let rested = 0
  let collected = 0
  let collectedAll = 0
  let work = 0
  let timer: ReturnType<typeof setTimeout> | undefined

  const stop = (): void => {
    clearTimeout(timer)
    timer = undefined
  }

  /** One timer at a time, however often the stack falls asleep. */
  const wait = (): void => {
    const before = work
    timer = setTimeout(() => {
      timer = undefined
      if (work !== before) return wait()
      collectedAll = rested
      Bun.gc(true)
    }, SILENCE)
    timer.unref()
  }

  return {
    worked: (frames, all) => {
      work += frames
      rested = all
      if (rested < collected + RESTED) return
      collected = rested
      edenGC()
    },
    sleeps: () => {
      if (timer === undefined && rested >= collectedAll + RESTED) wait()
    },
    stop,
  }
}
