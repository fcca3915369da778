import { unwatch, visitEvents, watch, watchOnce } from "../../ffi/epoll.ts"
import { check } from "../../ffi/errno.ts"
import { epollCreate } from "../../ffi/libc.ts"
import { bell, hasBells } from "./bell.ts"
import type { PollerMessage, PollerStart } from "./epollWorker.ts"
import type { Poller } from "./poller.ts"
import { Registrations } from "./registrations.ts"

let poller: Poller | undefined

/**
 * Waiting by a Worker that sleeps in epoll_wait(2), one for each thread that needs it. Descriptors are one-shot,
 * and their thread arms one again with a single epoll_ctl(2), which does not disturb the sleeping
 * worker (with poll(2) it would have to be interrupted, at some 12 us each time). What the worker learns it writes to a
 * socket that the thread's own event loop watches: a message of a Worker's takes some 20 us longer. It costs
 * nothing while it sleeps.
 */
export const epollPoller = (): Poller => {
  poller ??= start()
  return poller
}

const start = (): Poller => {
  const epoll = check("epoll_create1", epollCreate())
  const registrations = new Registrations()
  const died = (): void => {
    poller = undefined
    registrations.fail()
  }
  const worker = new Worker(new URL("./epollWorker.ts", import.meta.url))
  worker.unref()
  const { promise: running, resolve, reject } = Promise.withResolvers<void>()
  const onEvents = (octets: Uint8Array): void => visitEvents(octets, registrations.fire)
  worker.onmessage = ({ data }: MessageEvent<PollerMessage>) => {
    if (data === "started") resolve()
    else onEvents(data)
  }
  worker.onerror = (event) => {
    reject(new Error(`the poller's worker died: ${event.message}`))
    died()
  }
  // Whole events: one write brings a batch, and a thousand batches are less than one read takes.
  const stream = hasBells ? bell(onEvents, died) : undefined
  const start: PollerStart = { epoll, out: stream?.out }
  worker.postMessage(start)
  const started = Promise.all([running, stream?.opened]).then(() => {})
  // Its failure reaches whoever awaits it; nobody need.
  started.catch(() => {})
  return {
    started,
    hasRoom: true,
    register: (fd) =>
      registrations.add((token) => {
        watch(epoll, fd, token)
        return { once: () => watchOnce(epoll, fd, token), end: () => unwatch(epoll, fd) }
      }),
  }
}
