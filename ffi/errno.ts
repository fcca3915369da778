/**
 * Linux error numbers by their POSIX names (asm-generic/errno.h; x86-64 and arm64 share it).
 * EBADFD is Linux's own: a TAP descriptor whose interface is gone answers with it.
 */
export const Errno = {
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  E2BIG: 7,
  ENOEXEC: 8,
  EBADF: 9,
  ECHILD: 10,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  EBUSY: 16,
  EEXIST: 17,
  EXDEV: 18,
  ENODEV: 19,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  ENOTTY: 25,
  EFBIG: 27,
  ENOSPC: 28,
  ESPIPE: 29,
  EROFS: 30,
  EPIPE: 32,
  ERANGE: 34,
  ENAMETOOLONG: 36,
  ENOSYS: 38,
  EBADFD: 77,
  EOVERFLOW: 75,
  EMSGSIZE: 90,
  EPROTONOSUPPORT: 93,
  EOPNOTSUPP: 95,
  EAFNOSUPPORT: 97,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
  ENETDOWN: 100,
  ENETUNREACH: 101,
  ENOBUFS: 105,
  ETIMEDOUT: 110,
  ECONNREFUSED: 111,
  EHOSTUNREACH: 113,
  EALREADY: 114,
  EINPROGRESS: 115,
  ECANCELED: 125,
} as const

const names = new Map<number, string>(Object.entries(Errno).map(([name, value]) => [value, name]))

/** The name of an error number; `errno 123` for one that the table lacks. Takes the sign either way. */
export const errnoName = (errno: number): string => names.get(Math.abs(errno)) ?? `errno ${Math.abs(errno)}`

/** A system call that failed where failure is exceptional: opening and configuring, never moving frames. */
export class SystemError extends Error {
  override readonly name = "SystemError"
  /** The call or request: `open /dev/net/tun`, `TUNSETIFF`. */
  readonly call: string
  /** Positive. */
  readonly errno: number
  /** POSIX name of `errno`. */
  readonly code: string

  constructor(call: string, errno: number) {
    const code = errnoName(errno)
    super(`${call}: ${code}`)
    this.call = call
    this.errno = Math.abs(errno)
    this.code = code
  }
}

/** Passes a result on, or throws the SystemError that a negative one stands for. */
export const check = (call: string, result: number): number => {
  if (result < 0) throw new SystemError(call, result)
  return result
}
