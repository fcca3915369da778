import type { Endpoint } from "../wire/address.ts"
import { NOT_ECT } from "../wire/ecn.ts"
import { CWR, ECE, SYN, type TcpOptions } from "../wire/tcpSegment.ts"
import type { Step, Transmit, Why } from "./effect.ts"
import { placesOf } from "./fastOpen.ts"
import { initialReceiveBuffer, initialWindow, offerOf, synOptions, timestamp } from "./handshake.ts"
import { append, emptyQueue } from "./sendQueue.ts"
import { add } from "./seq.ts"
import type { Listen, PathLimits, SocketOptions, SynSent, TcpContext } from "./tcb.ts"
import { type Micros, OFF } from "./time.ts"
import { arm, NO_TIMERS, type Out } from "./timers.ts"

/** OPEN, passive (RFC 9293 section 3.10.1). */
export const passiveOpen = (context: TcpContext, options: SocketOptions, path: PathLimits, backlog: number): Listen => {
  const length = backlogOf(context, backlog)
  return {
    _tag: "LISTEN",
    context,
    options: { ...options, fastOpen: placesOf(context.settings, options.fastOpen, length) },
    path: clamped(path, options),
    backlog: length,
    requests: 0,
    young: 0,
    waiting: 0,
    cookiesAt: OFF,
    fastOpens: 0,
    fastResets: [],
  }
}

/** What `listen` makes of a backlog; a negative one is a very large one, as in Linux. */
export const backlogOf = ({ settings }: TcpContext, asked: number): number =>
  asked < 0 ? settings.somaxconn : Math.min(asked, settings.somaxconn)

/** OPEN, active (RFC 9293 section 3.10.1): <SEQ=ISS><CTL=SYN>. */
export const activeOpen = (
  context: TcpContext,
  options: SocketOptions,
  path: PathLimits,
  local: Endpoint,
  remote: Endpoint,
  now: Micros,
  fast?: FastConnect,
): Step<SynSent> => {
  const { settings, keys } = context
  const iss = keys.iss(local, remote, now)
  const out: Out = []
  const sent: SynSent = {
    _tag: "SYN-SENT",
    context,
    options,
    path: clamped(path, options),
    local,
    remote,
    iss,
    offer: offerOf(settings, options, remote.address),
    tsOffset: settings.tcpTimestamps ? keys.timestampOffset(local, remote) : 0,
    rcvBuf: initialReceiveBuffer(settings, options),
    since: now,
    retransmits: 0,
    queue: fast === undefined ? emptyQueue(add(iss, 1)) : append(emptyQueue(add(iss, 1)), fast.data),
    up: add(iss, 1),
    closing: false,
    shut: false,
    fastOpen: fast?.option,
    synData: fast === undefined || fast.option?.cookie.length === 0 ? 0 : Math.min(fast.data.length, fast.most),
    timers: NO_TIMERS,
  }
  out.push(syn(sent, now, "RFC9293-3.10.1:active-OPEN"), { _tag: "Count", counter: "ActiveOpens" })
  let timers = arm(NO_TIMERS, "retransmit", now + settings.profile.initialRto, out)
  if (options.userTimeout > 0) timers = arm(timers, "user", now + options.userTimeout, out)
  return { tcb: { ...sent, timers }, effects: out }
}

/** TCP_MAXSEG: what is announced is what the peer may send, and neither of us sends more. */
export const clamped = (path: PathLimits, { maxSegment }: SocketOptions): PathLimits =>
  maxSegment > 0 && maxSegment < path.mss ? { ...path, mss: maxSegment } : path

/** Fast Open, the client's side (RFC 7413 section 4.2.1): data for the SYN, and the cookie that lets it go. */
export interface FastConnect {
  readonly data: Uint8Array
  /** An empty cookie asks for one, and the data follows the handshake; undefined: the SYN has no such option. */
  readonly option: TcpOptions["fastOpen"]
  /** Octets that may go along: those that fit beside the options, or none. */
  readonly most: number
}

export const syn = (sent: SynSent, now: Micros, why: Why): Transmit => ({
  _tag: "Transmit",
  seq: sent.iss,
  ack: 0,
  // A SYN that asked for ECN and stays unanswered asks no more (RFC 3168 section 6.1.1.1).
  flags: sent.offer.ecn && (sent.retransmits === 0 || !sent.context.settings.tcpEcnFallback) ? SYN | ECE | CWR : SYN,
  wnd: initialWindow(sent.context.settings, sent.rcvBuf, sent.path.mss),
  up: 0,
  options: {
    ...synOptions(sent.offer, sent.path, timestamp(sent.context, sent.tsOffset, now)),
    fastOpen: sent.fastOpen,
  },
  queue: sent.synData > 0 ? sent.queue : undefined,
  length: sent.synData,
  segmentSize: sent.synData,
  ecn: NOT_ECT,
  why,
})
