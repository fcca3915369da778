import { Schema } from "effect"

/**
 * What is seen of a stack from outside, as values that survive JSON: the control socket carries
 * them, and whoever reads them checks them against these schemas.
 */
const count = Schema.NonNegativeInt

/** RFC 9293 section 3.3.2. */
export const SocketState = Schema.Literal(
  "CLOSED",
  "LISTEN",
  "SYN-SENT",
  "SYN-RECEIVED",
  "ESTABLISHED",
  "FIN-WAIT-1",
  "FIN-WAIT-2",
  "CLOSE-WAIT",
  "CLOSING",
  "LAST-ACK",
  "TIME-WAIT",
)
export type SocketState = typeof SocketState.Type

/** An address as text. */
export const Address = Schema.Struct({
  family: Schema.Literal(4, 6),
  address: Schema.String,
  /** 0: none yet, or of a listener: every one. */
  port: count,
})
export type Address = typeof Address.Type

/** A timer that runs, under the names of `ss -o`; a delayed ACK's is not shown there either. */
export const Timer = Schema.Struct({
  name: Schema.Literal("on", "keepalive", "timewait", "persist", "unknown"),
  /** Milliseconds from now. */
  expires: Schema.NonNegative,
  /** Retransmissions, or probes, in a row that nothing has answered. */
  retransmits: count,
})
export type Timer = typeof Timer.Type

/** Window shifts of RFC 7323: the peer's, and our own. */
export const Scale = Schema.Struct({ send: count, receive: count })

/** A listener's two queues; Recv-Q and Send-Q of its row are the accept queue's length and limit. */
export const ListenerInfo = Schema.Struct({
  _tag: Schema.Literal("Listener"),
  /** Half-open requests, and those among them whose SYN-ACK was sent only once. */
  requests: count,
  young: count,
  /** Fast opens whose handshake is not complete. */
  fastOpens: count,
  /** SYNs and ACKs that it had no room for. */
  drops: count,
  /** A SYN cookie has been sent. */
  cookies: Schema.Boolean,
  /** TCP_DEFER_ACCEPT, milliseconds; 0: off. */
  deferAccept: Schema.NonNegative,
})
export type ListenerInfo = typeof ListenerInfo.Type

/** A handshake that is not complete. Of what is still offered and not agreed: what we offer. */
export const OpeningInfo = Schema.Struct({
  _tag: Schema.Literal("Opening"),
  open: Schema.Literal("active", "passive", "fast"),
  timestamps: Schema.Boolean,
  sack: Schema.Boolean,
  scale: Schema.optional(Scale),
  /** MSS that we announce, octets. */
  advertisedMss: count,
  /** SYNs or SYN-ACKs sent again. */
  retransmits: count,
  /** Octets given to send. */
  unsent: count,
})
export type OpeningInfo = typeof OpeningInfo.Type

/** What a connection has done over its life: octets, segments, and milliseconds with something to send. */
export const Totals = Schema.Struct({
  bytesSent: count,
  bytesRetransmitted: count,
  bytesAcked: count,
  bytesReceived: count,
  segmentsOut: count,
  segmentsIn: count,
  dataSegmentsOut: count,
  dataSegmentsIn: count,
  /** Segments sent again. */
  retransmissions: count,
  busy: Schema.NonNegative,
  /** Of those: held up by the peer's window, and by our send buffer. */
  windowLimited: Schema.NonNegative,
  bufferLimited: Schema.NonNegative,
})
export type Totals = typeof Totals.Type

