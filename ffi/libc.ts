import { dlopen, FFIType, read as peek, toArrayBuffer } from "./foreign.ts"
import { type Address, cString, type Pinned, pinned } from "./memory.ts"

/**
 * The C library. Every function here follows the kernel's own convention, which needs neither an
 * exception nor a second look at a global: a result below zero is the negated errno.
 *
 * The library is opened when this module is first imported. Import it before starting a Worker
 * that imports it too: two threads in `dlopen` at once crash Bun (its stubs are compiled there).
 */
const declarations = {
  open: { args: ["ptr", "i32", "u32"], returns: "i32" },
  close: { args: ["i32"], returns: "i32" },
  // ssize_t as i32: no call here moves 2 GiB, and a 64-bit result costs a BigInt check.
  read: { args: ["i32", "ptr", FFIType.u64_fast], returns: "i32" },
  write: { args: ["i32", "ptr", FFIType.u64_fast], returns: "i32" },
  ioctl: { args: ["i32", FFIType.u64_fast, "ptr"], returns: "i32" },
  poll: { args: ["ptr", FFIType.u64_fast, "i32"], returns: "i32" },
  socket: { args: ["i32", "i32", "i32"], returns: "i32" },
  socketpair: { args: ["i32", "i32", "i32", "ptr"], returns: "i32" },
  bind: { args: ["i32", "ptr", "u32"], returns: "i32" },
  fcntl: { args: ["i32", "i32", FFIType.u64_fast], returns: "i32" },
  eventfd: { args: ["u32", "i32"], returns: "i32" },
  epoll_create1: { args: ["i32"], returns: "i32" },
  epoll_ctl: { args: ["i32", "i32", "i32", "ptr"], returns: "i32" },
  epoll_wait: { args: ["i32", "ptr", "i32", "i32"], returns: "i32" },
  unshare: { args: ["i32"], returns: "i32" },
  mmap: { args: ["ptr", FFIType.u64_fast, "i32", "i32", "i32", FFIType.u64_fast], returns: "ptr" },
  getuid: { args: [], returns: "u32" },
  sched_yield: { args: [], returns: "i32" },
  // Variadic, with its integers in the same registers as any other function's on x86-64 and arm64.
  syscall: {
    args: ["i32", FFIType.u64_fast, FFIType.u64_fast, FFIType.u64_fast, FFIType.u64_fast, FFIType.u64_fast],
    returns: "i32",
  },
  __errno_location: { args: [], returns: "ptr" },
} as const

const openLibrary = () => {
  const machine = process.arch === "arm64" ? "aarch64" : "x86_64"
  const candidates = ["libc.so.6", `libc.musl-${machine}.so.1`, "libc.so"]
  const failures: Array<unknown> = []
  for (const name of candidates) {
    try {
      return dlopen(name, declarations).symbols
    } catch (cause) {
      failures.push(cause)
    }
  }
  throw new AggregateError(failures, `no C library among ${candidates.join(", ")}`)
}

const c = openLibrary()

// Errno lives at one address for each thread, and a module is loaded once for each thread.
const errnoAddress = c.__errno_location()
/** Of the calling thread's last failed call into a library that follows the C convention. */
export const negatedErrno = (): number => (errnoAddress === null ? -1 : -peek.i32(errnoAddress, 0))

export const O_RDWR = 0o2
export const O_NONBLOCK = 0o4000
export const O_CLOEXEC = 0o2000000

/** fcntl(2): the status flags, of which O_NONBLOCK is one. */
export const F_SETFL = 4

export const AF_UNIX = 1
export const AF_INET = 2
export const AF_NETLINK = 16
export const AF_PACKET = 17
export const SOCK_STREAM = 1
export const SOCK_DGRAM = 2
export const SOCK_RAW = 3
export const SOCK_SEQPACKET = 5
/** The same bits as O_NONBLOCK and O_CLOEXEC. */
export const SOCK_NONBLOCK = O_NONBLOCK
export const SOCK_CLOEXEC = O_CLOEXEC

export const POLLIN = 0x01
export const POLLERR = 0x08
export const POLLHUP = 0x10
export const POLLNVAL = 0x20

/** open(2). */
export const open = (path: string, flags: number, mode = 0): number => {
  const fd = c.open(cString(path).address, flags, mode)
  return fd < 0 ? negatedErrno() : fd
}

export const close = (fd: number): number => (c.close(fd) < 0 ? negatedErrno() : 0)

