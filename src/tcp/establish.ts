import { ACK, type Segment } from "../wire/tcpSegment.ts"
import { initialWindow } from "./congestion/initial.ts"
import { start } from "./congestion/registry.ts"
import { emptyFlight } from "./flight.ts"
import { agreedReceiveBuffer, synAckWindow } from "./handshake.ts"
import { startKeepalive } from "./keepalive.ts"
import { currentMss, initialMtu } from "./mtu.ts"
import { EMPTY_REASSEMBLY } from "./reassembly.ts"
import { initialDrs } from "./receiveBuffer.ts"
import { advertisedMss, initialMemory } from "./receiveMemory/memory.ts"
import { withSample } from "./recovery/minFilter.ts"
import { initialDelivery, initialRecovery, initialUsage } from "./recovery/state.ts"
import { initialRto, measured } from "./rto.ts"
import { emptyQueue, type SendQueue } from "./sendQueue.ts"
import { add, type Seq } from "./seq.ts"
import type { Ecn, Link, Negotiated, Request, Rto, SocketOptions, Synchronized, SynSent } from "./tcb.ts"
import { agreedBy } from "./terms.ts"
import { type Micros, OFF } from "./time.ts"
import { NO_TIMERS, type Out } from "./timers.ts"

/** MSS that a peer is taken to use until its segments show more (Linux's tcp_initialize_rcv_mss). */
const FIRST_GUESS_MSS = 536

interface Handshake {
  readonly link: Link
  readonly options: SocketOptions
  readonly rcvBuf: number
  /** Window of our SYN or SYN-ACK. */
  readonly announced: number
  readonly tsRecent: number
  /** Retransmissions of our SYN or SYN-ACK. */
  readonly retransmits: number
  /** When it first left; OFF: not known. */
  readonly since: Micros
  readonly queue: SendQueue | undefined
  /** SND.UP; undefined: nothing is urgent. */
  readonly up: Seq | undefined
  readonly closing: boolean
  readonly shut: boolean
}

/** What an active open has come to: `announced` is the window of whichever of SYN and SYN-ACK the peer answers. */
export const fromSent = (
  sent: SynSent,
  irs: Seq,
  agreed: Negotiated,
  tsRecent: number,
  announced: number,
  now: Micros,
): Handshake => {
  const { context, path, local, remote, iss, tsOffset, options, rcvBuf, retransmits, since, queue, up, closing, shut } =
    sent
  const ends = { context, path, local, remote, iss, irs, agreed, tsOffset }
  const link: Link = { ...ends, open: "active", establishedAt: now, synData: false }
  return { link, options, rcvBuf, announced, tsRecent, retransmits, since, queue, up, closing, shut }
}

/** What a half-open request has come to. */
export const fromRequest = (request: Request, tsRecent: number, now: Micros): Handshake => {
  const { context, path, local, remote, iss, irs, tsOffset, options, rcvBuf, retransmits, since } = request
  const agreed = agreedBy(request.terms)
  const link: Link = {
    context,
    path,
    local,
    remote,
    iss,
    irs,
    agreed,
    tsOffset,
    open: "passive",
    establishedAt: now,
    synData: false,
  }
  const announced = synAckWindow(context.settings, rcvBuf, path, agreed)
  return {
    link,
    options,
    rcvBuf,
    announced,
    tsRecent,
    retransmits,
    since,
    queue: undefined,
    up: undefined,
    closing: false,
    shut: false,
  }
}

