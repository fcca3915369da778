import { headers } from "../tcp/mtu.ts"
import { pacingRate } from "../tcp/pacing.ts"
import { minimumOf } from "../tcp/recovery/minFilter.ts"
import { interval } from "../tcp/rto.ts"
import { optionsOf } from "../tcp/setOptions.ts"
import type { Phase, State, Synchronized } from "../tcp/tcb.ts"
import { type Micros, OFF } from "../tcp/time.ts"
import type { Totals } from "./totals.ts"
import type { SocketStatus } from "./types.ts"

/**
 * TCP_INFO: Linux's struct tcp_info under its field names, in its units (microseconds for round
 * trips, milliseconds for what happened last, segments for windows). What Linux itself always leaves
 * at 0 is left out.
 */
export type TcpInfo = Readonly<Partial<Record<TcpInfoField, number>>> & { readonly tcpi_state: number }

export type TcpInfoField = `tcpi_${(typeof INFO_FIELDS)[number]}`

export const INFO_FIELDS = [
  "state",
  "ca_state",
  "retransmits",
  "probes",
  "backoff",
  "options",
  "snd_wscale",
  "rcv_wscale",
  "rto",
  "ato",
  "snd_mss",
  "rcv_mss",
  "unacked",
  "sacked",
  "lost",
  "retrans",
  "last_data_sent",
  "last_data_recv",
  "last_ack_recv",
  "pmtu",
  "rcv_ssthresh",
  "rtt",
  "rttvar",
  "snd_ssthresh",
  "snd_cwnd",
  "advmss",
  "reordering",
  "rcv_rtt",
  "rcv_space",
  "total_retrans",
  "pacing_rate",
  "max_pacing_rate",
  "bytes_acked",
  "bytes_received",
  "segs_out",
  "segs_in",
  "notsent_bytes",
  "min_rtt",
  "data_segs_in",
  "data_segs_out",
  "delivery_rate",
  "delivery_rate_app_limited",
  "busy_time",
  "rwnd_limited",
  "sndbuf_limited",
  "delivered",
  "delivered_ce",
  "bytes_sent",
  "bytes_retrans",
  "dsack_dups",
  "reord_seen",
  "rcv_ooopack",
  "snd_wnd",
  "rcv_wnd",
] as const

type Field = (typeof INFO_FIELDS)[number]
type Fields = Partial<Record<Field, number>>

/** include/net/tcp_states.h. */
export const STATE_NUMBERS: Readonly<Record<State, number>> = {
  ESTABLISHED: 1,
  "SYN-SENT": 2,
  "SYN-RECEIVED": 3,
  "FIN-WAIT-1": 4,
  "FIN-WAIT-2": 5,
  "TIME-WAIT": 6,
  CLOSED: 7,
  "CLOSE-WAIT": 8,
  "LAST-ACK": 9,
  LISTEN: 10,
  CLOSING: 11,
}

/** TCPI_OPT_*: include/uapi/linux/tcp.h. */
const TIMESTAMPS = 1
const SACK = 2
const WSCALE = 4
const ECN = 8
const ECN_SEEN = 16
const SYN_DATA = 32

/** TCP_CA_*. */
const CA_STATES: Readonly<Record<Phase, number>> = { open: 0, disorder: 1, cwr: 2, recovery: 3, loss: 4 }

/** As tcp_get_info fills it in, as far as the state knows it. */
export const tcpInfo = (status: SocketStatus, now: Micros): TcpInfo => {
  const { tcb, totals } = status
  const fields: Fields = {
    ...(tcb._tag === "LISTEN" ? { unacked: status.recvQ, sacked: status.sendQ } : {}),
    ...("snd" in tcb ? ofConnection(tcb, now) : {}),
    ...(tcb._tag === "SYN-RECEIVED" && tcb.open === "fast" ? ofConnection(tcb.tcb, now) : {}),
    ...(tcb._tag === "SYN-SENT" ? { retransmits: tcb.retransmits, backoff: tcb.retransmits } : {}),
    ...(totals === undefined || optionsOf(tcb) === undefined ? {} : ofTotals(totals, now)),
  }
  return Object.assign(
    { tcpi_state: STATE_NUMBERS[status.state] },
    Object.fromEntries(Object.entries(fields).map(([name, value]) => [`tcpi_${name}`, value])),
  )
}

