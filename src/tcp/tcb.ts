import type { Endpoint } from "../wire/address.ts"
import type { SackBlock, TcpOptions } from "../wire/tcpSegment.ts"
import type { Authentication } from "./authentication/keys.ts"
import type { CcName } from "./congestion/control.ts"
import type { Cc } from "./congestion/registry.ts"
import type { IcmpErrno, Why } from "./effect.ts"
import type { Flight } from "./flight.ts"
import type { Keys } from "./keys.ts"
import type { Reassembly } from "./reassembly.ts"
import type { Memory } from "./receiveMemory/memory.ts"
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
  /** SO_RCVBUF in octets of payload, none of them doubled (as memory they are, with `tcpRcvbufTruesize`); 0: `tcpRmem`'s first size, growing by itself up to the largest. */
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
  /** TCP_RTO_MIN_US and TCP_RTO_MAX_MS: bounds of the retransmission timer's interval, microseconds; 0: the profile's. */
  readonly minRto: Micros
  readonly maxRto: Micros
  /** TCP_DELACK_MAX_US: how long an ACK waits at most, microseconds; 0: as long as the profile says. */
  readonly maxDelayedAck: Micros
  /** TCP_SYNCNT: retransmissions of a SYN, and of SYN-ACKs by a listener; 0: `tcpSynRetries`, `tcpSynackRetries`. */
  readonly synCount: number
  /** TCP_THIN_LINEAR_TIMEOUTS: also where `tcpThinLinearTimeouts` is off. */
  readonly thinLinearTimeouts: boolean
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
  /** IPV6_V6ONLY of a listener on any IPv6 address; undefined: as `bindv6only` says. */
  readonly ipv6Only: boolean | undefined
  /** TCP_DEFER_ACCEPT: a connection is handed over with its first data, or after so long without. Microseconds; 0: at once. */
  readonly deferAccept: Micros
  /** TCP_FASTOPEN of a listener: connections at most that have been opened by their SYN alone; 0: none. */
  readonly fastOpen: number
  /** TCP_FASTOPEN_KEY of a listener: 16 octets, or 32 of two keys; undefined: `tcpFastopenKey`. */
  readonly fastOpenKey: Uint8Array | undefined
  /** TCP_FASTOPEN_NO_COOKIE: data in SYNs needs none, neither ours nor the peers'. */
  readonly fastOpenNoCookie: boolean
  /** TCP_MD5SIG and TCP_AO_ADD_KEY: which peers' segments are signed, and with what. */
  readonly authentication: Authentication | undefined
  /** IP_MINTTL: what comes with a smaller TTL is dropped (RFC 5082). 0: anything is taken. */
  readonly minTtl: number
  /** IP_TTL of what leaves; 0: the default. */
  readonly ttl: number
  /** IP_TOS, IPV6_TCLASS of what leaves; its last two bits are ECN's and not the application's. */
  readonly tos: number
  /** TCP_CONGESTION; empty: `tcpCongestionControl`. */
  readonly congestion: CcName | ""
  /** SO_MAX_PACING_RATE, octets per second; 0: no limit, and pacing only where congestion control wants it. */
  readonly maxPacingRate: number
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
  minRto: 0,
  maxRto: 0,
  maxDelayedAck: 0,
  synCount: 0,
  thinLinearTimeouts: false,
  keepAlive: false,
  keepIdle: 0,
  keepInterval: 0,
  keepCount: 0,
  linger: -1,
  linger2: 0,
  reuseAddress: false,
  reusePort: false,
  freeBind: false,
  ipv6Only: undefined,
  deferAccept: 0,
  fastOpen: 0,
  fastOpenKey: undefined,
  fastOpenNoCookie: false,
  authentication: undefined,
  minTtl: 0,
  ttl: 0,
  tos: 0,
  congestion: "",
  maxPacingRate: 0,
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
  /** RFC 3168: data may say that it understands marks. */
  readonly ecn: boolean
  /** Octets of options that signing takes from every segment; 0: they are not signed. */
  readonly signature: number
}

/** What an active open has offered. */
export interface Offer {
  readonly rcvScale: number
  readonly scaling: boolean
  readonly timestamps: boolean
  readonly sack: boolean
  readonly ecn: boolean
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
  /** The Fast Open cookie that the SYN-ACK brings the peer for next time, if any: in which of the two options. */
  readonly cookie: "none" | "standard" | "experimental"
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
  /** Data of the SYN was taken (Linux's TCPI_OPT_SYN_DATA). */
  readonly synData: boolean
}

/** RFC 9293 section 3.3.1's send variables. */
export interface Snd {
  readonly una: Seq
  readonly nxt: Seq
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
  /** Both ends talk: ACKs wait for data to go with, until one has waited in vain (Linux's pingpong mode). */
  readonly pingpong: boolean
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
  /** Window or keep-alive probes in a row that nothing has answered. */
  readonly probes: number
  /** What ICMP has said since the peer was last heard of: why, should nothing more come (RFC 9293 section 3.9.2.2). */
  readonly softError: IcmpErrno | undefined
}

