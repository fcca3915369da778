import { SystemError } from "../../ffi/errno.ts"
import { URING_ROOM, Uring } from "../../ffi/uring.ts"
import { type Bell, bell, hasBells } from "./bell.ts"
import type { Poller } from "./poller.ts"
import { Registrations } from "./registrations.ts"

let poller: Poller | undefined
let isDenied = !hasBells

/**
 * Waiting by io_uring: the kernel polls for this thread, and wakes its event loop with an octet on a socket that
 * the loop watches. No other thread takes part: on a sleeping machine each that does costs some 50 us.
 * undefined: the kernel has none, or does not let us (containers often may not).
 */
export const ringPoller = (): Poller | undefined => {
  if (isDenied) return undefined
  try {
    poller ??= start()
  } catch (cause) {
    if (!(cause instanceof SystemError)) throw cause
    isDenied = true
  }
  return poller
}

/** Without a bell a ring is of no use. */
const ringing = (ring: Uring, onRing: () => void, onClose: () => void): Bell => {
  try {
    return bell(onRing, onClose)
  } catch (cause) {
    ring.close()
    throw cause
  }
}

const start = (): Poller => {
  const ring = Uring.open()
  const registrations = new Registrations()
  const died = (): void => {
    poller = undefined
    ring.close()
    registrations.fail()
  }
  const { out, opened } = ringing(ring, () => ring.visitEvents(registrations.fire), died)
  return {
    started: opened,
    get hasRoom() {
      return registrations.count < URING_ROOM
    },
    register: (fd) =>
      registrations.add((token) => ({
        once: () => ring.watchOnce(fd, token, out),
        end: (armed) => {
          if (armed) ring.unwatch(token)
        },
      })),
  }
}
