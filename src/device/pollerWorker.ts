/**
 * The worker of poller.ts: sleeps in epoll_wait(2) so that the main thread need not, and passes on what it
 * learns. It runs until the process ends, and never returns to its own event loop.
 */
import { eventReader } from "../../ffi/epoll.ts"
import { Errno, SystemError } from "../../ffi/errno.ts"

declare const self: Worker

/** To the main thread: that the worker runs, or the event for one descriptor. */
export type PollerMessage = "started" | { readonly token: number; readonly revents: number }

const BATCH = 64

const post = (message: PollerMessage): void => postMessage(message)

self.onmessage = (event: MessageEvent<number>) => {
  const reader = eventReader(event.data, BATCH)
  post("started")
  for (;;) {
    const count = reader.wait()
    if (count < 0 && count !== -Errno.EINTR) throw new SystemError("epoll_wait", count)
    for (let nth = 0; nth < count; nth++) post({ token: reader.token(nth), revents: reader.revents(nth) })
  }
}