/** SYN-SENT or SYN-RECEIVED becomes ESTABLISHED with the segment that acknowledges our SYN (RFC 9293 section 3.10.7.4). */
export const establish = (h: Handshake, seg: Segment, wnd: number, now: Micros, out: Out): Synchronized => {
  const { link, options } = h
  const { settings } = link.context
  const { profile } = settings
  const una = add(link.iss, 1)
  // A search for the path's MTU begins at its lower end.
  const mtu = initialMtu(link, settings, una, now)
  const mss = currentMss(link, mtu)
  const nxt = add(link.irs, 1)
  const memory = initialMemory(options, link, h.rcvBuf)
  const announced = memory?.wnd ?? h.announced
  const first = profile.initialWindowSegments * (memory === undefined ? link.path.mss : advertisedMss(link))
  const rto = initialRto(settings)
  const iw = initialWindow(mss, profile.initialWindowSegments)
  const congestion = options.congestion === "" ? settings.tcpCongestionControl : options.congestion
  const delivery = initialDelivery(una, mss, now)
  const tcb: Synchronized = {
    _tag: "ESTABLISHED",
    link,
    options,
    snd: {
      una,
      nxt: una,
      wnd,
      wl1: seg.seq,
      wl2: (seg.flags & ACK) !== 0 ? seg.ack : una,
      maxWnd: wnd,
      mss,
      up: h.up ?? una,
      small: una,
      fin: h.closing,
      at: OFF,
      more: false,
      push: una,
    },
    rcv: {
      nxt,
      edge: add(nxt, announced),
      buf: agreedReceiveBuffer(settings, h.rcvBuf, link.agreed.peerMss, link.path),
      unread: 0,
      up: nxt,
      lastAck: nxt,
      mss: Math.min(FIRST_GUESS_MSS, memory === undefined ? link.path.mss : firstSize(mss, wnd, announced)),
      // Where memory is accounted the first text says how many (see receiveMemory/arrive.ts).
      quick: memory === undefined ? profile.initialQuickAcks : 0,
      pingpong: !options.quickAck,
      due: "none",
      dueWhy: "RFC9293-3.10.7.4:text-in-order",
      tsRecent: h.tsRecent,
      tsRecentAt: now,
      oowAt: OFF,
      queue: EMPTY_REASSEMBLY,
      dsack: undefined,
      at: OFF,
      fin: false,
      shut: h.shut,
      deaf: false,
      clamp: options.windowClamp > 0 ? options.windowClamp : Number.POSITIVE_INFINITY,
      heardAt: now,
    },
    rto: firstRto(rto, h, now),
    // After a lost SYN or SYN-ACK the first window is one segment (RFC 5681 section 3.1).
    cc: start(congestion, h.retransmits > 1 ? mss : iw, mss, now),
    flight: emptyFlight(una),
    recovery: initialRecovery(una, settings),
    delivery:
      h.since === OFF || h.retransmits > 0
        ? delivery
        : { ...delivery, minRtt: withSample(delivery.minRtt, Math.max(1, now - h.since), settings.tcpMinRttWlen, now) },
    usage: initialUsage(una, now),
    // A SYN that was lost has reduced the window, which the peer hears of.
    ecn: link.agreed.ecn && link.open === "active" && h.retransmits > 0 ? { ...NO_ECN, cwr: true } : NO_ECN,
    mtu,
    drs: initialDrs(nxt, Math.min(memory?.ssthresh ?? announced, first), memory, now),
    queue: h.queue ?? emptyQueue(una as Seq),
    timers: NO_TIMERS,
  }
  return startKeepalive(tcb, now, out)
}

/** Nor is it taken to use larger ones than we do, or than two of would fit our window (tcp_initialize_rcv_mss, tcp_bound_to_half_wnd). */
const firstSize = (mss: number, peerWindow: number, ours: number): number => {
  const half = peerWindow > FIRST_GUESS_MSS ? peerWindow >> 1 : peerWindow
  return Math.max(LEAST_MSS, Math.min(mss, half, ours >> 1))
}

/** Linux's TCP_MIN_MSS. */
const LEAST_MSS = 88

/** The handshake is the first measurement; a lost SYN is not one, nor is a cookie, whose sending nobody remembers. */
const firstRto = (rto: Rto, h: Handshake, now: Micros): Rto => {
  if (h.since === OFF) return rto
  return h.retransmits === 0
    ? measured(rto, now - h.since, h.link.context.settings, h.options)
    : { ...rto, rto: LOST_SYN_RTO }
}

const NO_ECN: Ecn = { echo: false, cwr: false, seen: false }

/** RFC 6298 section 5.7. */
const LOST_SYN_RTO: Micros = 3_000_000