/** What loss recovery is doing, in Linux's words (RFC 8985 and 6582 have no common ones). */
export type Phase =
  /** All is well. */
  | "open"
  /** Something arrived out of order, or twice; nothing is lost yet. */
  | "disorder"
  /** The window is being reduced without a loss (ECN). */
  | "cwr"
  /** Fast recovery. */
  | "recovery"
  /** After a retransmission time-out. */
  | "loss"

/** Loss detection and recovery: RFC 6675, 8985, 6582, 6937bis, 5682. It changes in trouble only. Counts are of segments. */
export interface Recovery {
  readonly phase: Phase
  /** RecoveryPoint: the phase is over when this is acknowledged. */
  readonly point: Seq
  /** Where a reduction began that may prove wrong, and the window before it. */
  readonly undo: Undo | undefined
  /** When the first retransmission of this phase left, as its timestamp said (RFC 3522); undefined: none was sent. */
  readonly retransmittedAt: Micros | undefined
  /** The degree of reordering that the path is known for: DupThresh. */
  readonly reordering: number
  readonly reorderings: number
  /** End of the highest record that SACK has reported. */
  readonly highSacked: Seq
  /** Proportional rate reduction: cwnd at its start, what was delivered and sent since. */
  readonly prior: number
  readonly prrDelivered: number
  readonly prrOut: number
  /** F-RTO is on, and whether its new data go before lost ones. */
  readonly frto: boolean
  readonly newFirst: boolean
  /** The peer has dropped what it had reported (RFC 2018 section 8). */
  readonly reneged: boolean
  /** RFC 6675's RescueRxt: the segment sent again in the hope of an ACK, once per recovery. */
  readonly rescued: boolean
  /** SND.NXT when a tail loss probe left, and whether it was a retransmission. */
  readonly probe: { readonly end: Seq; readonly again: boolean } | undefined
  /** RACK's reordering window: multiples of a quarter of the least RTT, for how many recoveries yet, and since when. */
  readonly steps: number
  readonly persist: number
  readonly dsackRound: number
  readonly dsackSeen: boolean
  /** All segments that were ever sent again, reported twice, and judged lost. */
  readonly totalRetrans: number
  readonly dsackDups: number
  readonly totalLost: number
}

export interface Undo {
  readonly marker: Seq
  /** Retransmissions whose D-SACK is missing; undefined: none was sent yet. */
  readonly retrans: number | undefined
  /** Undefined: congestion is certain (ECN), the window stays reduced. */
  readonly before: Cc | undefined
}

/** What every ACK tells of the path: delivery rate, RACK's newest delivery, the least round trip. */
export interface Delivery {
  /** Octets delivered over the connection, a short segment counting as a full one; when last; when the newest of them left. */
  readonly delivered: number
  readonly at: Micros
  readonly firstAt: Micros
  /** What is delivered when the application's pause is over; 0: it has not paused. */
  readonly appLimited: number
  /** Of the last sample: octets per second. */
  readonly rate: number
  readonly rateAppLimited: boolean
  /** RACK.xmit_ts, RACK.end_seq, RACK.rtt. */
  readonly rackAt: Micros
  readonly rackEnd: Seq
  readonly rackRtt: Micros
  readonly minRtt: MinFilter
  readonly ce: number
}

/** Least of a window of time: the best three, each later than the one before. */
export interface MinFilter {
  readonly value: Micros
  readonly at: Micros
  readonly second: Micros
  readonly secondAt: Micros
  readonly third: Micros
  readonly thirdAt: Micros
}

/** How much of the window is used (RFC 2861, RFC 7661). */
export interface Usage {
  /** Congestion control held data back in the window that ends at `end`. */
  readonly limited: boolean
  readonly most: number
  readonly end: Seq
  /** Most segments out since `at`, when the window was last full. */
  readonly used: number
  readonly at: Micros
}

/** The path's MTU as known, and RFC 4821's search for a larger one. Octets of a whole packet. */
export interface MtuState {
  /** What a router said; 0: the interface's. */
  readonly path: number
  /** Time-outs in a row that large segments alone explain have turned the search on. */
  readonly probing: boolean
  readonly low: number
  readonly high: number
  /** The size being tried; 0: none. */
  readonly size: number
  readonly start: Seq
  readonly end: Seq
  /** When the search began or was given up. */
  readonly at: Micros
}

/** RFC 3168. */
export interface Ecn {
  /** CE came: ECE goes with every ACK until CWR answers. */
  readonly echo: boolean
  /** The window was reduced: the next new segment says so. */
  readonly cwr: boolean
  /** Some segment of the peer's said that it could be marked. */
  readonly seen: boolean
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
  /** What the received octets take in Linux's buffers; undefined: only they count (`tcpRcvbufTruesize` is off). */
  readonly memory: Memory | undefined
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
  /** RFC 8985: the tail loss probe, and the end of the reordering window. */
  readonly probe: Micros
  readonly reorder: Micros
  /** When the next burst may leave. */
  readonly pacing: Micros
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
  readonly flight: Flight
  readonly recovery: Recovery
  readonly delivery: Delivery
  readonly usage: Usage
  readonly ecn: Ecn
  readonly mtu: MtuState
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
