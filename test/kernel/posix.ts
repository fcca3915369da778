/**
 * The C library's socket calls, for kernel sockets in the process of the test: the options that no
 * runtime has a name for (SO_LINGER 0, a fixed port, small buffers) are then one call away, and no
 * program needs to be installed. Descriptors are non-blocking; nothing here waits.
 */
import { dlopen, FFIType, read as peek } from "bun:ffi"
import { constants } from "node:os"
import { interfaceIndex } from "../../ffi/interface.ts"
import { close as closeFd, ioctl, poll as pollFds, SOCK_CLOEXEC, SOCK_NONBLOCK, socket } from "../../ffi/libc.ts"
import { type Pinned, pinned } from "../../ffi/memory.ts"
import { getIpv6, setIpv6 } from "../../src/wire/addressBytes.ts"
import { formatAddress, parseIpv6 } from "../../src/wire/addressText.ts"

const declarations = {
  bind: { args: ["i32", "ptr", "u32"], returns: "i32" },
  connect: { args: ["i32", "ptr", "u32"], returns: "i32" },
  listen: { args: ["i32", "i32"], returns: "i32" },
  accept4: { args: ["i32", "ptr", "ptr", "i32"], returns: "i32" },
  send: { args: ["i32", "ptr", FFIType.u64_fast, "i32"], returns: "i32" },
  recv: { args: ["i32", "ptr", FFIType.u64_fast, "i32"], returns: "i32" },
  shutdown: { args: ["i32", "i32"], returns: "i32" },
  setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" },
  getsockopt: { args: ["i32", "i32", "i32", "ptr", "ptr"], returns: "i32" },
  getsockname: { args: ["i32", "ptr", "ptr"], returns: "i32" },
  getpeername: { args: ["i32", "ptr", "ptr"], returns: "i32" },
  __errno_location: { args: [], returns: "ptr" },
} as const

const openLibrary = () => {
  try {
    return dlopen("libc.so.6", declarations).symbols
  } catch {
    return dlopen("libc.so", declarations).symbols
  }
}

const c = openLibrary()

const names = new Map<number, string>(Object.entries(constants.errno).map(([name, number]) => [number, name]))

/** A system call on a socket that failed: `code` is POSIX's name of the errno. */
export class SocketError extends Error {
  readonly code: string
  constructor(call: string, errno: number) {
    const code = names.get(errno) ?? `errno ${errno}`
    super(`${call}: ${code}`)
    this.code = code
  }
}

const errnoAt = c.__errno_location()
const errno = (): number => (errnoAt === null ? 0 : peek.i32(errnoAt, 0))

/** The result, or the SocketError that it stands for. */
const checked = (call: string, result: number): number => {
  if (result < 0) throw new SocketError(call, errno())
  return result
}

/** The result, or undefined where the call would have to wait. */
const unlessWaiting = (call: string, result: number): number | undefined => {
  if (result >= 0) return result
  const { EAGAIN, EINPROGRESS } = constants.errno
  const now = errno()
  if (now === EAGAIN || now === EINPROGRESS) return undefined
  throw new SocketError(call, now)
}

const AF_INET = 2
const AF_INET6 = 10
const SOCKADDR_IN = 16
const SOCKADDR_IN6 = 28
const SOCK_STREAM = 1
const SOCK_DGRAM = 2
const SOCK_RAW = 3
const MSG_NOSIGNAL = 0x4000
const SHUT_WR = 1

export const SOL_SOCKET = 1
export const SO_REUSEADDR = 2
export const SO_ERROR = 4
export const SO_SNDBUF = 7
export const SO_RCVBUF = 8
export const SO_KEEPALIVE = 9
export const SO_LINGER = 13
export const IPPROTO_IP = 0
export const IPPROTO_IPV6 = 41
export const IP_TTL = 2
export const IPPROTO_TCP = 6
export const TCP_MAXSEG = 2
export const TCP_NODELAY = 1
export const TCP_KEEPIDLE = 4
export const TCP_KEEPINTVL = 5
export const TCP_INFO = 11