const ofConnection = (tcb: Synchronized, now: Micros): Fields => {
  const { snd, rcv, rto, cc, drs, link, queue, flight, recovery, delivery } = tcb
  const { agreed, context } = link
  const least = minimumOf(delivery.minRtt)
  const inSegments = (octets: number): number => Math.round(octets / snd.mss)
  return {
    ca_state: CA_STATES[recovery.phase],
    retransmits: rto.retransmits,
    // Of window and keep-alive probes, not of retransmissions.
    probes: rto.retransmits > 0 ? 0 : rto.probes,
    backoff: rto.backoff,
    options: optionBits(tcb),
    snd_wscale: agreed.sndScale,
    rcv_wscale: agreed.rcvScale,
    rto: interval(rto, context.settings, tcb.options),
    ato: context.settings.profile.delayedAck,
    snd_mss: snd.mss,
    rcv_mss: rcv.mss,
    unacked: flight.out,
    sacked: flight.sacked,
    lost: flight.lost,
    retrans: flight.retrans,
    reordering: recovery.reordering,
    reord_seen: recovery.reorderings,
    dsack_dups: recovery.dsackDups,
    delivered: inSegments(delivery.delivered),
    delivered_ce: inSegments(delivery.ce),
    delivery_rate: Math.round(delivery.rate),
    delivery_rate_app_limited: Number(delivery.rateAppLimited),
    min_rtt: Number.isFinite(least) ? Math.round(least) : NO_MINIMUM,
    pacing_rate: rateOf(pacingRate(tcb)),
    max_pacing_rate: rateOf(tcb.options.maxPacingRate || Number.POSITIVE_INFINITY),
    last_data_sent: millis(now - (snd.at === OFF ? link.establishedAt : snd.at)),
    last_data_recv: millis(now - (rcv.at === OFF ? link.establishedAt : rcv.at)),
    pmtu: tcb.mtu.path === 0 ? link.path.mss + headers(link) : tcb.mtu.path,
    rcv_ssthresh: drs.memory?.ssthresh ?? Math.min(rcv.buf, rcv.clamp),
    rtt: Math.round(rto.srtt),
    rttvar: Math.round(rto.rttvar),
    snd_ssthresh: cc.ssthresh >= INFINITE ? INFINITE : Math.floor(cc.ssthresh / snd.mss),
    snd_cwnd: Math.floor(cc.cwnd / snd.mss),
    // As Linux does, without the timestamps that go along.
    advmss: link.path.mss - (agreed.timestamps ? TIMESTAMP_OCTETS : 0),
    rcv_rtt: Math.round(drs.rtt),
    rcv_space: drs.space,
    notsent_bytes: Math.max(0, queue.length - ((snd.nxt - queue.start) | 0)),
    snd_wnd: snd.wnd,
    rcv_wnd: drs.memory?.wnd ?? Math.max(0, (rcv.edge - rcv.nxt) | 0),
  }
}

/** A timestamps option, padded. */
const TIMESTAMP_OCTETS = 12

const optionBits = ({ link, ecn }: Synchronized): number => {
  const { timestamps, sack, scaling, ecn: marks } = link.agreed
  return (
    (timestamps ? TIMESTAMPS : 0) |
    (sack ? SACK : 0) |
    (scaling ? WSCALE : 0) |
    (marks ? ECN : 0) |
    (ecn.seen ? ECN_SEEN : 0) |
    (link.synData ? SYN_DATA : 0)
  )
}

/** Linux's ~0 for a rate without a limit, as far as a number holds it. */
const rateOf = (rate: number): number => (Number.isFinite(rate) ? Math.round(rate) : Number.MAX_SAFE_INTEGER)

/** Linux's ~0 of 32 bits: nothing was measured. */
const NO_MINIMUM = 0xffffffff
/** Linux's TCP_INFINITE_SSTHRESH. */
const INFINITE = 0x7fffffff

const ofTotals = (totals: Totals, now: Micros): Fields => {
  totals.account(now)
  return {
    last_ack_recv: millis(now - totals.lastIn),
    total_retrans: totals.retransmissions,
    bytes_acked: totals.bytesAcked,
    bytes_received: totals.bytesReceived,
    segs_out: totals.segsOut,
    segs_in: totals.segsIn,
    data_segs_in: totals.dataSegsIn,
    data_segs_out: totals.dataSegsOut,
    busy_time: totals.busy,
    rwnd_limited: totals.rwndLimited,
    sndbuf_limited: totals.sndbufLimited,
    bytes_sent: totals.bytesSent,
    bytes_retrans: totals.bytesRetrans,
    rcv_ooopack: totals.outOfOrder,
  }
}

const millis = (micros: Micros): number => Math.floor(micros / 1000)
