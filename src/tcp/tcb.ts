import type { Endpoint } from "../wire/address.ts"
import type { SackBlock, TcpOptions } from "../wire/tcpSegment.ts"
import type { Authentication } from "./authentication/keys.ts"
import type { Why } from "./effect.ts"
import type { Keys } from "./keys.ts"
import type { Reassembly } from "./reassembly.ts"
import type { SendQueue } from "./sendQueue.ts"
import type { Seq } from "./seq.ts"
import type { TcpSettings } from "./settings.ts"
import type { Terms } from "./terms.ts"
import type { Micros } from "./time.ts"

/** RFC 9293 section 3.3.2. */
export type State =
  | "CLOSED"
  | "LISTEN"
  | "SYN-SENT"
  | "SYN-RECEIVED"
  | "ESTABLISHED"
  | "FIN-WAIT-1"
  | "FIN-WAIT-2"
  | "CLOSE-WAIT"
  | "CLOSING"
  | "LAST-ACK"
  | "TIME-WAIT"

/** The transmission control block: each state holds exactly what it needs. */
export type Tcb = Closed | Listen | SynSent | Request | SynReceived | FastOpened | Synchronized | TimeWait

/** A connection's own block, from its first segment to its last. */
export type Connection = SynSent | SynReceived | FastOpened | Synchronized

/** No connection: what remains when a block is deleted. */
export interface Closed {
  readonly _tag: "CLOSED"
}

export const CLOSED: Closed = { _tag: "CLOSED" }

/** What all blocks of one stack share. */
export interface TcpContext {
  readonly settings: TcpSettings
  readonly keys: Keys
}

/** What an application sets on a socket, before or during a connection. */
export interface SocketOptions {
  /** TCP_NODELAY: RFC 9293 section 3.7.4's Nagle algorithm is off. */
  readonly noDelay: boolean
  /** TCP_CORK: only full segments leave, or what has waited for a time-out. */
  readonly cork: boolean
  /** TCP_QUICKACK: false makes ACKs wait for data to go with; true sends the next ones at once. Neither lasts. */
  readonly quickAck: boolean
  /** SO_RCVBUF in octets of payload, none of them doubled; 0: `tcpRmem`'s first size, growing by itself up to the largest. */
  readonly receiveBuffer: number
  /** SO_SNDBUF in octets of payload; 0: `tcpWmem`'s. */
  readonly sendBuffer: number
  /** SO_RCVLOWAT: unread octets from which on `readable` is told. */
  readonly receiveLowWater: number
  /** TCP_NOTSENT_LOWAT: octets given and not yet sent up to which more is taken; 0: `tcpNotsentLowat`. */
  readonly notSentLowWater: number
  /** TCP_WINDOW_CLAMP: the largest window that is announced; 0: the buffer's. */
  readonly windowClamp: number
  /** TCP_MAXSEG: the largest MSS that is announced and used; 0: the path's. Heeded when the connection opens. */
  readonly maxSegment: number
  /** TCP_USER_TIMEOUT (RFC 5482), microseconds, from the first retransmission or window probe on; 0: `tcpRetries2`. */
  readonly userTimeout: Micros
  /** TCP_SYNCNT: retransmissions of a SYN; 0: `tcpSynRetries`. */
  readonly synCount: number
  /** SO_KEEPALIVE, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT (RFC 9293 section 3.8.4); 0: the stack's settings. */
  readonly keepAlive: boolean
  readonly keepIdle: Micros
  readonly keepInterval: Micros
  readonly keepCount: number
  /** SO_LINGER: negative: off; 0: close resets; else how long close waits for the FIN to be acknowledged. */
  readonly linger: Micros
  /** TCP_LINGER2: how long FIN-WAIT-2 lasts after close; 0: `tcpFinTimeout`; negative: not at all. */
  readonly linger2: Micros
  /** SO_REUSEADDR and SO_REUSEPORT: with whom a port is shared. */
  readonly reuseAddress: boolean
  readonly reusePort: boolean
  /** IP_FREEBIND: an address that is not ours may be bound. */
  readonly freeBind: boolean
  /** TCP_DEFER_ACCEPT: a connection is handed over with its first data, or after so long without. Microseconds; 0: at once. */
  readonly deferAccept: Micros
  /** TCP_FASTOPEN of a listener: connections at most that have been opened by their SYN alone; 0: none. */
  readonly fastOpen: number
  /** TCP_MD5SIG and TCP_AO_ADD_KEY: which peers' segments are signed, and with what. */
  readonly authentication: Authentication | undefined
  /** IP_MINTTL: what comes with a smaller TTL is dropped (RFC 5082). 0: anything is taken. */
  readonly minTtl: number
  /** IP_TTL of what leaves; 0: the default. */
  readonly ttl: number
}

