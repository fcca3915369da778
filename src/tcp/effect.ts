import type { Codepoint } from "../wire/ecn.ts"
import type { TcpOptions } from "../wire/tcpSegment.ts"
import type { Counter } from "./counters.ts"
import type { SendQueue } from "./sendQueue.ts"
import type { Seq } from "./seq.ts"
import type { FastOpened, Request, Synchronized, Tcb, TimerName } from "./tcb.ts"
import type { Micros } from "./time.ts"
import type { Why } from "./why.ts"

export type { Why } from "./why.ts"

/** What a reducer wants done: closed, small, serialisable. */
export type TcpEffect =
  | Transmit
  | ArmTimer
  | CancelTimer
  | Deliver
  | Acknowledged
  | Established
  | Spawn
  | PeerClosed
  | Urgent
  | RememberCookie
  | Doubt
  | ConnectionClosed
  | Drop
  | Count

/** Send a segment. Its payload is `length` octets of `queue` from `seq` on (after a SYN: from `seq` + 1). */
export interface Transmit {
  readonly _tag: "Transmit"
  readonly seq: Seq
  readonly ack: Seq
  readonly flags: number
  /** As it goes into the header: scaled already. */
  readonly wnd: number
  readonly up: number
  readonly options: TcpOptions
  readonly queue: SendQueue | undefined
  readonly length: number
  /** Payload octets per frame; a longer payload is cut by the device, or for it. */
  readonly segmentSize: number
  /** What the IP header says of congestion marks. */
  readonly ecn: Codepoint
  readonly why: Why
}

export interface ArmTimer {
  readonly _tag: "ArmTimer"
  readonly timer: TimerName
  readonly at: Micros
}

export interface CancelTimer {
  readonly _tag: "CancelTimer"
  readonly timer: TimerName
}

/** Payload in order, for the application. The view is the segment's: copy it before the step's batch ends. */
export interface Deliver {
  readonly _tag: "Deliver"
  readonly bytes: Uint8Array
}

/** The peer has all octets up to here: room in the send buffer. */
export interface Acknowledged {
  readonly _tag: "Acknowledged"
  readonly count: number
}

/** The three-way handshake is complete. */
export interface Established {
  readonly _tag: "Established"
  readonly why: Why
}

/** LISTEN: a SYN became a half-open request. Its `retransmit` timer runs from the start, to its `deadline`. */
export interface Spawn {
  readonly _tag: "Spawn"
  readonly tcb: Request | FastOpened | Synchronized
  /** What the new block does first: a connection that a cookie completes is accepted at once. */
  readonly effects: ReadonlyArray<TcpEffect>
  readonly why: Why
}

/** The peer's FIN, after all of its data. */
export interface PeerClosed {
  readonly _tag: "PeerClosed"
  readonly why: Why
}

/** RFC 9293 section 3.8.5: urgent data ends at `at`. */
export interface Urgent {
  readonly _tag: "Urgent"
  readonly at: Seq
}

/** A server gave a Fast Open cookie, for the next connection to its address (RFC 7413 section 4.1.3). */
export interface RememberCookie {
  readonly _tag: "RememberCookie"
  readonly cookie: NonNullable<TcpOptions["fastOpen"]>
  /** The MSS that it announced. */
  readonly mss: number
}

/** The peer has been silent for R1: the next hop may be dead (RFC 9293 section 3.8.3). */
export interface Doubt {
  readonly _tag: "Doubt"
  readonly why: Why
}

export type CloseReason =
  | "done"
  | "ConnectionRefused"
  | "ConnectionReset"
  | "ConnectionTimedOut"
  | "ConnectionAborted"
  | "HostUnreachable"

/** What ICMP errors come to, for sockets (Linux's icmp_err_convert and icmpv6_err_convert). */
export type IcmpErrno =
  | "EACCES"
  | "ECONNREFUSED"
  | "EHOSTDOWN"
  | "EHOSTUNREACH"
  | "EMSGSIZE"
  | "ENETUNREACH"
  | "ENONET"
  | "ENOPROTOOPT"
  | "EOPNOTSUPP"
  | "EPROTO"

/** The block is deleted, or has become TIME-WAIT: the application hears nothing more. */
export interface ConnectionClosed {
  readonly _tag: "Closed"
  readonly reason: CloseReason
  /** More exact than the reason, where an ICMP error was it. */
  readonly errno?: IcmpErrno
  readonly why: Why
}

/** The segment changed nothing. */
export interface Drop {
  readonly _tag: "Drop"
  readonly why: Why
}

export interface Count {
  readonly _tag: "Count"
  readonly counter: Counter
}

/** What a reducer returns: the next block, and what is to be done, in order. */
export interface Step<T extends Tcb = Tcb> {
  readonly tcb: T
  readonly effects: ReadonlyArray<TcpEffect>
}

export const NO_EFFECTS: ReadonlyArray<TcpEffect> = []

/** A user call that the state does not allow (RFC 9293 section 3.10's "error:" replies). */
export interface Refused {
  readonly _tag: "Refused"
  /** POSIX errno name. */
  readonly errno: "EISCONN" | "ENOTCONN" | "EPIPE" | "EINVAL" | "EALREADY" | "ESHUTDOWN" | "ENOBUFS" | "ENOENT"
  readonly why: Why
}
