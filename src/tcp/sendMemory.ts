import type { Chunk } from "./flight.ts"
import { burstSegments } from "./pacing.ts"
import { segmentsIn } from "./recovery/ack.ts"
import { segmentSize } from "./segmentSize.ts"
import { end as endOf, endsRecord } from "./sendQueue.ts"
import { distance } from "./seq.ts"
import type { Synchronized } from "./tcb.ts"

/**
 * Send buffers as Linux counts them: what is queued takes memory for the packet around it too, and a packet that has been begun is
 * filled whatever that takes. See the setting `sendOverhead`.
 */

/** Octets that go into a buffer of `limit` octets of memory now, those counted that leave meanwhile (Linux's tcp_sendmsg_locked). */
export const memoryRoom = (tcb: Synchronized, limit: number): number => {
  const goal = packetGoal(tcb)
  const overhead = overheadOf(tcb)
  const burst = burstSegments(tcb, segmentSize(tcb)) * segmentSize(tcb)
  const half = tcb.snd.maxWnd >> 1
  let used = memoryUsed(tcb)
  let waiting = unsent(tcb)
  let leaving = sendable(tcb)
  let room = 0
  let pushed = 0
  // The last packet that waits, as far as it is filled; 0: it is full, as it is where the buffer is.
  let tail = endsRecord(tcb.queue) || (waiting > goal && used >= limit) ? 0 : waiting % goal
  while (tail > 0 || used < limit) {
    const filled = goal - tail
    used += filled + (tail > 0 ? 0 : overhead)
    waiting += filled
    room += filled
    const all = room - pushed > half
    if (all) pushed = room
    const left = all || waiting <= goal ? Math.min(waiting, leaving, all ? Number.POSITIVE_INFINITY : burst) : 0
    // What leaves is cut into bursts, and its last packet from what stays.
    const packets = Math.ceil(left / Math.min(burst, goal)) + Math.ceil((waiting - left) / goal)
    used += overhead * Math.max(0, packets - Math.ceil(waiting / goal))
    leaving -= left
    waiting -= left
    tail = waiting < goal ? waiting : 0
  }
  return room
}

/** Memory of what is queued: one packet for each transmission in flight, and of what has not left as few as may be. */
export const memoryUsed = (tcb: Synchronized): number => {
  const packets = inFlight(tcb) + Math.ceil(unsent(tcb) / packetGoal(tcb))
  return tcb.queue.length + packets * overheadOf(tcb)
}

/** Linux's tcp_sndbuf_expand: twice the window, of segments that lie in memory as they come. */
export const memoryFor = ({ cc, snd, link }: Synchronized): number => {
  const { profile, tcpReordering } = link.context.settings
  const segments = Math.max(profile.initialWindowSegments, segmentsIn(cc.cwnd, snd.mss), tcpReordering + 1)
  return 2 * segments * (2 ** Math.ceil(Math.log2(snd.mss + HEADERS)) + BOOKKEEPING)
}

/** Linux's MAX_TCP_HEADER with a skb_shared_info, and its sk_buff, on x86-64. */
const HEADERS = 640
const BOOKKEEPING = 256

const overheadOf = ({ link }: Synchronized): number => link.context.settings.sendOverhead

const unsent = ({ queue, snd }: Synchronized): number => Math.max(0, distance(endOf(queue), snd.nxt))

/** Whole segments that may leave as soon as they are there. */
const sendable = (tcb: Synchronized): number => {
  const { snd, cc, flight } = tcb
  const size = segmentSize(tcb)
  const quota = (segmentsIn(cc.cwnd, snd.mss) - flight.out) * size
  const room = Math.max(0, Math.min(quota, snd.wnd - distance(snd.nxt, snd.una)) - unsent(tcb))
  return room - (room % size)
}

/** Octets that are put into one packet: whole segments, and half of the peer's largest window at most (Linux's tcp_xmit_size_goal). */
const packetGoal = (tcb: Synchronized): number => {
  const { path, agreed } = tcb.link
  const size = segmentSize(tcb)
  if (path.burst <= size || agreed.signature > 0) return size
  const most = Math.min(path.burst, Math.max(size, tcb.snd.maxWnd >> 1))
  return most - (most % size)
}

/** Transmissions that are not all acknowledged. */
const inFlight = ({ flight }: Synchronized): number => flight.chunks.reduce(countRecords, -flight.first)

const countRecords = (sum: number, { records }: Chunk): number => sum + records.length