const POLLIN = 0x01
const POLLOUT = 0x04

export interface SocketAddress {
  readonly host: string
  readonly port: number
}

export type Family = 4 | 6

export const familyOf = (host: string): Family => (host.includes(":") ? 6 : 4)

/** A link-local host names its interface: fe80::1%tap0. */
const sockaddr6 = ({ host, port }: SocketAddress): Pinned => {
  const [plain = "", zone] = host.split("%")
  const parsed = parseIpv6(plain)
  if (parsed === undefined) throw new Error(`not an address: ${host}`)
  const address = pinned(SOCKADDR_IN6)
  address.view.setUint16(0, AF_INET6, true)
  address.view.setUint16(2, port)
  setIpv6(address.bytes, 8, parsed)
  address.view.setUint32(24, zone === undefined ? 0 : (interfaceIndex(zone) ?? 0), true)
  return address
}

const sockaddr = (of: SocketAddress): Pinned => {
  const { host, port } = of
  if (familyOf(host) === 6) return sockaddr6(of)
  const address = pinned(SOCKADDR_IN)
  address.view.setUint16(0, AF_INET, true)
  address.view.setUint16(2, port)
  address.bytes.set(host.split(".").map(Number), 4)
  return address
}

const addressBy = (call: "getsockname" | "getpeername", fd: number): SocketAddress => {
  const address = pinned(SOCKADDR_IN6)
  const length = pinned(4)
  length.view.setUint32(0, SOCKADDR_IN6, true)
  checked(call, c[call](fd, address.address, length.address))
  const port = address.view.getUint16(2)
  if (address.view.getUint16(0, true) === AF_INET6) return { host: formatAddress(getIpv6(address.bytes, 8)), port }
  return { host: address.bytes.subarray(4, 8).join("."), port }
}

export const localAddress = (fd: number): SocketAddress => addressBy("getsockname", fd)
export const peerAddress = (fd: number): SocketAddress => addressBy("getpeername", fd)

const opened = (call: string, result: number): number => {
  if (result < 0) throw new SocketError(call, -result)
  return result
}

const domain = (family: Family): number => (family === 4 ? AF_INET : AF_INET6)

export const tcpSocket = (family: Family = 4): number =>
  opened("socket", socket(domain(family), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0))
export const udpSocket = (family: Family = 4): number =>
  opened("socket", socket(domain(family), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0))
export const rawSocket = (protocol: number, family: Family = 4): number =>
  opened("socket", socket(domain(family), SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol))

const AF_PACKET = 17
const SOCKADDR_LL = 20
const ETH_P_ALL = 3

/** A socket whose octets are whole frames, of what `name` carries both ways. */
export const packetSocket = (name: string): number => {
  const fd = opened("socket", socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, ETH_P_ALL << 8))
  const address = pinned(SOCKADDR_LL)
  address.view.setUint16(0, AF_PACKET, true)
  address.view.setUint16(2, ETH_P_ALL)
  address.view.setInt32(4, interfaceIndex(name) ?? 0, true)
  checked("bind", c.bind(fd, address.address, SOCKADDR_LL))
  return fd
}

export const close = (fd: number): void => {
  closeFd(fd)
}

export const bind = (fd: number, address: SocketAddress): void => {
  const named = sockaddr(address)
  checked("bind", c.bind(fd, named.address, named.bytes.length))
}

/** Begins; `socketError` tells the outcome once the descriptor is writable. */
export const connect = (fd: number, address: SocketAddress): void => {
  const named = sockaddr(address)
  unlessWaiting("connect", c.connect(fd, named.address, named.bytes.length))
}

export const listen = (fd: number, backlog: number): void => {
  checked("listen", c.listen(fd, backlog))
}

export const accept = (fd: number): number | undefined =>
  unlessWaiting("accept", c.accept4(fd, null, null, SOCK_NONBLOCK | SOCK_CLOEXEC))

/** One for all calls: none of them keeps it. */
const buffer = pinned(262_144)

