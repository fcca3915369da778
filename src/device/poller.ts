import { unwatch, visitEvents, watch, watchOnce } from "../../ffi/epoll.ts"
import { check, SystemError } from "../../ffi/errno.ts"
import { epollCreate, F_SETFL, fcntl, O_NONBLOCK, POLLERR, socketPair } from "../../ffi/libc.ts"
import type { PollerMessage, PollerStart } from "./pollerWorker.ts"

declare module "bun" {
  /** Of a descriptor that is connected, which the types leave out: they have its options only. */
  function connect<Data = undefined>(options: FdSocketOptions<Data>): Promise<Socket<Data>>
}

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
 * Waiting for descriptors: one Worker for each thread that has any sleeps in epoll_wait(2). Descriptors are one-shot,
 * and their thread arms one again with a single epoll_ctl(2), which does not disturb the sleeping
 * worker (with poll(2) it would have to be interrupted, at some 12 us each time). What the worker learns it writes to a
 * socket that the thread's own event loop watches: a message of a Worker's takes some 20 us longer. It starts
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
  // A poller that died must not leave anyone waiting for ever.
  const died = (): void => {
    poller = undefined
    for (const token of waiting.keys()) fire(token, POLLERR)
  }

  const worker = new Worker(new URL("./pollerWorker.ts", import.meta.url))
  worker.unref()
  const { promise: running, resolve, reject } = Promise.withResolvers<void>()
  worker.onmessage = ({ data }: MessageEvent<PollerMessage>) => {
    if (data === "started") resolve()
    else visitEvents(data, fire)
  }
  worker.onerror = (event) => {
    reject(new Error(`the poller's worker died: ${event.message}`))
    died()
  }
  // Another engine takes over no descriptor.
  const stream = "Bun" in globalThis ? eventStream((octets) => visitEvents(octets, fire), died) : undefined
  const start: PollerStart = { epoll, out: stream?.out }
  worker.postMessage(start)
  const started = Promise.all([running, stream?.opened]).then(() => {})
  // Its failure reaches whoever awaits it; nobody need.
  started.catch(() => {})
  return { epoll, waiting, started }
}

/**
 * A stream from another thread into this one's event loop, which it does not keep alive. Whole events: one write brings
 * a batch, and a thousand batches are less than one read takes.
 */
const eventStream = (onEvents: (octets: Uint8Array) => void, onClose: () => void) => {
  const pair = socketPair()
  if (typeof pair === "number") throw new SystemError("socketpair", pair)
  const [near, out] = pair
  check("fcntl", fcntl(near, F_SETFL, O_NONBLOCK))
  const socket = { data: (_: unknown, octets: Uint8Array) => onEvents(octets), close: onClose }
  return { out, opened: Bun.connect({ fd: near, socket }).then((connected) => connected.unref()) }
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
