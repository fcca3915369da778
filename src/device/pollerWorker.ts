/**
 * The worker of poller.ts: sleeps in epoll_wait(2) so that the main thread need not, and passes on what it
 * learns. It runs until the process ends, and never returns to its own event loop.
 */
import { passEvents } from "../../ffi/epoll.ts"

declare const self: Worker

/** What it waits on, and the stream to which the events go. */
export interface PollerStart {
  readonly epoll: number
  readonly out: number
}

self.onmessage = ({ data: { epoll, out } }: MessageEvent<PollerStart>) => {
  postMessage("started")
  passEvents(epoll, out)
}