/** How many octets the kernel took; undefined: none now. */
export const send = (fd: number, bytes: Uint8Array): number | undefined => {
  const n = Math.min(bytes.length, buffer.bytes.length)
  buffer.bytes.set(n === bytes.length ? bytes : bytes.subarray(0, n))
  return unlessWaiting("send", c.send(fd, buffer.address, n, MSG_NOSIGNAL))
}

/** Octets that are there, empty at the end of them; undefined: none now. */
export const receive = (fd: number, max: number): Uint8Array | undefined => {
  const n = unlessWaiting("recv", c.recv(fd, buffer.address, Math.min(max, buffer.bytes.length), 0))
  return n === undefined ? undefined : buffer.bytes.slice(0, n)
}

export const shutdownWrite = (fd: number): void => {
  checked("shutdown", c.shutdown(fd, SHUT_WR))
}

/** One int, or the two of a struct linger. */
export const setOption = (fd: number, level: number, name: number, ...values: ReadonlyArray<number>): void => {
  const value = pinned(values.length * 4)
  for (const [index, number] of values.entries()) value.view.setInt32(index * 4, number, true)
  checked("setsockopt", c.setsockopt(fd, level, name, value.address, value.bytes.length))
}

export const getOption = (fd: number, level: number, name: number, length: number): DataView => {
  const value = pinned(length)
  const size = pinned(4)
  size.view.setUint32(0, length, true)
  checked("getsockopt", c.getsockopt(fd, level, name, value.address, size.address))
  return value.view
}

/** The error that waits at a socket, taken off it. */
export const socketError = (fd: number): SocketError | undefined => {
  const number = getOption(fd, SOL_SOCKET, SO_ERROR, 4).getInt32(0, true)
  return number === 0 ? undefined : new SocketError("connect", number)
}

const pollfd = pinned(8)

const isReady = (fd: number, events: number): boolean => {
  pollfd.view.setInt32(0, fd, true)
  pollfd.view.setInt16(4, events, true)
  return pollFds(pollfd.address, 1, 0) > 0
}

export const isReadable = (fd: number): boolean => isReady(fd, POLLIN)
export const isWritable = (fd: number): boolean => isReady(fd, POLLOUT)

const FIONREAD = 0x541b
const SIOCOUTQ = 0x5411

const queueBy = (fd: number, request: number): number => {
  const count = pinned(4)
  ioctl(fd, request, count)
  return count.view.getInt32(0, true)
}

/** Octets received and not read. */
export const receiveQueue = (fd: number): number => queueBy(fd, FIONREAD)
/** Octets written and not acknowledged. */
export const sendQueue = (fd: number): number => queueBy(fd, SIOCOUTQ)

const AF_NETLINK = 16
const NETLINK_ROUTE = 0
const RTM_SETLINK = 19
const NLM_F_REQUEST_ACK = 0x05
const IFLA_TXQLEN = 13

/**
 * How many frames the kernel keeps for whoever reads a TAP; more are lost. By rtnetlink, because the
 * ioctl wants root outside of all user namespaces.
 */
export const setQueueLength = (name: string, frames: number): void => {
  // struct nlmsghdr, struct ifinfomsg, one struct rtattr.
  const message = pinned(40)
  message.view.setUint32(0, 40, true)
  message.view.setUint16(4, RTM_SETLINK, true)
  message.view.setUint16(6, NLM_F_REQUEST_ACK, true)
  message.view.setInt32(20, interfaceIndex(name) ?? 0, true)
  message.view.setUint16(32, 8, true)
  message.view.setUint16(34, IFLA_TXQLEN, true)
  message.view.setUint32(36, frames, true)
  const fd = opened("socket", socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE))
  try {
    checked("send", c.send(fd, message.address, 40, 0))
    // The answer is there when the request returns: its error is below zero, or 0.
    const answer = pinned(256)
    checked("recv", c.recv(fd, answer.address, 256, 0))
    const error = answer.view.getInt32(16, true)
    if (error < 0) throw new SocketError("RTM_SETLINK", -error)
  } finally {
    close(fd)
  }
}
