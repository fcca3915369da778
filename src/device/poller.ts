import { unwatch, watch, watchOnce } from "../../ffi/epoll.ts"
import { check } from "../../ffi/errno.ts"
import { epollCreate, POLLERR } from "../../ffi/libc.ts"
import type { PollerMessage } from "./pollerWorker.ts"

/** A descriptor that the poller knows. */
export interface Registration {
  /**
   * Calls `onReady` once, in a later turn of the event loop, when the descriptor is readable or has an
   * error; `revents` are poll(2)'s. Level-triggered. Armed already, it only replaces the callback.
   */
  arm(onReady: (revents: number) => void): void
  /** Forgets the descriptor, which may be closed once this returns. The callback is not called. */
  close(): void
}

/**
 * Waiting for descriptors: one Worker for the whole process sleeps in epoll_wait(2). Descriptors are one-shot,
 * and the main thread arms one again with a single epoll_ctl(2), which does not disturb the sleeping
 * worker (with poll(2) it would have to be interrupted, at some 12 us each time). It starts
 * with the first registration, costs nothing while it sleeps, and does not keep the process alive: that is
 * for whoever waits.
 */
interface Poller {
  readonly epoll: number
  /** By token: whom to call. Tokens are not used twice, so that an event which comes too late finds nobody. */
  readonly waiting: Map<number, (revents: number) => void>
  readonly started: Promise<void>
}

let poller: Poller | undefined
let lastToken = 0

const start = (): Poller => {
  const epoll = check("epoll_create1", epollCreate())
  const waiting: Poller["waiting"] = new Map()
  const fire = (token: number, revents: number): void => {
    const onReady = waiting.get(token)
    waiting.delete(token)
    onReady?.(revents)
  }

  const { promise: started, resolve, reject } = Promise.withResolvers<void>()
  // Its failure reaches whoever awaits it; nobody need.
  started.catch(() => {})
  const worker = new Worker(new URL("./pollerWorker.ts", import.meta.url))
  worker.unref()
  worker.onmessage = ({ data }: MessageEvent<PollerMessage>) => {
    if (data === "started") resolve()
    else fire(data.token, data.revents)
  }
  worker.onerror = (event) => {
    // A poller that died must not leave anyone waiting for ever.
    reject(new Error(`the poller's worker died: ${event.message}`))
    poller = undefined
    for (const token of waiting.keys()) fire(token, POLLERR)
  }
  worker.postMessage(epoll)
  return { epoll, waiting, started }
}

const running = (): Poller => {
  poller ??= start()
  return poller
}

/**
 * Resolves when the worker runs. Await it before any further `dlopen`: the worker opens
 * libc while it starts, and two threads in `dlopen` at once crash Bun.
 */
export const pollerStarted = (): Promise<void> => running().started

/** Registers an open, non-blocking descriptor. Throws SystemError when the kernel or the process is out of room. */
export const register = (fd: number): Registration => {
  const { epoll, waiting } = running()
  const token = ++lastToken
  watch(epoll, fd, token)
  let open = true
  return {
    arm(onReady) {
      if (!open) return
      const armed = waiting.has(token)
      waiting.set(token, onReady)
      if (!armed) watchOnce(epoll, fd, token)
    },
    close() {
      if (!open) return
      open = false
      waiting.delete(token)
      unwatch(epoll, fd)
    },
  }
}
