/**
 * The worker of epollPoller.ts: sleeps in epoll_wait(2) so that the main thread need not, and passes on what it
 * learns. It runs until the process ends, and never returns to its own event loop.
 */
import { passEvents } from "../../ffi/epoll.ts"
import { write } from "../../ffi/libc.ts"

declare const self: Worker

export interface PollerStart {
  /** What it waits on. */
  readonly epoll: number
  /** A stream that blocks, to which the events go; without it they are messages. */
  readonly out: number | undefined
}

/** To the main thread: that the worker runs, or events. */
export type PollerMessage = "started" | Uint8Array

const post = (message: PollerMessage): void => postMessage(message)

self.onmessage = ({ data: { epoll, out } }: MessageEvent<PollerStart>) => {
  post("started")
  if (out !== undefined) return passEvents(epoll, ({ address }, length) => write(out, address, length) >= 0)
  passEvents(epoll, ({ bytes }, length) => {
    post(bytes.slice(0, length))
    return true
  })
}
