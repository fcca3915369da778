import { edenGC } from "bun:jsc"

/** Connections that come on top of the most so far, after which the young of the heap is collected. */
const GROWTH = 256
/** Batches after which a stack that falls silent has something to give back. */
const WORK = 256
/** How long it has been silent then, milliseconds. */
const SILENCE = 500

/**
 * Asks for garbage collection where the collector cannot know that it pays. By itself it waits
 * until the heap has doubled: by then the few records that a handshake leaves lie scattered among
 * all that it threw away, and hold that memory for as long as the connections last. Collected
 * early, they lie close together. And where nothing is allocated it does not run at all: so a stack
 * that falls silent asks for it. A number of connections that does not grow costs nothing.
 */
export interface Collector {
  /** A batch has ended with so many connections. */
  readonly worked: (connections: number) => void
  /** The stack goes to sleep. */
  readonly sleeps: () => void
  /** Forgets what it has ordered. */
  readonly stop: () => void
}

export const makeCollector = (): Collector => {
  let most = 0
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
      work = 0
      Bun.gc(false)
    }, SILENCE)
    timer.unref()
  }

  return {
    worked: (connections) => {
      work++
      if (connections < most - GROWTH) most = connections
      if (connections < most + GROWTH) return
      most = connections
      edenGC()
    },
    sleeps: () => {
      if (timer === undefined && work >= WORK) wait()
    },
    stop,
  }
}
