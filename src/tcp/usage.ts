import type { Cc } from "./congestion/registry.ts"
import type { Draft } from "./draft.ts"
import { segmentsIn } from "./recovery/ack.ts"
import { interval } from "./rto.ts"
import { before } from "./seq.ts"
import type { Synchronized, Usage } from "./tcb.ts"
import type { Micros } from "./time.ts"

/** Validation of the congestion window (RFC 7661 section 4, RFC 2861): one that is not used says nothing of the path. */

/** The window was full, or (in slow start) more than half full: it may grow. */
export const isLimited = ({ limited, most }: Usage, cc: Cc, mss: number): boolean =>
  limited || isHalfUsed(most, cc, mss)

const isHalfUsed = (most: number, cc: Cc, mss: number): boolean =>
  cc.cwnd < cc.ssthresh && segmentsIn(cc.cwnd, mss) < 2 * most

/** After something was sent, or could not be: `held` is whether congestion control held it. */
export const noteUse = (tcb: Draft, held: boolean, now: Micros): void => {
  const { usage, snd, flight, cc, link } = tcb
  const { settings } = link.context
  const fresh = !before(snd.una, usage.end) || held || (!usage.limited && flight.out > usage.most)
  const limited = fresh ? held : usage.limited
  const most = fresh ? flight.out : usage.most
  const end = fresh ? snd.nxt : usage.end
  if (limited || isHalfUsed(most, cc, snd.mss)) {
    tcb.usage = { limited, most, end, used: 0, at: now }
    return
  }
  const used = Math.max(usage.used, flight.out)
  if (
    settings.tcpSlowStartAfterIdle &&
    now - usage.at >= interval(tcb.rto, settings, tcb.options) &&
    cc.algorithm !== "bbr"
  ) {
    tcb.cc = shrunk(tcb, used)
    tcb.usage = { limited, most, end, used: 0, at: now }
    return
  }
  if (used !== usage.used || fresh) tcb.usage = { limited, most, end, used, at: usage.at }
}

/** RFC 2861 section 3.2: halfway down to what was used, and the old window remembered as the threshold. */
const shrunk = (tcb: Synchronized, used: number): Cc => {
  const { cc, snd, recovery, link } = tcb
  const window = segmentsIn(cc.cwnd, snd.mss)
  const least = Math.max(used, link.context.settings.profile.initialWindowSegments)
  if (recovery.phase !== "open" || least >= window) return cc
  return {
    ...cc,
    ssthresh: Math.max(cc.ssthresh, Math.floor((cc.cwnd * 3) / 4)),
    cwnd: ((window + least) >> 1) * snd.mss,
  }
}
