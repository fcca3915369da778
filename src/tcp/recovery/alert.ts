import { isEmpty } from "../flight.ts"
import { sendEnd } from "../sendEnd.ts"
import { add, after, atOrAfter } from "../seq.ts"
import { arm, cancel } from "../timers.ts"
import { type Ack, count, highestSacked, isReducing, setWindow, windowOf } from "./ack.ts"
import { markByCount, markHead } from "./dupThresh.ts"
import { addDuplicates, markFirstLost } from "./newReno.ts"
import { detectLoss, isRack } from "./rack.ts"
import { beginReduction, endReduction } from "./reduction.ts"
import { noteReordering } from "./sack.ts"
import { anyRetransmitted, markUndo, undoByDsack, undoLoss, undoPartial, undoRecovery } from "./undo.ts"

/** An ACK that is more than ordinary progress: what it says of losses, and the phase that follows. */
export const alert = (a: Ack, duplicates: number): void => {
  const { rec, board } = a
  if (board.out === 0 && board.sacked > 0) board.sacked = 0
  // A. Congestion that routers report is real: no undoing.
  if (a.ece && rec.undo !== undefined) rec.undo = { ...rec.undo, before: undefined }
  // B. The receiver has dropped what it reported (RFC 2018 section 8): wait a little for an ACK that explains it.
  if (a.reneging && a.advanced) return expectReneging(a)
  // C. A phase ends when its point is acknowledged.
  if (rec.phase === "open") rec.retransmittedAt = undefined
  else if (atOrAfter(board.una, rec.point) && endPhase(a)) return
  switch (rec.phase) {
    case "recovery":
      return inRecovery(a, duplicates)
    case "loss":
      inLoss(a, duplicates)
      identify(a)
      if (rec.phase !== "loss" || a.retransmissionLost) return elsewhere(a, duplicates)
      return
    case "open":
    case "disorder":
    case "cwr":
      return elsewhere(a, duplicates)
  }
}

/** The receiver may renege only until the time-out says so: soon, but not at once. */
const expectReneging = (a: Ack): void => {
  const delay = Math.max(a.tcb.rto.srtt / 2, 10_000)
  a.timers = arm(cancel(a.timers, "probe", a.out), "retransmit", a.now + Math.round(delay), a.out)
  a.rearm = false
}

/** True: nothing more is to be said about this ACK. */
const endPhase = (a: Ack): boolean => {
  const { rec, board } = a
  if (rec.phase === "cwr") {
    // Something above the point, so that CWR has reached the receiver (RFC 3168 section 6.1.2).
    if (board.una === rec.point) return false
    endReduction(a)
    rec.phase = "open"
  } else if (rec.phase === "recovery") {
    if (!a.sack) board.sacked = 0
    if (undoRecovery(a)) return true
    endReduction(a)
  }
  return false
}

const inRecovery = (a: Ack, duplicates: number): void => {
  const { rec } = a
  let mark = duplicates > 0 || (a.dataSacked && farAbove(a))
  if (!a.advanced) {
    if (!a.sack) addDuplicates(a, duplicates)
  } else {
    const verdict = undoPartial(a, () => keepOpen(a))
    if (verdict !== "no") noteReordering(a, a.priorUna)
    if (verdict === "wait") return
    if (verdict === "no") mark = farAbove(a)
  }
  if (undoByDsack(a)) tryToOpen(a)
  identify(a)
  if (rec.phase !== "recovery") {
    if (!timeToRecover(a)) return
    enterRecovery(a)
  }
  if (!isRack(a) && mark && a.sack) markByCount(a)
}