/** read(2): how many octets, 0 at the end. */
export const read = (fd: number, address: Address, length: number): number => {
  const n = c.read(fd, address, length)
  return n < 0 ? negatedErrno() : n
}

/** write(2): how many octets. */
export const write = (fd: number, address: Address, length: number): number => {
  const n = c.write(fd, address, length)
  return n < 0 ? negatedErrno() : n
}

/** ioctl(2) with a structure as its argument. */
export const ioctl = (fd: number, request: number, argument: Pinned): number => {
  const n = c.ioctl(fd, request, argument.address)
  return n < 0 ? negatedErrno() : n
}

/** ioctl(2) with a plain number where most requests have a pointer (TUNSETOFFLOAD, TUNSETPERSIST). */
export const ioctlNumber = (fd: number, request: number, argument: number): number => {
  const n = c.ioctl(fd, request, argument as Address)
  return n < 0 ? negatedErrno() : n
}

/** poll(2): how many of `count` pollfd structures have events. Blocks for its timeout: anything but 0 is for a Worker. */
export const poll = (pollfds: Address, count: number, timeoutMillis: number): number => {
  const n = c.poll(pollfds, count, timeoutMillis)
  return n < 0 ? negatedErrno() : n
}

export const socket = (family: number, type: number, protocol: number): number => {
  const fd = c.socket(family, type, protocol)
  return fd < 0 ? negatedErrno() : fd
}

/** socketpair(2) of a type, closed on exec: both descriptors, or a negated errno. */
export const socketPair = (type: number = SOCK_STREAM): readonly [number, number] | number => {
  const both = pinned(8)
  if (c.socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, both.address) < 0) return negatedErrno()
  return [both.view.getInt32(0, true), both.view.getInt32(4, true)]
}

export const bind = (fd: number, sockaddr: Pinned): number =>
  c.bind(fd, sockaddr.address, sockaddr.bytes.length) < 0 ? negatedErrno() : 0

export const fcntl = (fd: number, command: number, argument: number): number => {
  const n = c.fcntl(fd, command, argument)
  return n < 0 ? negatedErrno() : n
}

/** eventfd(2), non-blocking and closed on exec. */
export const eventfd = (): number => {
  const fd = c.eventfd(0, O_NONBLOCK | O_CLOEXEC)
  return fd < 0 ? negatedErrno() : fd
}

/** epoll_create1(2), closed on exec. */
export const epollCreate = (): number => {
  const fd = c.epoll_create1(O_CLOEXEC)
  return fd < 0 ? negatedErrno() : fd
}

/** epoll_ctl(2); see epoll.ts for the structure. */
export const epollControl = (epoll: number, operation: number, fd: number, event: Address): number =>
  c.epoll_ctl(epoll, operation, fd, event) < 0 ? negatedErrno() : 0

/** epoll_wait(2): how many events were written to `events`. Blocks without a timeout: for a Worker only. */
export const epollWait = (epoll: number, events: Address, capacity: number): number => {
  const n = c.epoll_wait(epoll, events, capacity, -1)
  return n < 0 ? negatedErrno() : n
}

/** unshare(2), for the calling thread alone; CLONE_NEWUSER is EINVAL in a process with threads, as Bun's always is. */
export const unshare = (flags: number): number => (c.unshare(flags) < 0 ? negatedErrno() : 0)

const PROT_READ_WRITE = 3
const MAP_SHARED_POPULATE = 0x8001
/** What mmap(2) says when it fails is no address at all: those of a process have 47 bits, or 56. */
const HIGHEST_ADDRESS = 2 ** 56

/** mmap(2) of `length` octets of what `fd` stands for, to read and write, until the process ends: or a negated errno. */
export const mapShared = (fd: number, offset: number, length: number): Pinned | number => {
  const address = c.mmap(null, length, PROT_READ_WRITE, MAP_SHARED_POPULATE, fd, offset)
  if (typeof address !== "number" || address > HIGHEST_ADDRESS) return negatedErrno()
  const buffer = toArrayBuffer(address, 0, length)
  return { bytes: new Uint8Array(buffer), view: new DataView(buffer), address }
}

export const getuid = (): number => c.getuid()

/** sched_yield(2): whoever waits for this processor has it first. */
export const yieldProcessor = (): void => void c.sched_yield()

/** syscall(2), for what older C libraries have no function for. Numbers below 2^53; what is left out is 0. */
export const syscall = (number: number, a = 0, b = 0, d = 0, e = 0, f = 0): number => {
  const n = c.syscall(number, a, b, d, e, f)
  return n < 0 ? negatedErrno() : n
}
