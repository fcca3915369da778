import type { Totals as HostTotals } from "../host/totals.ts"
import type { SocketStatus } from "../host/types.ts"
import type { UdpStatus } from "../host/udp/types.ts"
import { interval } from "../tcp/rto.ts"
import { distance } from "../tcp/seq.ts"
import type { FastOpened, Listen, Negotiated, Request, Synchronized, SynReceived, SynSent } from "../tcp/tcb.ts"
import { agreedBy } from "../tcp/terms.ts"
import { type Micros, OFF } from "../tcp/time.ts"
import { announced } from "../tcp/window.ts"
import { type Endpoint, isUnspecified } from "../wire/address.ts"
import { formatAddress } from "../wire/addressText.ts"
import type {
  Address,
  ConnectionInfo,
  ListenerInfo,
  OpeningInfo,
  SocketInfo,
  SocketRow,
  Totals,
} from "./inspectSchema.ts"
import { timerOf } from "./inspectTimer.ts"

/** Where the threshold still stands at "none" (RFC 5681 section 3.1: arbitrarily high). */
const NO_THRESHOLD = 0x7fffffff

/** A status as a row. `orphan`: no application holds the socket. */
export const rowOf = (status: SocketStatus, orphan: boolean, now: Micros): SocketRow => {
  const { socket, state, recvQ, sendQ, local, remote, tcb } = status
  const timer = timerOf(tcb, now)
  const info = infoOf(status, now)
  return {
    socket,
    state,
    recvQ,
    sendQ,
    local: addressOf(local),
    ...(remote === undefined ? {} : { peer: addressOf(remote) }),
    ...(tcb._tag === "LISTEN" && isDual(local, tcb.options.ipv6Only) ? { dual: true } : {}),
    orphan,
    ...(timer === undefined ? {} : { timer }),
    ...(info === undefined ? {} : { info }),
  }
}

/** A UDP socket's status as a row. */
export const udpRowOf = ({ socket, local, remote, recvQ, drops, ipv6Only }: UdpStatus): SocketRow => ({
  protocol: "udp",
  socket,
  state: remote === undefined ? "CLOSED" : "ESTABLISHED",
  recvQ,
  sendQ: 0,
  local: addressOf(local),
  ...(remote === undefined ? {} : { peer: addressOf(remote) }),
  ...(isDual(local, ipv6Only) ? { dual: true } : {}),
  orphan: false,
  drops,
})

/** "::" is any address of both versions, unless the socket says otherwise. */
const isDual = ({ address }: Endpoint, ipv6Only: boolean | undefined): boolean =>
  address.family === 6 && isUnspecified(address) && ipv6Only !== true

const addressOf = ({ address, port }: Endpoint): Address => ({
  family: address.family,
  address: formatAddress(address),
  port,
})

const infoOf = (status: SocketStatus, now: Micros): SocketInfo | undefined => {
  const { tcb } = status
  switch (tcb._tag) {
    case "CLOSED":
    case "TIME-WAIT":
      return undefined
    case "LISTEN":
      return listenerInfo(tcb, status.drops ?? 0)
    case "SYN-SENT":
      return attemptInfo(tcb)
    case "SYN-RECEIVED":
      return handshakeInfo(tcb)
    default:
      return connectionInfo(tcb, status, now)
  }
}

const listenerInfo = ({ requests, young, fastOpens, cookiesAt, options }: Listen, drops: number): ListenerInfo => ({
  _tag: "Listener",
  requests,
  young,
  fastOpens,
  drops,
  cookies: cookiesAt !== OFF,
  deferAccept: millis(options.deferAccept),
})

const attemptInfo = ({ offer, path, retransmits, queue }: SynSent): OpeningInfo => ({
  _tag: "Opening",
  open: "active",
  timestamps: offer.timestamps,
  sack: offer.sack,
  ...(offer.scaling ? { scale: { send: 0, receive: offer.rcvScale } } : {}),
  advertisedMss: path.mss,
  retransmits,
  unsent: queue.length,
})

