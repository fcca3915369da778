/** Bun's collector does as it is asked; others are left alone. */
const engine = "Bun" in globalThis ? await import("bun:jsc") : undefined

/** Connections put to rest, after which a collection pays. */
const RESTED = 256
/** How long a stack must be silent before everything is collected, milliseconds; so few frames in that time are silence. */
const SILENCE = 250
const WHISPER = 256
/** Of the time, what may be spent on collecting the young, and on collecting everything: one part in so many. */
const SELDOM = 8
const RARELY = 100
/** Frames since the last silence, and since a connection came to rest, that make a stack a busy one. */
const BUSY = 4096
/** Octets. More is a little faster, and what it lets lie about is resident: under a flood of SYNs three times as much. */
const BALLAST = 8 << 20

/**
 * Asks for garbage collection where the collector cannot know that it pays. By itself it waits
 * until the heap has doubled: by then the few records that outlive a handshake lie scattered among
 * all that did not, and hold that memory for as long as the connections last. So the young are
 * collected whenever many connections have been put to rest. And where nothing is allocated it does
 * not run at all: when a stack falls silent, or nearly, that has put as many to rest, everything is collected
 * once. That takes some milliseconds for each 10 MiB of the heap, in which nobody is served.
 *
 * Of itself the collector lets about as much be allocated before it runs again as there is in use, and each
 * run costs most of a millisecond, however little it finds. A stack uses little, and a busy one would spend a seventh of its
 * time so; with ballast it is a twelfth. Ballast counts as used and takes no memory, for nobody ever touches it.
 */
export interface Collector {
  /** A turn has ended: its frames, and the connections put to rest so far. */
  readonly worked: (frames: number, rested: number) => void
  /** The stack goes to sleep. */
  readonly sleeps: () => void
  /** Forgets what it has ordered. */
  readonly stop: () => void
}

/** Frees what is no longer used. Nobody is served meanwhile: some milliseconds for each 10 MiB of the heap. */
export const collectAll = (): void => {
  if (engine !== undefined) Bun.gc(true)
}

/** Leaves all to the collector itself. */
export const NO_COLLECTOR: Collector = { worked: () => {}, sleeps: () => {}, stop: () => {} }

let ballast: ArrayBuffer | undefined
/** Stacks that want it. */
let carriers = 0

/** `collect`: what is done for a full collection. */
export const makeCollector = (collect: () => void = collectAll): Collector => {
  if (engine === undefined) return NO_COLLECTOR
  const { edenGC } = engine
  let rested = 0
  let collected = 0
  let collectedAll = 0
  let work = 0
  let quiet = 0
  let nextYoung = 0
  let nextAll = 0
  let carries = false
  let timer: ReturnType<typeof setTimeout> | undefined

  const carry = (wanted: boolean): void => {
    if (carries === wanted) return
    carries = wanted
    carriers += wanted ? 1 : -1
    ballast = carriers > 0 ? (ballast ?? new ArrayBuffer(BALLAST)) : undefined
  }

  const lay = (): void => {
    carry(false)
    quiet = work
  }

  const stop = (): void => {
    clearTimeout(timer)
    timer = undefined
    carry(false)
  }

  /** One timer at a time, however often the stack falls asleep. */
  const wait = (): void => {
    const before = work
    timer = setTimeout(() => {
      timer = undefined
      if (work - before > WHISPER) return wait()
      lay()
      if (rested < collectedAll + RESTED) return
      const start = performance.now()
      if (start < nextAll) return wait()
      collectedAll = rested
      collect()
      const end = performance.now()
      nextAll = end + RARELY * (end - start)
    }, SILENCE)
    timer.unref()
  }

  return {
    worked: (frames, all) => {
      work += frames
      // Where connections come to rest it is memory that counts.
      if (all !== rested) lay()
      if (work > quiet + BUSY) carry(true)
      rested = all
      if (rested < collected + RESTED) return
      const start = performance.now()
      if (start < nextYoung) return
      collected = rested
      edenGC()
      const end = performance.now()
      nextYoung = end + SELDOM * (end - start)
    },
    sleeps: () => {
      if (timer === undefined && (carries || rested >= collectedAll + RESTED)) wait()
    },
    stop,
  }
}
