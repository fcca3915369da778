import type { CcName } from "./congestion/control.ts"
import type { Micros } from "./time.ts"

/**
 * What a stack is told about TCP: Linux's sysctls under their names in camel case, and the
 * wire profile. Durations are microseconds, sizes octets.
 */
export interface TcpSettings {
  readonly profile: WireProfile
  /** Upper bound of an accept queue, whatever backlog `listen` asks for. */
  readonly somaxconn: number
  /** Half-open requests that one listener keeps while cookies are off; its last quarter is for proven peers. */
  readonly tcpMaxSynBacklog: number
  readonly tcpSynRetries: number
  readonly tcpSynackRetries: number
  /** Time-outs of a SYN that do not double its interval. 0, as RFC 6298 section 5.5 has it; Linux's own since 6.5: 4. */
  readonly tcpSynLinearTimeouts: number
  /** Time-outs of a stream that keeps few segments in flight do not double the interval, six of them (see `thinLinearTimeouts`). */
  readonly tcpThinLinearTimeouts: boolean
  /**
   * R1 and R2 of RFC 9293 section 3.8.3, as Linux reads them: each stands for the time that so many
   * retransmissions take which begin at 200 ms, and double. After R1 the way to the peer is doubted,
   * after R2 the connection is given up. Window probes are counted.
   */
  readonly tcpRetries1: number
  readonly tcpRetries2: number
  /** R2 of connections that no application holds any more; 0: 8 as long as the timer's interval is below its largest, else none. */
  readonly tcpOrphanRetries: number
  /** Keep-alive (RFC 9293 section 3.8.4), for sockets that ask for it: silence before the first probe, between probes, and probes without an answer. */
  readonly tcpKeepaliveTime: Micros
  readonly tcpKeepaliveIntvl: Micros
  readonly tcpKeepaliveProbes: number
  /** SYN cookies. 0: never, 1: when the SYN queue is full, 2: always. */
  readonly tcpSyncookies: 0 | 1 | 2
  /** TCP Fast Open, bits as in Linux: 1 client, 2 server, 4 client and 0x200 server without cookies, 0x400 all listeners. */
  readonly tcpFastopen: number
  /** One key or two, as Linux's tcp_fastopen_key has them, for servers that share their cookies; empty: the stack has its own. */
  readonly tcpFastopenKey: string
  /** Reset, not drop, the final ACK that finds the accept queue full. */
  readonly tcpAbortOnOverflow: boolean
  readonly tcpWindowScaling: boolean
  readonly tcpTimestamps: boolean
  readonly tcpSack: boolean
  /** Duplicates that arrive are reported (RFC 2883). */
  readonly tcpDsack: boolean
  /** Of a new connection; a socket's own option goes before it. */
  readonly tcpCongestionControl: CcName
  /** Loss detection, bits as in Linux: 1 RACK (RFC 8985; without it RFC 6675), 2 a fixed reordering window, 4 no DupThresh. */
  readonly tcpRecovery: number
  /** Tail loss probes: 3 and 4 yes, anything else no. */
  readonly tcpEarlyRetrans: number
  /** F-RTO (RFC 5682); 0: off. */
  readonly tcpFrto: number
  /** DupThresh at the start of a connection, and the most that reordering may make of it. */
  readonly tcpReordering: number
  readonly tcpMaxReordering: number
  /** Small segments that are sent again go together. */
  readonly tcpRetransCollapse: boolean
  /**
   * Octets that one connection hands to the device before others, timers and applications have their turn (Linux's
   * bounds what waits in the device).
   */
  readonly tcpLimitOutputBytes: number
  /** RFC 2861: an unused window shrinks. */
  readonly tcpSlowStartAfterIdle: boolean
  /** For how long the least RTT is remembered. */
  readonly tcpMinRttWlen: Micros
  /** RFC 3168. 0: no, 1: ask and accept, 2: accept. */
  readonly tcpEcn: 0 | 1 | 2
  /** A SYN that asked for ECN and stays unanswered is sent again without (RFC 3168 section 6.1.1.1). */
  readonly tcpEcnFallback: boolean
  /** RFC 4821. 0: no, 1: after a black hole is suspected, 2: always. */
  readonly tcpMtuProbing: 0 | 1 | 2
  /** Where the search begins, and below what a black hole is not suspected. Octets of MSS. */
  readonly tcpBaseMss: number
  readonly tcpMtuProbeFloor: number
  /** The search ends when its bounds are this near, and begins again after this time. */
  readonly tcpProbeThreshold: number
  readonly tcpProbeInterval: Micros
  /** Pacing rate in percent of the window per round trip: in slow start, and after. */
  readonly tcpPacingSsRatio: number
  readonly tcpPacingCaRatio: number
  /** Segments at least of one burst, and how fast its bound falls with the least RTT (2^n microseconds halve it). */
  readonly tcpMinTsoSegs: number
  readonly tcpTsoRttLog: number
  /** How long FIN-WAIT-2 waits for the peer of a closed connection. */
  readonly tcpFinTimeout: Micros
  /** TIME-WAIT: 2 MSL (Linux's TCP_TIMEWAIT_LEN). */
  readonly timeWait: Micros
  readonly tcpMaxTwBuckets: number
  /** RFC 1337: a RST does not end TIME-WAIT. */
  readonly tcpRfc1337: boolean
  /** At most one challenge ACK, or ACK of an out-of-window segment, per connection in this time (RFC 5961 section 7). */
  readonly tcpInvalidRatelimit: Micros
  /** Challenge ACKs of all connections together, about so many in a second; 0x7fffffff: no limit. */
  readonly tcpChallengeAckLimit: number
  /** Octets given and not yet sent up to which a socket takes more; see `notSentLowWater`. */
  readonly tcpNotsentLowat: number
  /** Receive buffers grow with what the application takes in a round trip, up to `tcpRmem`'s largest. */
  readonly tcpModerateRcvbuf: boolean
  /** Receive buffer: smallest, first, largest; half of each is payload, the rest stands for Linux's bookkeeping. */
  readonly tcpRmem: readonly [number, number, number]
  /**
   * Receive windows follow the memory that Linux's buffers would take (truesize against twice `receiveBuffer`, or
   * `tcpRmem`), not the octets that they hold: segments are refused, and windows narrower, as a Linux machine behind a
   * TUN device has it.
   */
  readonly tcpRcvbufTruesize: boolean
  /** With `tcpRcvbufTruesize`: the device joins segments of so many octets of payload to larger packets; 0: it joins none. */
  readonly tcpGroSegment: number
  /** With `tcpRcvbufTruesize`: a scaled window may be taken back where memory gets scarce (against RFC 9293 section 3.8.6, SHLD-14). */
  readonly tcpShrinkWindow: boolean
  /** Send buffer: smallest, first, largest; all of it is payload. It follows twice the congestion window. */
  readonly tcpWmem: readonly [number, number, number]
  /**
   * Octets of memory that each queued packet takes of a send buffer beside its payload, as in Linux, where `tcpWmem` and a socket's
   * own size are memory; 0: they are payload alone.
   */
  readonly sendOverhead: number
  /** Smallest MSS that is believed of a peer. */
  readonly tcpMinSndMss: number
  readonly ipLocalPortRange: readonly [number, number]
  readonly ipUnprivilegedPortStart: number
  readonly ipNonlocalBind: boolean
  /** How long the first fragment of a datagram waits for the others, and the memory that all of them take (RFC 8900 section 3.7). */
  readonly ipfragTime: Micros
  readonly ipfragHighThresh: number
  /** The same over IPv6. */
  readonly ip6fragTime: Micros
  readonly ip6fragHighThresh: number
  /** Receive buffer of a UDP or echo socket that asks for no other, and the largest that one gets. */
  readonly rmemDefault: number
  readonly rmemMax: number
  /** Packets for others go on: the host is a router, of both IP versions. */
  readonly ipForward: boolean
  /** As a router, lower the MSS that SYNs announce to what both links carry (iptables' --clamp-mss-to-pmtu). */
  readonly ipForwardClampMss: boolean
  /** Listeners of any IPv6 address leave IPv4 to others (Linux's bindv6only); a socket may say otherwise. */
  readonly bindv6only: boolean
}