/** TCP_INFO of a connection. Sizes are octets, times milliseconds. */
export const ConnectionInfo = Schema.Struct({
  _tag: Schema.Literal("Connection"),
  open: Schema.Literal("active", "passive"),
  timestamps: Schema.Boolean,
  sack: Schema.Boolean,
  scale: Schema.optional(Scale),
  /** The interval now: doubled for each time-out in a row. */
  rto: Schema.NonNegative,
  /** Time-outs in a row. */
  backoff: count,
  /** Absent before the first measurement. */
  rtt: Schema.optional(Schema.Struct({ smoothed: Schema.NonNegative, variation: Schema.NonNegative })),
  mss: count,
  /** Size of the peer's full segments as far as seen, and the MSS that we announced. */
  receiveMss: count,
  advertisedMss: count,
  congestionWindow: count,
  /** Absent before the first loss. */
  slowStartThreshold: Schema.optional(count),
  recovering: Schema.Boolean,
  duplicateAcks: count,
  /** Sent and not acknowledged; given and not sent. */
  unacked: count,
  unsent: count,
  /** Sent before and being sent again, where a retransmission is under way. */
  retransmitting: count,
  sendWindow: count,
  receiveWindow: count,
  /** The receive buffer as it is sized now. */
  receiveSpace: count,
  /** Round trip as the receiver sees it; absent before a measurement. */
  receiveRtt: Schema.optional(Schema.NonNegative),
  /** Received ahead of a gap. */
  outOfOrder: count,
  /** Since data was last sent, and received; absent where none was. */
  lastSent: Schema.optional(Schema.NonNegative),
  lastReceived: Schema.optional(Schema.NonNegative),
  /** Since the handshake. */
  age: Schema.NonNegative,
  /** Window probes in a row. */
  probes: count,
  /** Absent where no application holds the connection. */
  totals: Schema.optional(Totals),
})
export type ConnectionInfo = typeof ConnectionInfo.Type

export const SocketInfo = Schema.Union(ListenerInfo, OpeningInfo, ConnectionInfo)
export type SocketInfo = typeof SocketInfo.Type

/** Whose socket it is. */
export const Protocol = Schema.Literal("tcp", "udp")
export type Protocol = typeof Protocol.Type

/** One line of `ss`. */
export const SocketRow = Schema.Struct({
  /** Absent: TCP. A UDP socket is ESTABLISHED with a peer, else CLOSED, as ss has it. */
  protocol: Schema.optional(Protocol),
  socket: count,
  state: SocketState,
  /** Unread octets; of a listener: connections that wait to be accepted. */
  recvQ: count,
  /** Unacknowledged and unsent octets; of a listener: its backlog. */
  sendQ: count,
  local: Address,
  /** Absent where there is none. */
  peer: Schema.optional(Address),
  /** It listens on all addresses of both IP versions. */
  dual: Schema.optional(Schema.Boolean),
  /** No application holds it any more. */
  orphan: Schema.Boolean,
  timer: Schema.optional(Timer),
  /** Of a UDP socket: datagrams lost because nobody read those before them. */
  drops: Schema.optional(count),
  /** Absent in CLOSED and TIME-WAIT. */
  info: Schema.optional(SocketInfo),
})
export type SocketRow = typeof SocketRow.Type

/** `ss -s`. */
export const Summary = Schema.Struct({
  /** Sockets and blocks of all kinds. */
  total: count,
  listening: count,
  established: count,
  /** Half-open. */
  synReceived: count,
  timeWait: count,
  orphaned: count,
  closed: count,
  ipv4: count,
  ipv6: count,
  /** UDP sockets, which the others do not count. */
  udpIpv4: count,
  udpIpv6: count,
})
export type Summary = typeof Summary.Type

const Group = Schema.Record({ key: Schema.String, value: Schema.Number })

/** `netstat -s`: by group, under the names that it and `nstat` use. */
export const Counters = Schema.Struct({
  Ip: Group,
  Ip6: Group,
  Icmp: Group,
  Icmp6: Group,
  Udp: Group,
  Udp6: Group,
  Tcp: Group,
  TcpExt: Group,
  /** Packets thrown away, by the rule that decided it: what no kernel says. */
  Drop: Group,
})
export type Counters = typeof Counters.Type
