import { POLLERR } from "../../ffi/libc.ts"
import type { Registration } from "./poller.ts"

/** How a poller is asked about one descriptor. */
export interface Watch {
  readonly once: () => void
  /** `armed`: what was asked for last has not come. */
  readonly end: (armed: boolean) => void
}

/** Who waits for what, by token: of 32 bits, and not used twice, so that an event which comes too late finds nobody. */
export class Registrations {
  readonly #waiting = new Map<number, (revents: number) => void>()
  #lastToken = 0
  #count = 0

  /** Descriptors that are registered. */
  get count(): number {
    return this.#count
  }

  readonly fire = (token: number, revents: number): void => {
    const onReady = this.#waiting.get(token)
    this.#waiting.delete(token)
    onReady?.(revents)
  }

  /** A poller that died must not leave anyone waiting for ever. */
  readonly fail = (): void => {
    for (const token of this.#waiting.keys()) this.fire(token, POLLERR)
  }

  add(begin: (token: number) => Watch): Registration {
    const waiting = this.#waiting
    const token = this.#lastToken + 1
    const watch = begin(token)
    this.#lastToken = token
    this.#count++
    let open = true
    return {
      arm(onReady) {
        if (!open) return
        const armed = waiting.has(token)
        waiting.set(token, onReady)
        if (!armed) watch.once()
      },
      close: () => {
        if (!open) return
        open = false
        this.#count--
        watch.end(waiting.delete(token))
      },
    }
  }
}
