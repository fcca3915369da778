import { pipe } from "./flight.ts"
import { headers, mssFor, mtuOf, withMtu } from "./mtu.ts"
import { sendFrom } from "./output.ts"
import { simpleRetransmit } from "./pathMtu.ts"
import { type Ack, segmentsIn } from "./recovery/ack.ts"
import { sendEnd } from "./sendEnd.ts"
import { toRecordEnd } from "./sendQueue.ts"
import { add, after, distance } from "./seq.ts"
import type { Synchronized } from "./tcb.ts"
import type { Micros } from "./time.ts"
import type { Out } from "./timers.ts"

/** Packetisation-layer path MTU discovery (RFC 4821 section 7), the search as Linux's tcp_mtu_probe makes it. */

/** No probe from a window of less: its loss must show in duplicate ACKs (section 7.4). */
const LEAST_WINDOW = 11

/** Sends a probe where one is due. "wait": hold data back for one; undefined: none is due. */
export const mtuProbe = (tcb: Synchronized, now: Micros, out: Out): Synchronized | "wait" | undefined => {
  const { mtu, recovery, snd, cc, flight, link, rcv } = tcb
  if (!mtu.probing || mtu.size !== 0 || recovery.phase !== "open") return undefined
  const window = segmentsIn(cc.cwnd, snd.mss)
  if (window < LEAST_WINDOW || rcv.queue.blocks.length > 0 || rcv.dsack !== undefined) return undefined
  const { tcpProbeThreshold, tcpProbeInterval } = link.context.settings
  const size = mssFor(link, (mtu.high + mtu.low) >> 1)
  if (size > mssFor(link, mtu.high) || mtu.high - mtu.low < tcpProbeThreshold) {
    // The search is over; after a while the path may have changed.
    return now - mtu.at < tcpProbeInterval ? undefined : restarted(tcb, now)
  }
  const needed = size + (recovery.reordering + 1) * snd.mss
  if (distance(sendEnd(tcb), snd.nxt) < needed || snd.wnd < needed) return undefined
  if (toRecordEnd(tcb.queue, snd.nxt) < size) return undefined
  if (after(add(snd.nxt, needed), add(snd.una, snd.wnd))) return "wait"
  if (pipe(flight) + 2 > window) return pipe(flight) === 0 ? undefined : "wait"
  // It stands for two segments, and may be lost for its size alone.
  const reduced: Synchronized = { ...tcb, cc: { ...cc, cwnd: (window - 1) * snd.mss } }
  const sent = sendFrom(reduced, size, now, "RFC4821-7.5:probe", out, size)
  return { ...sent, mtu: { ...mtu, size: mtuOf(link, size), start: snd.nxt, end: sent.snd.nxt } }
}

const restarted = (tcb: Synchronized, now: Micros): Synchronized | undefined => {
  const { mtu, link } = tcb
  const high = Math.min(link.agreed.peerMss, link.path.mss) + headers(link)
  const low = mtuOf(link, tcb.snd.mss)
  return high - low < link.context.settings.tcpProbeThreshold
    ? undefined
    : { ...tcb, mtu: { ...mtu, high, low, at: now } }
}

/** The probe was answered, or alone was lost. */
export const afterMtuProbe = (a: Ack, tcb: Synchronized): Synchronized => {
  const { mtu } = tcb
  switch (a.mtuProbe) {
    case "none":
      return tcb
    case "passed":
      a.out.push({ _tag: "Count", counter: "TCPMTUPSuccess" })
      return withMtu(tcb, { ...mtu, low: mtu.size, size: 0 })
    case "failed":
      a.out.push({ _tag: "Count", counter: "TCPMTUPFail" })
      return simpleRetransmit({ ...tcb, mtu: { ...mtu, high: mtu.size - 1, size: 0 } }, a.now, a.out)
  }
}

/** Time-outs in a row: a router that drops large packets in silence is suspected, and segments get smaller (section 7.7). */
export const suspectBlackHole = (tcb: Synchronized, now: Micros): Synchronized => {
  const { link, mtu } = tcb
  const { tcpMtuProbing, tcpBaseMss, tcpMtuProbeFloor, tcpMinSndMss } = link.context.settings
  if (tcpMtuProbing === 0) return tcb
  if (!mtu.probing) return withMtu(tcb, { ...mtu, probing: true, at: now })
  const half = Math.min(tcpBaseMss, mssFor(link, mtu.low) >> 1)
  return withMtu(tcb, { ...mtu, low: mtuOf(link, Math.max(half, tcpMtuProbeFloor, tcpMinSndMss)) })
}