export const defaultSocketOptions: SocketOptions = {
  noDelay: false,
  cork: false,
  quickAck: true,
  receiveBuffer: 0,
  sendBuffer: 0,
  receiveLowWater: 1,
  notSentLowWater: 0,
  windowClamp: 0,
  maxSegment: 0,
  userTimeout: 0,
  synCount: 0,
  keepAlive: false,
  keepIdle: 0,
  keepInterval: 0,
  keepCount: 0,
  linger: -1,
  linger2: 0,
  reuseAddress: false,
  reusePort: false,
  freeBind: false,
  deferAccept: 0,
  fastOpen: 0,
  authentication: undefined,
  minTtl: 0,
  ttl: 0,
}

/** What the network layer allows a segment to be. */
export interface PathLimits {
  /** MSS that we announce: the interface's MTU less the fixed headers (RFC 9293 section 3.7.1). */
  readonly mss: number
  /** Largest payload of one Transmit effect: a device that cuts takes more than one MSS. 0: one MSS. */
  readonly burst: number
}

export interface Listen {
  readonly _tag: "LISTEN"
  readonly context: TcpContext
  readonly options: SocketOptions
  readonly path: PathLimits
  /** Connections established and not yet accepted, at most. */
  readonly backlog: number
  /** Half-open requests now, and those among them whose SYN-ACK was never sent again. */
  readonly requests: number
  readonly young: number
  /** Connections that wait in the accept queue now. */
  readonly waiting: number
  /** When the last SYN cookie was sent. */
  readonly cookiesAt: Micros
  /** Fast opens whose handshake is not complete, and until when resets keep their place among them. */
  readonly fastOpens: number
  readonly fastResets: ReadonlyArray<Micros>
}

/** The part of a handshake that both ends must agree on (RFC 9293 section 3.2, RFC 7323, RFC 2018). */
export interface Negotiated {
  /** The peer's MSS option, or its default of 536 (IPv6: 1220). */
  readonly peerMss: number
  /** Shift of windows that we receive and of those that we send; 0 when scaling is off. */
  readonly sndScale: number
  readonly rcvScale: number
  readonly scaling: boolean
  readonly timestamps: boolean
  readonly sack: boolean
  /** Octets of options that signing takes from every segment; 0: they are not signed. */
  readonly signature: number
}

/** What an active open has offered. */
export interface Offer {
  readonly rcvScale: number
  readonly scaling: boolean
  readonly timestamps: boolean
  readonly sack: boolean
  /** See `Negotiated`: it needs no consent. */
  readonly signature: number
}

/** SYN-SENT: our SYN is out. */
export interface SynSent {
  readonly _tag: "SYN-SENT"
  readonly context: TcpContext
  readonly options: SocketOptions
  readonly path: PathLimits
  readonly local: Endpoint
  readonly remote: Endpoint
  readonly iss: Seq
  readonly offer: Offer
  readonly tsOffset: number
  readonly rcvBuf: number
  /** When the first SYN left, and how often it has been sent again. */
  readonly since: Micros
  readonly retransmits: number
  /** Data and FIN of calls made before the connection is open. */
  readonly queue: SendQueue
  /** SND.UP of what is queued. */
  readonly up: Seq
  /** Set only once the SYNs have crossed: CLOSE waits for ESTABLISHED. */
  readonly closing: boolean
  /** The application is gone altogether: what then arrives is refused. */
  readonly shut: boolean
  /** The Fast Open option of the SYN (an empty cookie asks for one), and how many octets of `queue` it carries. */
  readonly fastOpen: TcpOptions["fastOpen"]
  readonly synData: number
  readonly timers: Timers
}