const handshakeInfo = (tcb: Request | SynReceived | FastOpened): OpeningInfo => {
  switch (tcb.open) {
    case "passive":
      return { ...agreedInfo(agreedBy(tcb.terms)), open: tcb.open, ...requestInfo(tcb), unsent: 0 }
    case "active":
      return { ...agreedInfo(tcb.agreed), open: tcb.open, ...requestInfo(tcb.sent), unsent: tcb.sent.queue.length }
    case "fast":
      return {
        ...agreedInfo(agreedBy(tcb.request.terms)),
        open: tcb.open,
        ...requestInfo(tcb.request),
        unsent: tcb.tcb.queue.length,
      }
  }
}

const requestInfo = ({ path, retransmits }: Request | SynSent) => ({ advertisedMss: path.mss, retransmits })

const agreedInfo = ({ timestamps, sack, scaling, sndScale, rcvScale }: Negotiated) =>
  ({
    _tag: "Opening",
    timestamps,
    sack,
    ...(scaling ? { scale: { send: sndScale, receive: rcvScale } } : {}),
  }) as const

const connectionInfo = (tcb: Synchronized, status: SocketStatus, now: Micros): ConnectionInfo => {
  const { link, snd, rcv, rto, cc, drs, queue, recovery, flight } = tcb
  const { agreed, path, context } = link
  const unacked = Math.max(0, distance(snd.nxt, snd.una))
  const retransmitting = Math.min(unacked, flight.lost * snd.mss)
  return {
    _tag: "Connection",
    open: link.open,
    timestamps: agreed.timestamps,
    sack: agreed.sack,
    ...(agreed.scaling ? { scale: { send: agreed.sndScale, receive: agreed.rcvScale } } : {}),
    rto: millis(interval(rto, context.settings, tcb.options)),
    backoff: rto.backoff,
    ...(rto.srtt === 0 ? {} : { rtt: { smoothed: millis(rto.srtt), variation: millis(rto.rttvar) } }),
    mss: snd.mss,
    receiveMss: rcv.mss,
    advertisedMss: path.mss,
    congestionWindow: cc.cwnd,
    ...(cc.ssthresh < NO_THRESHOLD ? { slowStartThreshold: cc.ssthresh } : {}),
    recovering: recovery.phase === "recovery" || recovery.phase === "loss",
    duplicateAcks: agreed.sack ? 0 : flight.sacked,
    unacked,
    unsent: Math.max(0, queue.length - unacked),
    retransmitting,
    sendWindow: snd.wnd,
    receiveWindow: announced(rcv),
    receiveSpace: rcv.buf,
    ...(drs.rtt === 0 ? {} : { receiveRtt: millis(drs.rtt) }),
    outOfOrder: rcv.queue.length,
    ...(snd.at === OFF ? {} : { lastSent: since(snd.at, now) }),
    ...(rcv.at === OFF ? {} : { lastReceived: since(rcv.at, now) }),
    age: since(link.establishedAt, now),
    probes: rto.probes,
    ...(status.totals === undefined ? {} : { totals: totalsInfo(status.totals, now) }),
  }
}

const totalsInfo = (totals: HostTotals, now: Micros): Totals => {
  totals.account(now)
  return {
    bytesSent: totals.bytesSent,
    bytesRetransmitted: totals.bytesRetrans,
    bytesAcked: totals.bytesAcked,
    bytesReceived: totals.bytesReceived,
    segmentsOut: totals.segsOut,
    segmentsIn: totals.segsIn,
    dataSegmentsOut: totals.dataSegsOut,
    dataSegmentsIn: totals.dataSegsIn,
    retransmissions: totals.retransmissions,
    busy: millis(totals.busy),
    windowLimited: millis(totals.rwndLimited),
    bufferLimited: millis(totals.sndbufLimited),
  }
}

const since = (at: Micros, now: Micros): number => millis(Math.max(0, now - at))

const millis = (micros: Micros): number => Math.round(micros) / 1000
