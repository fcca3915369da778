import { hasAck, hasFin, hasRst, hasSyn, type Segment, segmentLength } from "../wire/tcpSegment.ts"
import { acceptable, acknowledgesAtEdge } from "./acceptable.ts"
import { ackFrom } from "./bareAck.ts"
import { rateAllows } from "./challenge.ts"
import type { Step, Why } from "./effect.ts"
import { establish, fromSent } from "./establish.ts"
import { synAckWindow } from "./handshake.ts"
import { drop, resetFor } from "./reset.ts"
import { add } from "./seq.ts"
import { afterHandshake } from "./synchronized.ts"
import { CLOSED, type Synchronized, type SynReceived } from "./tcb.ts"
import { owe } from "./text.ts"
import type { Micros } from "./time.ts"
import { cancelAll, type Out } from "./timers.ts"
import { pawsRejects } from "./timestamps.ts"
import { withoutSyn } from "./withoutSyn.ts"

/**
 * SYN-RECEIVED from SYN-SENT, the SYNs having crossed: a segment arrives (RFC 9293 section
 * 3.10.7.4). The peer's SYN-ACK begins one octet before the window; its SYN is known and put aside.
 */
export const segmentArrives = (tcb: SynReceived, arrived: Segment, now: Micros): Step => {
  const { sent } = tcb
  const { settings } = sent.context
  const nxt = add(tcb.irs, 1)
  const peersSynAck = hasSyn(arrived) && hasAck(arrived) && !hasRst(arrived) && arrived.seq === tcb.irs
  const seg = peersSynAck ? withoutSyn(arrived) : arrived

  if (tcb.agreed.timestamps && !hasRst(seg) && pawsRejects(seg, tcb.tsRecent, sent.since, now)) {
    return bareAck(tcb, now, "RFC7323-5.3:PAWS")
  }
  const wnd = synAckWindow(settings, sent.rcvBuf, sent.path, tcb.agreed)
  if (!acceptable(seg.seq, segmentLength(seg), nxt, wnd) && !acknowledgesAtEdge(seg, nxt, wnd)) {
    return hasRst(seg)
      ? dropped(tcb, "RFC9293-3.10.7.4:RST-outside-window")
      : bareAck(tcb, now, "RFC9293-3.10.7.4:unacceptable")
  }
  if (hasRst(seg)) {
    return seg.seq === nxt ? refused(tcb) : bareAck(tcb, now, "RFC5961-3.2:RST-not-at-RCV.NXT")
  }
  if (hasSyn(seg)) return bareAck(tcb, now, "RFC5961-4.2:SYN-in-window")
  if (!hasAck(seg)) return dropped(tcb, "RFC9293-3.10.7.4:no-ACK")
  if (seg.ack !== add(sent.iss, 1)) {
    return { tcb, effects: [resetFor(seg, "RFC9293-3.10.7.4:unacceptable-ACK")] }
  }
  return established(tcb, seg, peersSynAck, now)
}

const established = (tcb: SynReceived, seg: Segment, unscaled: boolean, now: Micros): Step => {
  const out: Out = []
  const { sent, agreed, irs } = tcb
  cancelAll(tcb.timers, out)
  out.push({ _tag: "Established", why: "RFC9293-3.10.7.4:ACK-of-SYN" })
  const announced = synAckWindow(sent.context.settings, sent.rcvBuf, sent.path, agreed)
  const handshake = fromSent(sent, irs, agreed, seg.options.tsVal ?? tcb.tsRecent, announced, now)
  const fresh = establish(handshake, seg, unscaled ? seg.wnd : seg.wnd * 2 ** agreed.sndScale, now, out)
  const open: Synchronized = sent.closing ? { ...fresh, _tag: "FIN-WAIT-1" } : fresh
  // The peer's SYN-ACK is answered: ours may have been lost, and then only an ACK opens the peer.
  const next = unscaled ? owe(open, "now", "RFC9293-3.10.7.4:SYN-ACK-of-crossed-SYNs") : open
  const text = seg.payload.length > 0 || hasFin(seg)
  return { tcb: text ? afterHandshake(next, seg, now, out) : next, effects: out }
}

const refused = (tcb: SynReceived): Step => {
  const out: Out = []
  cancelAll(tcb.timers, out)
  out.push(
    { _tag: "Count", counter: "AttemptFails" },
    { _tag: "Closed", reason: "ConnectionRefused", why: "RFC9293-3.10.7.4:RST-refuses-active-OPEN" },
  )
  return { tcb: CLOSED, effects: out }
}

const bareAck = (tcb: SynReceived, now: Micros, why: Why): Step => {
  const { sent, agreed } = tcb
  if (!rateAllows(tcb.oowAt, now, sent.context.settings.tcpInvalidRatelimit)) {
    return { tcb, effects: [drop(why), { _tag: "Count", counter: "TCPACKSkippedSynRecv" }] }
  }
  const ack = ackFrom(
    {
      context: sent.context,
      seq: add(sent.iss, 1),
      ack: add(tcb.irs, 1),
      wnd: Math.floor(synAckWindow(sent.context.settings, sent.rcvBuf, sent.path, agreed) / 2 ** agreed.rcvScale),
      timestamps: agreed.timestamps,
      tsOffset: sent.tsOffset,
      tsRecent: tcb.tsRecent,
    },
    now,
    why,
  )
  return { tcb: { ...tcb, oowAt: now }, effects: [ack] }
}

const dropped = (tcb: SynReceived, why: Why): Step => ({ tcb, effects: [drop(why)] })
