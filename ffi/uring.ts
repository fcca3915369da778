import { check, Errno, SystemError } from "./errno.ts"
import { close, mapShared, POLLIN, POLLNVAL, syscall } from "./libc.ts"
import { type Pinned, pinned } from "./memory.ts"

// asm/unistd.h, the same on x86-64 and arm64, and linux/io_uring.h
const IO_URING_SETUP = 425
const IO_URING_ENTER = 426
const SETUP_COOP_TASKRUN = 1 << 8
const FEAT_CQE_SKIP = 1 << 11
const OFF_RINGS = 0
const OFF_SQES = 0x1000_0000
const OP_POLL_ADD = 6
const OP_POLL_REMOVE = 7
const OP_WRITE = 23
/** What follows is done however this one ends: a poll that cannot be must be told of too. */
const IO_HARDLINK = 1 << 3
const CQE_SKIP_SUCCESS = 1 << 6

/** struct io_uring_params: what is asked for, and where in the rings' memory their fields are. */
const Params = {
  size: 120,
  flags: 8,
  features: 20,
  sqTail: 44,
  sqArray: 64,
  cqHead: 80,
  cqTail: 84,
  cqes: 100,
} as const
/** struct io_uring_sqe. */
const Sqe = { size: 64, flags: 1, fd: 4, address: 16, length: 24, pollEvents: 28, userData: 32 } as const
/** struct io_uring_cqe. */
const Cqe = { size: 16, result: 8 } as const

/** Submissions at once, a power of two. The kernel makes room for twice as many completions. */
const ENTRIES = 64
const COMPLETIONS = 2 * ENTRIES

/** So many descriptors are watched at most: each has one event at a time, and none may be lost. */
export const URING_ROOM = ENTRIES

interface Event {
  readonly token: number
  readonly revents: number
}

/**
 * Readiness by io_uring(7): the kernel polls a descriptor and then, by itself, rings a bell: it writes an octet to
 * another descriptor. Both happen in the thread that asked, which needs no other to watch for it.
 */
export class Uring {
  readonly #fd: number
  readonly #sqes: Pinned
  readonly #cqes: DataView
  readonly #sqTail: Int32Array
  readonly #cqHead: Int32Array
  readonly #cqTail: Int32Array
  /** Events that were found while something else was looked for; their bell has been rung. */
  #found: Array<Event> = []

  private constructor(fd: number, params: DataView, rings: Pinned, sqes: Pinned) {
    const at = (field: number): number => params.getUint32(field, true)
    const words = (field: number, count: number) => new Int32Array(rings.bytes.buffer, at(field), count)
    this.#fd = fd
    this.#sqes = sqes
    this.#cqes = new DataView(rings.bytes.buffer, at(Params.cqes), COMPLETIONS * Cqe.size)
    this.#sqTail = words(Params.sqTail, 1)
    this.#cqHead = words(Params.cqHead, 1)
    this.#cqTail = words(Params.cqTail, 1)
    const array = words(Params.sqArray, ENTRIES)
    for (let index = 0; index < ENTRIES; index++) array[index] = index
  }

  /** Throws SystemError: ENOSYS, EPERM or EINVAL where the kernel has none, denies it, or is older than Linux 5.19. */
  static open(): Uring {
    const params = pinned(Params.size)
    params.view.setUint32(Params.flags, SETUP_COOP_TASKRUN, true)
    const fd = check("io_uring_setup", syscall(IO_URING_SETUP, ENTRIES, params.address))
    const at = (field: number): number => params.view.getUint32(field, true)
    try {
      if ((at(Params.features) & FEAT_CQE_SKIP) === 0) check("io_uring_setup", -Errno.EINVAL)
      const length = Math.max(at(Params.sqArray) + ENTRIES * 4, at(Params.cqes) + COMPLETIONS * Cqe.size)
      // The kernel's memory, not ours: a ring that outlives the thread it was for harms nobody.
      const rings = mapped(fd, OFF_RINGS, length)
      return new Uring(fd, params.view, rings, mapped(fd, OFF_SQES, ENTRIES * Sqe.size))
    } catch (cause) {
      close(fd)
      throw cause
    }
  }

  /**
   * Asks for one event of `fd`, when it is readable or broken, and for an octet to `bell` then. `token` (32 bits, not 0)
   * is what the event carries.
   */
  watchOnce(fd: number, token: number, bell: number): void {
    const { view, address } = this.#sqes
    const poll = this.#entry(0, OP_POLL_ADD, IO_HARDLINK)
    view.setInt32(poll + Sqe.fd, fd, true)
    view.setUint32(poll + Sqe.pollEvents, POLLIN, true)
    view.setUint32(poll + Sqe.userData, token, true)
    const write = this.#entry(1, OP_WRITE, CQE_SKIP_SUCCESS)
    view.setInt32(write + Sqe.fd, bell, true)
    // Any octet that is there.
    view.setBigUint64(write + Sqe.address, BigInt(address), true)
    view.setUint32(write + Sqe.length, 1, true)
    this.#submit(2)
  }

  /** Once this returns, the kernel holds nothing of what was asked for with `token`. */
  unwatch(token: number): void {
    const at = this.#entry(0, OP_POLL_REMOVE, CQE_SKIP_SUCCESS)
    this.#sqes.view.setUint32(at + Sqe.address, token, true)
    this.#submit(1)
    // What was cancelled completes too, and rings for nothing.
    this.#collect()
  }

  /** Visits what has happened since the last call. */
  visitEvents(visit: (token: number, revents: number) => void): void {
    this.#collect()
    const found = this.#found
    this.#found = []
    for (const { token, revents } of found) visit(token, revents)
  }

  close(): void {
    close(this.#fd)
  }

  /** Where the entry is that will be the `index`th of the next submission, which has nothing else in it. */
  #entry(index: number, operation: number, flags: number): number {
    const { view, bytes } = this.#sqes
    const at = (((this.#sqTail[0] ?? 0) + index) & (ENTRIES - 1)) * Sqe.size
    bytes.fill(0, at, at + Sqe.size)
    view.setUint8(at, operation)
    view.setUint8(at + Sqe.flags, flags)
    return at
  }

  #submit(count: number): void {
    Atomics.add(this.#sqTail, 0, count)
    check("io_uring_enter", syscall(IO_URING_ENTER, this.#fd, count))
  }

  #collect(): void {
    const view = this.#cqes
    let head = this.#cqHead[0] ?? 0
    for (const tail = Atomics.load(this.#cqTail, 0); head !== tail; head = (head + 1) | 0) {
      const at = (head & (COMPLETIONS - 1)) * Cqe.size
      const token = view.getUint32(at, true)
      const result = view.getInt32(at + Cqe.result, true)
      if (token !== 0 && result !== -Errno.ECANCELED)
        this.#found.push({ token, revents: result < 0 ? POLLNVAL : result })
    }
    Atomics.store(this.#cqHead, 0, head)
  }
}

const mapped = (fd: number, offset: number, length: number): Pinned => {
  const memory = mapShared(fd, offset, length)
  if (typeof memory === "number") throw new SystemError("mmap", memory)
  return memory
}