/** SYN-RECEIVED from LISTEN: a half-open request, kept small because anyone can make one. */
export interface Request {
  readonly _tag: "SYN-RECEIVED"
  readonly open: "passive"
  readonly context: TcpContext
  readonly options: SocketOptions
  readonly path: PathLimits
  readonly local: Endpoint
  readonly remote: Endpoint
  readonly iss: Seq
  readonly irs: Seq
  readonly terms: Terms
  readonly tsRecent: number
  readonly tsOffset: number
  readonly rcvBuf: number
  readonly since: Micros
  /** SYN-ACK time-outs; while an ACK waits for its data they pass without a retransmission. */
  readonly retransmits: number
  /** The final ACK came and found no data (TCP_DEFER_ACCEPT) or no room. */
  readonly acked: boolean
  /** When the last SYN-ACK answered a repeated SYN. */
  readonly oowAt: Micros
  /** When the SYN-ACK goes out again. */
  readonly deadline: Micros
  /** A Fast Open cookie for the peer to use next time. */
  readonly cookie: TcpOptions["fastOpen"]
}

/** SYN-RECEIVED from LISTEN by Fast Open: a connection in use, whose SYN-ACK is not acknowledged yet. */
export interface FastOpened {
  readonly _tag: "SYN-RECEIVED"
  readonly open: "fast"
  readonly request: Request
  /** As it will be. Its retransmission timer is not armed: the SYN-ACK's is. */
  readonly tcb: Synchronized
}

/** SYN-RECEIVED from SYN-SENT: the SYNs crossed (RFC 9293 figure 7). */
export interface SynReceived {
  readonly _tag: "SYN-RECEIVED"
  readonly open: "active"
  /** The attempt that became this one. */
  readonly sent: SynSent
  readonly irs: Seq
  readonly agreed: Negotiated
  readonly tsRecent: number
  readonly oowAt: Micros
  readonly timers: Timers
}

/** What does not change once the handshake is over. */
export interface Link {
  readonly context: TcpContext
  readonly path: PathLimits
  readonly local: Endpoint
  readonly remote: Endpoint
  readonly iss: Seq
  readonly irs: Seq
  readonly agreed: Negotiated
  readonly tsOffset: number
  readonly open: "active" | "passive"
  readonly establishedAt: Micros
}

/** RFC 9293 section 3.3.1's send variables. */
export interface Snd {
  readonly una: Seq
  readonly nxt: Seq
  /** Where the next octet is taken from: SND.NXT, or before it while lost data is being sent again. */
  readonly rtx: Seq
  /** Scaled. */
  readonly wnd: number
  readonly wl1: Seq
  readonly wl2: Seq
  /** MAX.SND.WND of RFC 5961 section 5.2. */
  readonly maxWnd: number
  /** Eff.snd.MSS: payload octets per segment, options deducted (RFC 9293 section 3.7.1). */
  readonly mss: number
  readonly up: Seq
  /** End of the last segment that was less than full (Nagle with Minshall's change). */
  readonly small: Seq
  /** The application has closed: a FIN follows the queue. */
  readonly fin: boolean
  /** When data last left. */
  readonly at: Micros
  /** The last write said that more follows (MSG_MORE): as if corked until then. */
  readonly more: boolean
  /** What is queued before here leaves whatever corks it: TCP_NODELAY was set (Linux's TCP_NAGLE_PUSH). */
  readonly push: Seq
}

export interface Rcv {
  readonly nxt: Seq
  /** RCV.NXT + RCV.WND as the peer was last told; it never moves left. */
  readonly edge: Seq
  /** Octets that we are ready to hold. */
  readonly buf: number
  /** Delivered, and not yet consumed by the application. */
  readonly unread: number
  readonly up: Seq
  /** Last.ACK.sent of RFC 7323. */
  readonly lastAck: Seq
  /** Size of the peer's full segments, as far as seen. */
  readonly mss: number
  /** ACKs that are still sent at once, at the start of a connection. */
  readonly quick: number
  readonly due: AckDue
  readonly dueWhy: Why
  readonly tsRecent: number
  readonly tsRecentAt: Micros
  /** When the last ACK of an unacceptable segment was sent. */
  readonly oowAt: Micros
  readonly queue: Reassembly
  /** To be reported once (RFC 2883). */
  readonly dsack: SackBlock | undefined
  /** When text last arrived in order. */
  readonly at: Micros
  /** The peer's FIN has been received and counted. */
  readonly fin: boolean
  /** The application has gone: data that arrives now is refused with a RST. */
  readonly shut: boolean
  /** SHUT_RD: once we have sent a FIN, data is refused too (Linux's RCV_SHUTDOWN). */
  readonly deaf: boolean
  /** The largest window to announce (TCP_WINDOW_CLAMP); Infinity: none. */
  readonly clamp: number
  /** When the peer was last heard of; kept while the socket has keep-alive on. */
  readonly heardAt: Micros
}