/** RFC 5682 section 3.1 with SACK, then RFC 6582 or 6675 as before the time-out. */
const inLoss = (a: Ack, duplicates: number): void => {
  const { rec, board, tcb } = a
  const recovered = atOrAfter(board.una, rec.point)
  if (a.advanced && undoLoss(a, false)) return
  if (rec.frto) {
    // Step 3.b: something never sent again has arrived, so not all was lost.
    if (a.originalAcked && undoLoss(a, true)) return
    if (after(tcb.snd.nxt, rec.point)) {
      if (a.dataSacked || duplicates > 0) rec.frto = false
    } else if (a.advanced && !recovered) {
      rec.point = tcb.snd.nxt
      // Step 2.b: new data will tell; where there is none, go on as RFC 5681 does.
      const room = after(add(board.una, tcb.snd.wnd), tcb.snd.nxt)
      if (room && after(sendEnd(tcb), tcb.snd.nxt)) {
        rec.newFirst = true
        return
      }
      rec.frto = false
    }
  }
  rec.newFirst = false
  if (recovered) {
    undoRecovery(a)
    return
  }
  if (a.sack) return
  if (after(tcb.snd.nxt, rec.point) && duplicates > 0) addDuplicates(a, duplicates)
  else if (a.advanced) board.sacked = 0
}

const elsewhere = (a: Ack, duplicates: number): void => {
  const { rec, board } = a
  if (!a.sack) {
    if (a.advanced) board.sacked = 0
    addDuplicates(a, duplicates)
  }
  if (rec.phase === "open" || rec.phase === "disorder") undoByDsack(a)
  identify(a)
  if (!timeToRecover(a)) return tryToOpen(a)
  if (isProbeLost(a)) return probeFailed(a)
  enterRecovery(a)
  if (!isRack(a) && a.sack) {
    markByCount(a)
    markHead(a)
  }
}

/** RFC 4821 section 7.6.1: the probe alone was lost, which is about its size. */
const isProbeLost = (a: Ack): boolean =>
  (a.rec.phase === "open" || a.rec.phase === "disorder") && a.tcb.mtu.size !== 0 && a.board.una === a.tcb.mtu.start

const probeFailed = (a: Ack): void => {
  a.mtuProbe = "failed"
  setWindow(a, windowOf(a) + 1)
}

/** RACK or DupThresh has found losses. */
const timeToRecover = (a: Ack): boolean => a.board.lost > 0 || (!isRack(a) && a.board.sacked >= a.rec.reordering)

const identify = (a: Ack): void => {
  if (isEmpty(a.board)) return
  if (!a.sack) markFirstLost(a)
  else if (isRack(a) && detectLoss(a)) a.rearm = false
}

/** SACK reaches beyond DupThresh segments. */
const farAbove = (a: Ack): boolean => after(highestSacked(a), add(a.board.una, a.rec.reordering * a.mss))

export const enterRecovery = (a: Ack): void => {
  const { rec } = a
  if (!anyRetransmitted(a)) rec.retransmittedAt = undefined
  count(a, a.sack ? "TCPSackRecovery" : "TCPRenoRecovery")
  const reducing = isReducing(a)
  markUndo(a, !reducing && !a.ece)
  if (!reducing) beginReduction(a, a.ece ? "ecn" : "loss")
  rec.phase = "recovery"
}

/** ECN: the window goes down without a loss, and not back up. */
const enterCwr = (a: Ack): void => {
  const { rec } = a
  if (rec.phase !== "open" && rec.phase !== "disorder") return
  rec.undo = undefined
  beginReduction(a, "ecn")
  rec.phase = "cwr"
}

export const keepOpen = (a: Ack): void => {
  const { rec, board } = a
  const phase = board.sacked + board.lost > 0 || anyRetransmitted(a) ? "disorder" : "open"
  if (rec.phase === phase) return
  rec.phase = phase
  rec.point = a.tcb.snd.nxt
}

const tryToOpen = (a: Ack): void => {
  if (!anyRetransmitted(a)) a.rec.retransmittedAt = undefined
  if (a.ece) enterCwr(a)
  if (a.rec.phase !== "cwr") keepOpen(a)
}
