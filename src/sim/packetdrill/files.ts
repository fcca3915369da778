import type { ReadResult, SocketId } from "../../host/types.ts"
import { defaultSocketOptions, type SocketOptions } from "../../tcp/tcb.ts"
import type { Endpoint } from "../../wire/address.ts"
import type { Expression } from "./ast.ts"
import type { Flow } from "./flow.ts"

/** What a script holds by a file descriptor's number. */
export type File = SocketFile | EpollFile | PlainFile | PipeFile

/** A TCP socket: the host knows it only from listen or connect on; until then it is what was asked of it. */
export interface SocketFile {
  readonly kind: "socket"
  readonly fd: number
  readonly family: 4 | 6
  nonBlocking: boolean
  options: SocketOptions
  /** Options that the host does not know and that only getsockopt shows again. */
  readonly noted: Map<string, number>
  bound: Endpoint | undefined
  role: "new" | "listener" | "connection"
  id: SocketId | undefined
  flow: Flow | undefined
  /** The connection's error has been reported: it is reported once (Linux's sock_error). */
  errorTaken: boolean
  /** connect has reported success. */
  connected: boolean
  readShut: boolean
  writeShut: boolean
  /** SO_RCVTIMEO and SO_SNDTIMEO, microseconds; 0: for ever. */
  receiveTimeout: number
  sendTimeout: number
  /** SO_LINGER with a time of 0: close resets. */
  linger: { readonly on: boolean; readonly seconds: number }
  /** SO_PEEK_OFF: where MSG_PEEK begins, and moves on from; negative: always at the start. */
  peekOffset: number
  /** TCP_FASTOPEN_CONNECT: whom to connect to with the first write. */
  deferred: Expression | undefined
  /** SO_ZEROCOPY: MSG_ZEROCOPY is heeded. */
  zeroCopy: boolean
  /** SO_TIMESTAMPING's bits, and how many octets were acknowledged when they were set: notices count from there. */
  stamping: { readonly bits: number; readonly from: number }
}

/** An end of a pipe(2). */
export interface PipeFile {
  readonly kind: "pipe"
  readonly fd: number
  readonly end: "read" | "write"
  readonly pipe: { octets: number; writers: number; readers: number }
}

/** A file of a disk: all that is known of it is that it has octets enough. */
export interface PlainFile {
  readonly kind: "plain"
  readonly fd: number
}

export interface EpollFile {
  readonly kind: "epoll"
  readonly fd: number
  readonly interest: Map<number, EpollInterest>
}

export interface EpollInterest {
  events: number
  readonly data: number
  /** Edge-triggered: reported, and nothing has happened since. */
  reported: boolean
}

export const makeSocket = (fd: number, family: 4 | 6): SocketFile => ({
  kind: "socket",
  fd,
  family,
  nonBlocking: false,
  options: defaultSocketOptions,
  noted: new Map(),
  bound: undefined,
  role: "new",
  id: undefined,
  flow: undefined,
  errorTaken: false,
  connected: false,
  readShut: false,
  writeShut: false,
  receiveTimeout: 0,
  sendTimeout: 0,
  linger: { on: false, seconds: 0 },
  peekOffset: -1,
  deferred: undefined,
  zeroCopy: false,
  stamping: { bits: 0, from: 0 },
})

/** True of what a host's call gives instead of its result. */
export const isRefused = (
  result: ReadResult | number | SocketId | undefined | { readonly _tag: "Refused" },
): result is Extract<ReadResult, { readonly _tag: "Refused" }> =>
  typeof result === "object" && "_tag" in result && result._tag === "Refused"