/** What differs between real stacks on the wire: records of settings, never branches in the reducers. */
export interface WireProfile {
  readonly name: "linux" | "freebsd"
  /** Order and padding of the options in a SYN and in a SYN-ACK; see `tcpOptions.ts` in the wire room. */
  readonly optionLayout: "linux" | "freebsd"
  /** RFC 6298 section 2.1. */
  readonly initialRto: Micros
  readonly minRto: Micros
  readonly maxRto: Micros
  /** RFC 9293 section 3.8.6.3: how long an ACK may wait, 500 ms at most. */
  readonly delayedAck: Micros
  /** Segments acknowledged at once at the start of a connection. */
  readonly initialQuickAcks: number
  /** RFC 6928 section 2. */
  readonly initialWindowSegments: number
  /** Ticks of the timestamp clock per second (RFC 7323 section 5.4). */
  readonly timestampRate: number
  /** Least share of the variation in RTO = SRTT + max(floor, 4 RTTVAR) (RFC 6298 section 2.3 calls it G). */
  readonly rttvarFloor: Micros
  /** Added to every measured interval, for timers and delayed ACKs of others (FreeBSD's tcp_rexmit_slop). */
  readonly rtoSlop: Micros
  /** Window of a SYN: the whole buffer, or as many whole segments as it holds (16 bits at most). */
  readonly initialWindow: "full" | "whole-segments"
  /** What a receive buffer becomes with the handshake: what it was, or that rounded up to whole segments. */
  readonly receiveBuffer: "as-asked" | "whole-segments"
  /**
   * The window's edge moves in steps worth a segment; or so only where less than half of the buffer is free, and else
   * with all that leaves (Linux); or to wherever it may be.
   */
  readonly windowStep: "segment" | "sliding" | "any"
  /** Which arrival an ACK no longer waits at: the octets of a second full segment, or any second segment. */
  readonly ackEvery: "second-full-segment" | "second-segment"
  /** A SYN that carries FIN too: no one needs it but attackers (drop), or RFC 1644 (accept). */
  readonly synFin: "drop" | "accept"
  /**
   * A SYN in the window of a half-open request ends it, with a reset to the peer (Linux's tcp_check_req, gVisor), or
   * without a word (RFC 9293 section 3.10.7.4).
   */
  readonly synInRequest: "reset" | "silence"
  /** RFC 7323 section 3.2 says SHOULD drop a segment that lacks the agreed timestamp; Linux does not. */
  readonly missingTimestamp: "accept" | "drop"
  /** A RST just before RCV.NXT, after the peer's FIN, resets: some stacks forget to count their FIN (Linux's tcp_reset_check). */
  readonly resetAtFin: boolean
  /** RFC 5961 section 3.2's exact match extends to the end of what SACK has reported: the peer may count from there (Linux). */
  readonly resetAtSack: boolean
  /** Window field of a reset of our own accord: as of any segment, or zero. */
  readonly resetWindow: "announced" | "zero"
  /** A timestamp this many ticks older than TS.Recent passes PAWS: the sender's clock may tick between two queues (Linux's TCP_PAWS_WINDOW). */
  readonly pawsTolerance: number
  /**
   * TIME-WAIT: what is not empty, or not at RCV.NXT, is acknowledged (a RST: ignored), whatever the window says
   * (Linux's tcp_timewait_state_process); or the checks of RFC 9293 section 3.10.7.4 in their order.
   */
  readonly timeWaitChecks: "RCV.NXT" | "window"
  /** The ACK of a FIN waits as an ACK of data may, since a close mostly follows (Linux's tcp_fin), or leaves at once. */
  readonly finAck: "delayed" | "at-once"
  /** What a window probe carries: nothing, at an old sequence number, or the next octet (RFC 9293 section 3.8.6.1). */
  readonly windowProbe: "old-sequence" | "next-octet"
  /**
   * What is taken beyond the right edge of the window: a packet that a device has joined and that begins within it, as long as
   * nothing waits to be read, and a bare FIN at a closed one, whose sender would else repeat it until somebody reads (Linux's
   * tcp_sequence and tcp_data_queue); or nothing (RFC 9293 section 3.10.7.4 lets the receiver trim).
   */
  readonly beyondWindow: "joined-packet-and-FIN" | "nothing"
}

