import { PAGE, type Pinned, part, pinned } from "../../ffi/memory.ts"
import { vectorMemory } from "../wire/vectorSum.ts"

/** A device's memory for frames. */
export interface FrameMemory {
  /** Of those that are read together. */
  readonly rx: Pinned
  /** Of those that are written together. */
  readonly outbox: Pinned
  /** Of one that is too long for that. */
  readonly tx: Pinned
}

const pages = (octets: number): number => Math.ceil(octets / PAGE) * PAGE

/**
 * So many octets of each. `summed`: it is we who make the checksums of what lies there, by vector instructions where the
 * engine has them. All in one memory, for each has a function of its own for that: the engine calls up to eight
 * of them directly from one place, and all others three times as slowly.
 */
export const frameMemory = (rx: number, outbox: number, tx: number, summed: boolean): FrameMemory => {
  const octets = pages(rx) + pages(outbox) + pages(tx)
  const whole = pinned(octets, PAGE, summed ? vectorMemory(octets + PAGE) : undefined)
  return {
    rx: part(whole, 0, rx),
    outbox: part(whole, pages(rx), outbox),
    tx: part(whole, pages(rx) + pages(outbox), tx),
  }
}
