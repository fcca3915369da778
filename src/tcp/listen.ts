import type { Endpoint } from "../wire/address.ts"
import { ACK, hasAck, hasFin, hasRst, hasSyn, type Segment, SYN } from "../wire/tcpSegment.ts"
import type { Step, TcpEffect, Transmit, Why } from "./effect.ts"
import { agree, initialReceiveBuffer, initialWindow, offerOf, synAckOptions, timestamp } from "./handshake.ts"
import { drop, resetFor } from "./reset.ts"
import { add } from "./seq.ts"
import type { Listen, Request } from "./tcb.ts"
import { type Micros, OFF } from "./time.ts"

/**
 * LISTEN: a segment arrives (RFC 9293 section 3.10.7.2). A SYN that the queues have room for
 * becomes a half-open request; the listener itself only counts it.
 */
export const segmentArrives = (
  listen: Listen,
  seg: Segment,
  local: Endpoint,
  remote: Endpoint,
  now: Micros,
): Step<Listen> => {
  // First: RST. Second: ACK. Third: SYN. Fourth: anything else.
  if (hasRst(seg)) return ignore(listen, "RFC9293-3.10.7.2:RST")
  if (hasAck(seg)) return { tcb: listen, effects: [resetFor(seg, "RFC9293-3.10.7.2:ACK")] }
  if (!hasSyn(seg)) return ignore(listen, "RFC9293-3.10.7.2:neither-SYN-nor-ACK")
  if (hasFin(seg) && listen.context.settings.profile.synFin === "drop") return ignore(listen, "Linux:SYN-FIN")

  const refusal = overflow(listen)
  if (refusal !== undefined) return { tcb: listen, effects: refusal }

  const request = requestFrom(listen, seg, local, remote, now)
  return {
    tcb: { ...listen, requests: listen.requests + 1, young: listen.young + 1 },
    effects: [{ _tag: "Spawn", request, why: "RFC9293-3.10.7.2:SYN" }, synAck(request, now, "RFC9293-3.10.7.2:SYN")],
  }
}

/** Linux's tcp_conn_request: a full accept queue takes no new SYN, nor does a full SYN queue. */
const overflow = (listen: Listen): ReadonlyArray<TcpEffect> | undefined => {
  if (listen.waiting > listen.backlog) {
    return [drop("Linux:accept-queue-full"), count("ListenOverflows"), count("ListenDrops")]
  }
  const most = Math.min(listen.backlog, listen.context.settings.tcpMaxSynBacklog)
  if (listen.requests >= Math.max(most, 1)) {
    return [drop("Linux:SYN-queue-full"), count("TCPReqQFullDrop"), count("ListenDrops")]
  }
  return undefined
}

const requestFrom = (listen: Listen, seg: Segment, local: Endpoint, remote: Endpoint, now: Micros): Request => {
  const { context, options, path } = listen
  const { settings, keys } = context
  return {
    _tag: "SYN-RECEIVED",
    open: "passive",
    context,
    options,
    path,
    local,
    remote,
    iss: keys.iss(local, remote, now),
    irs: seg.seq,
    agreed: agree(offerOf(settings, options), seg.options, settings, remote.address.family),
    tsRecent: seg.options.tsVal ?? 0,
    tsOffset: settings.tcpTimestamps ? keys.timestampOffset(local, remote) : 0,
    rcvBuf: initialReceiveBuffer(settings, options),
    sndWnd: seg.wnd,
    since: now,
    retransmits: 0,
    oowAt: OFF,
    deadline: now + settings.profile.initialRto,
  }
}

/** <SEQ=ISS><ACK=RCV.NXT><CTL=SYN,ACK>, with only those options that the SYN had. */
export const synAck = (request: Request, now: Micros, why: Why): Transmit => ({
  _tag: "Transmit",
  seq: request.iss,
  ack: add(request.irs, 1),
  flags: SYN | ACK,
  wnd: initialWindow(request.context.settings, request.rcvBuf, request.path.mss),
  up: 0,
  options: synAckOptions(
    request.agreed,
    request.path,
    timestamp(request.context, request.tsOffset, now),
    request.tsRecent,
  ),
  queue: undefined,
  length: 0,
  segmentSize: 0,
  why,
})

const ignore = (listen: Listen, why: Why): Step<Listen> => ({ tcb: listen, effects: [drop(why)] })

const count = (counter: "ListenOverflows" | "ListenDrops" | "TCPReqQFullDrop") => ({ _tag: "Count", counter }) as const
