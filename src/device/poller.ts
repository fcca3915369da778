import { epollPoller } from "./epollPoller.ts"
import { ringPoller } from "./ringPoller.ts"

/** A descriptor that a poller knows. */
export interface Registration {
  /**
   * Calls `onReady` once, in a later turn of the event loop, when the descriptor is readable or has an
   * error; `revents` are poll(2)'s. Level-triggered. Armed already, it only replaces the callback.
   */
  arm(onReady: (revents: number) => void): void
  /** Forgets the descriptor, which may be closed once this returns. The callback is not called. */
  close(): void
}

/** Waiting for descriptors beside a thread's event loop, which it does not keep alive. One of a kind for each thread. */
export interface Poller {
  /** Resolves when it runs. */
  readonly started: Promise<void>
  /** It can take one more descriptor. */
  readonly hasRoom: boolean
  /** Of an open, non-blocking descriptor. Throws SystemError when the kernel or the process is out of room. */
  register(fd: number): Registration
}

/** By the kernel alone where it can be, else with a worker's help. */
const running = (): Poller => {
  const ring = ringPoller()
  return ring?.hasRoom === true ? ring : epollPoller()
}

/**
 * Resolves when what the next `register` needs is there. Await it before any further `dlopen`: a worker that starts
 * opens libc, and two threads in `dlopen` at once crash Bun.
 */
export const pollerStarted = (): Promise<void> => running().started

/** Registers an open, non-blocking descriptor. Throws SystemError when the kernel or the process is out of room. */
export const register = (fd: number): Registration => running().register(fd)
