import { check, Errno } from "./errno.ts"
import { epollControl, epollWait, POLLIN } from "./libc.ts"
import { type Pinned, pinned } from "./memory.ts"

// sys/epoll.h; the event bits are poll(2)'s.
const EPOLL_CTL_ADD = 1
const EPOLL_CTL_DEL = 2
const EPOLL_CTL_MOD = 3
const EPOLLONESHOT = 0x4000_0000

/** struct epoll_event: events u32, then data u64. Packed on x86-64 alone. */
const DATA = process.arch === "x64" ? 4 : 8
const EVENT_SIZE = DATA + 8
/** Events of one wait. */
const BATCH = 64

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

/**
 * Visits struct epoll_events in a row, as the kernel has written them (little-endian wherever Bun runs). Octet by octet:
 * a view of a received Buffer costs a thread that has just been woken some 20 us.
 */
export const visitEvents = (octets: Uint8Array, visit: (token: number, revents: number) => void): void => {
  for (let at = 0; at + EVENT_SIZE <= octets.length; at += EVENT_SIZE) visit(u32(octets, at + DATA), u32(octets, at))
}

const u32 = (octets: Uint8Array, at: number): number =>
  ((octets[at] ?? 0) | ((octets[at + 1] ?? 0) << 8) | ((octets[at + 2] ?? 0) << 16) | ((octets[at + 3] ?? 0) << 24)) >>>
  0

/**
 * Waits on `epoll` for ever, and passes on the events as the kernel has written them: so many octets of a piece of
 * memory that stays the same. Ends when `pass` says false; throws SystemError when waiting fails.
 */
export const passEvents = (epoll: number, pass: (events: Pinned, length: number) => boolean): void => {
  const events = pinned(BATCH * EVENT_SIZE)
  for (;;) {
    const count = epollWait(epoll, events.address, BATCH)
    if (count === -Errno.EINTR) continue
    check("epoll_wait", count)
    if (!pass(events, count * EVENT_SIZE)) return
  }
}