const SECOND = 1_000_000

export const linux: WireProfile = {
  name: "linux",
  optionLayout: "linux",
  initialRto: SECOND,
  minRto: 200_000,
  maxRto: 120 * SECOND,
  delayedAck: 40_000,
  initialQuickAcks: 16,
  initialWindowSegments: 10,
  timestampRate: 1000,
  rttvarFloor: 200_000,
  rtoSlop: 0,
  initialWindow: "whole-segments",
  receiveBuffer: "as-asked",
  windowStep: "sliding",
  ackEvery: "second-full-segment",
  synFin: "drop",
  synInRequest: "reset",
  missingTimestamp: "accept",
  resetAtFin: true,
  resetAtSack: true,
  resetWindow: "announced",
  pawsTolerance: 1,
  timeWaitChecks: "RCV.NXT",
  finAck: "delayed",
  windowProbe: "old-sequence",
  beyondWindow: "joined-packet-and-FIN",
}

export const freebsd: WireProfile = {
  name: "freebsd",
  optionLayout: "freebsd",
  initialRto: SECOND,
  minRto: 30_000,
  maxRto: 64 * SECOND,
  delayedAck: 40_000,
  initialQuickAcks: 0,
  initialWindowSegments: 10,
  timestampRate: 1000,
  rttvarFloor: 0,
  rtoSlop: 200_000,
  initialWindow: "full",
  receiveBuffer: "whole-segments",
  windowStep: "any",
  ackEvery: "second-segment",
  synFin: "accept",
  synInRequest: "silence",
  missingTimestamp: "drop",
  resetAtFin: false,
  resetAtSack: false,
  resetWindow: "zero",
  pawsTolerance: 0,
  timeWaitChecks: "window",
  finAck: "at-once",
  windowProbe: "next-octet",
  beyondWindow: "nothing",
}