/** Nothing to acknowledge; before the delayed-ACK timer ends; as soon as output runs. */
export type AckDue = "none" | "later" | "now"

/** RFC 6298. Microseconds; `srtt` 0 means no measurement yet. */
export interface Rto {
  readonly srtt: Micros
  readonly rttvar: Micros
  readonly rto: Micros
  /** Doublings of the interval since the last measurement (section 5.5; Karn). */
  readonly backoff: number
  /** Time-outs in a row without SND.UNA moving, and when the first of them was. */
  readonly retransmits: number
  readonly since: Micros
  /** The octet being timed, and when it left (OFF: none). Never a retransmitted one (Karn). */
  readonly timedSeq: Seq
  readonly timedAt: Micros
  /** Window or keep-alive probes in a row that nothing has answered. */
  readonly probes: number
}

/** RFC 5681 and 6582, in octets. */
export interface Cc {
  readonly cwnd: number
  readonly ssthresh: number
  readonly dupAcks: number
  readonly recovering: boolean
  readonly recover: Seq
  /** Acknowledged since cwnd last grew, in congestion avoidance. */
  readonly acked: number
}

/** Dynamic right-sizing of the receive buffer; see receiveBuffer.ts. */
export interface Drs {
  /** When this trip began, and octets that the application has taken since. */
  readonly at: Micros
  readonly copied: number
  /** The most that it took in one. */
  readonly space: number
  /** Round trip as the receiver sees it; 0: not known. */
  readonly rtt: Micros
  /** The last timestamp echo that was measured. */
  readonly echo: number
  /** A window of data is under way since, and ends here. */
  readonly windowAt: Micros
  readonly windowEnd: Seq
}

/** Deadlines; OFF when not armed. */
export interface Timers {
  readonly retransmit: Micros
  readonly persist: Micros
  readonly delayedAck: Micros
  /** FIN-WAIT-2 of a connection that nobody reads, and TIME-WAIT. */
  readonly linger: Micros
  /** The user timeout runs out: since data was first sent again, or the closed window probed. */
  readonly user: Micros
  readonly keepalive: Micros
}

export type TimerName = keyof Timers

export type SynchronizedState = "ESTABLISHED" | "FIN-WAIT-1" | "FIN-WAIT-2" | "CLOSE-WAIT" | "CLOSING" | "LAST-ACK"

/** ESTABLISHED to LAST-ACK: one shape, of which a step copies only what changed. */
export interface Synchronized {
  readonly _tag: SynchronizedState
  readonly link: Link
  readonly options: SocketOptions
  readonly snd: Snd
  readonly rcv: Rcv
  readonly rto: Rto
  readonly cc: Cc
  readonly drs: Drs
  readonly queue: SendQueue
  readonly timers: Timers
}

export const isSynchronized = (tcb: Tcb): tcb is Synchronized => "snd" in tcb

/** TIME-WAIT: enough to answer old segments and to judge a new SYN. */
export interface TimeWait {
  readonly _tag: "TIME-WAIT"
  readonly context: TcpContext
  readonly local: Endpoint
  readonly remote: Endpoint
  readonly sndNxt: Seq
  readonly rcvNxt: Seq
  readonly rcvWnd: number
  readonly rcvScale: number
  readonly timestamps: boolean
  readonly tsRecent: number
  readonly tsRecentAt: Micros
  readonly tsOffset: number
  readonly oowAt: Micros
  readonly deadline: Micros
}
