import type { Device } from "../../src/device/device.ts"
import { NO_OFFLOAD } from "../../src/device/device.ts"
import { type Frame, Pipe } from "../../src/wire/impairment/pipe.ts"
import type { Impairment } from "../../src/wire/impairment/spec.ts"
import { OFF } from "../../src/wire/time.ts"

/** Frames taken from a device at once. */
const BATCH = 64

/** Milliseconds: less than a frame of 1514 octets takes at 100 Mbit/s. */
const NAP = 0.1

/** How well real time was kept. */
export interface Punctuality {
  /** Frames that were handed over. */
  readonly frames: number
  /** Mean of how late they were, microseconds. */
  readonly late: number
}

interface Way {
  readonly from: Device
  readonly to: Device
  readonly pipe: Pipe<Frame>
}

/**
 * A wire with a rate, a delay and losses between two devices in real time: what the impairment
 * decorator does to one stack's device, between any two. It never sleeps for longer than NAP, so that
 * it is late only where the machine has something else to do.
 */
export class Path {
  private readonly ways: ReadonlyArray<Way>
  private readonly nobody = new Int32Array(new SharedArrayBuffer(4))
  private running = true
  private frames = 0
  private late = 0

  constructor(left: Device, right: Device, there: Impairment, back: Impairment, seed: number) {
    const events = { lost: () => {}, marked: () => {} }
    this.ways = [
      { from: left, to: right, pipe: new Pipe(there, "ethernet", seed, events) },
      { from: right, to: left, pipe: new Pipe(back, "ethernet", ~seed >>> 0, events) },
    ]
  }

  /** Carries frames until `stop`. */
  async run(): Promise<void> {
    while (this.running) {
      let idle = true
      for (const way of this.ways) if (this.pump(way)) idle = false
      if (idle) Atomics.wait(this.nobody, 0, 0, NAP)
      await new Promise((resume) => setImmediate(resume))
    }
  }

  stop(): void {
    this.running = false
  }

  get punctuality(): Punctuality {
    return { frames: this.frames, late: this.frames === 0 ? 0 : this.late / this.frames }
  }

  /** Whether there was anything to do. */
  private pump({ from, to, pipe }: Way): boolean {
    const now = Math.round(performance.now() * 1000)
    const received = from.receive(({ bytes, offset, length }) => {
      pipe.send({ bytes: bytes.slice(offset, offset + length), corrupted: false }, now)
    }, BATCH)
    const due = pipe.next()
    if (due === OFF || due > now) return received > 0
    pipe.advance(now, ({ bytes }) => {
      this.frames++
      this.late += now - due
      const room = to.reserve(bytes.length)
      if (room === undefined) return
      room.set(bytes)
      to.commit(bytes.length, NO_OFFLOAD)
    })
    to.flush()
    return true
  }
}
