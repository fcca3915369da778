import { check } from "./errno.ts"
import { epollControl, epollWait, POLLIN } from "./libc.ts"
import { pinned } from "./memory.ts"

// sys/epoll.h; the event bits are poll(2)'s.
const EPOLL_CTL_ADD = 1
const EPOLL_CTL_DEL = 2
const EPOLL_CTL_MOD = 3
const EPOLLONESHOT = 0x4000_0000

/** struct epoll_event: events u32, then data u64. Packed on x86-64 alone. */
const DATA = process.arch === "x64" ? 4 : 8
const EVENT_SIZE = DATA + 8

const request = pinned(EVENT_SIZE)

const control = (epoll: number, operation: number, fd: number, events: number, token: number): void => {
  request.view.setUint32(0, events, true)
  request.view.setUint32(DATA, token, true)
  check("epoll_ctl", epollControl(epoll, operation, fd, request.address))
}

/** Makes `fd` known, without asking for anything yet. `token` (32 bits) is what its events will carry. */
export const watch = (epoll: number, fd: number, token: number): void =>
  control(epoll, EPOLL_CTL_ADD, fd, EPOLLONESHOT, token)

/** Asks for one event, when `fd` is readable or broken. */
export const watchOnce = (epoll: number, fd: number, token: number): void =>
  control(epoll, EPOLL_CTL_MOD, fd, POLLIN | EPOLLONESHOT, token)

/** Once this returns, no thread that waits on `epoll` has anything to do with `fd`. */
export const unwatch = (epoll: number, fd: number): void => control(epoll, EPOLL_CTL_DEL, fd, 0, 0)

/** Waits on `epoll` for ever, in batches. */
export const eventReader = (epoll: number, capacity: number) => {
  const events = pinned(capacity * EVENT_SIZE)
  return {
    /** Blocks until there are events, and returns how many; a negated errno on failure. */
    wait: (): number => epollWait(epoll, events.address, capacity),
    /** The token of the nth. */
    token: (nth: number): number => events.view.getUint32(nth * EVENT_SIZE + DATA, true),
    /** poll(2)'s revents of the nth. */
    revents: (nth: number): number => events.view.getUint32(nth * EVENT_SIZE, true),
  }
}