export const defaultSettings: TcpSettings = {
  profile: linux,
  somaxconn: 4096,
  tcpMaxSynBacklog: 1024,
  tcpSynRetries: 6,
  tcpSynackRetries: 5,
  tcpSynLinearTimeouts: 0,
  tcpThinLinearTimeouts: false,
  tcpRetries1: 3,
  tcpRetries2: 15,
  tcpOrphanRetries: 0,
  tcpKeepaliveTime: 7200 * SECOND,
  tcpKeepaliveIntvl: 75 * SECOND,
  tcpKeepaliveProbes: 9,
  tcpSyncookies: 1,
  tcpFastopen: 1,
  tcpFastopenKey: "",
  tcpAbortOnOverflow: false,
  tcpWindowScaling: true,
  tcpTimestamps: true,
  tcpSack: true,
  tcpDsack: true,
  tcpCongestionControl: "cubic",
  tcpRecovery: 1,
  tcpEarlyRetrans: 3,
  tcpFrto: 2,
  tcpReordering: 3,
  tcpMaxReordering: 300,
  tcpRetransCollapse: true,
  tcpLimitOutputBytes: 524_288,
  tcpSlowStartAfterIdle: true,
  tcpMinRttWlen: 300 * SECOND,
  tcpEcn: 2,
  tcpEcnFallback: true,
  tcpMtuProbing: 0,
  tcpBaseMss: 1024,
  tcpMtuProbeFloor: 48,
  tcpProbeThreshold: 8,
  tcpProbeInterval: 600 * SECOND,
  tcpPacingSsRatio: 200,
  tcpPacingCaRatio: 120,
  tcpMinTsoSegs: 2,
  tcpTsoRttLog: 9,
  tcpFinTimeout: 60 * SECOND,
  timeWait: 60 * SECOND,
  tcpMaxTwBuckets: 65536,
  tcpRfc1337: false,
  tcpInvalidRatelimit: 500_000,
  tcpChallengeAckLimit: 0x7fffffff,
  tcpNotsentLowat: 0xffffffff,
  tcpModerateRcvbuf: true,
  // Linux's largest are 6 and 4 MiB, which hold 240 Mbit/s at 100 ms: these hold 1 Gbit/s, whose 12.5 MB are in flight then.
  tcpRmem: [4096, 131072, 33554432],
  tcpRcvbufTruesize: false,
  tcpGroSegment: 0,
  tcpShrinkWindow: false,
  tcpWmem: [4096, 16384, 33554432],
  sendOverhead: 0,
  tcpMinSndMss: 48,
  ipLocalPortRange: [32768, 60999],
  // Linux says 1024; inside a process nobody is more privileged than the rest.
  ipUnprivilegedPortStart: 0,
  ipNonlocalBind: false,
  ipfragTime: 30 * SECOND,
  ipfragHighThresh: 4 * 1024 * 1024,
  ip6fragTime: 60 * SECOND,
  ip6fragHighThresh: 4 * 1024 * 1024,
  rmemDefault: 212_992,
  // Linux says 212992; an application of a process may take of its own memory what it likes.
  rmemMax: 4 * 1024 * 1024,
  ipForward: false,
  ipForwardClampMss: false,
  bindv6only: false,
}
