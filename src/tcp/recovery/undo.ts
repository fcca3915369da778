import { everyRecord, replace } from "../board.ts"
import { onUndo } from "../congestion/registry.ts"
import { EVER, headOf, LOST } from "../flight.ts"
import { timestamp } from "../handshake.ts"
import { before } from "../seq.ts"
import { type Ack, count } from "./ack.ts"
import { PERSIST } from "./rack.ts"

/** Reductions that prove wrong are taken back: D-SACK (RFC 3708), timestamps (Eifel, RFC 3522 and 4015). */

/** A reduction begins: from here on every retransmission must be reported twice for it to be undone. */
export const markUndo = (a: Ack, undoable: boolean): void => {
  const { rec, board } = a
  const out = board.retrans + (rec.probe?.again === true ? 1 : 0)
  rec.undo = { marker: board.una, retrans: out === 0 ? undefined : out, before: undoable ? a.cc : undefined }
}

export const anyRetransmitted = (a: Ack): boolean => {
  if (a.board.retrans > 0) return true
  const head = headOf(a.board)
  return head !== undefined && (head.marks & EVER) !== 0
}

/** The original arrived before the first retransmission left: the ACK echoes an older timestamp (RFC 3522 section 3.2). */
export const wasDelayed = (a: Ack): boolean => {
  const { link } = a.tcb
  if (a.rec.retransmittedAt === undefined) {
    // Nothing was sent again yet, so nothing but delay explains the ACK; unless, without SACK, `mustStay` has forgotten it.
    return a.sack || before(a.una, a.rec.point)
  }
  const echo = a.seg?.options.tsEcr
  if (!link.agreed.timestamps || echo === undefined || echo === 0) return false
  return before(echo, timestamp(link.context, link.tsOffset, a.rec.retransmittedAt))
}

const mayUndo = (a: Ack): boolean => a.rec.undo !== undefined && (a.rec.undo.retrans === 0 || wasDelayed(a))

/** The window as it would be. `unmark`: nothing is lost either. */
const undo = (a: Ack, unmark: boolean): void => {
  if (unmark && a.board.lost > 0) {
    everyRecord(a.board, (place, record) => {
      if ((record.marks & LOST) !== 0) replace(a.board, place, { ...record, marks: record.marks & ~LOST })
    })
  }
  const before_ = a.rec.undo?.before
  if (before_ !== undefined) {
    a.cc = onUndo(a.cc, before_, a.now)
    a.cwrWithdrawn = true
  }
  a.rec.undo = undefined
  a.rackAdvanced = true
}

/** Without SACK the phase stays until something above the point is acknowledged, against false fast retransmits (RFC 6582 section 3.2 step 1). */
const mustStay = (a: Ack): boolean => {
  if (a.board.una !== a.rec.point || a.sack) return false
  if (!anyRetransmitted(a)) a.rec.retransmittedAt = undefined
  return true
}

/** All is acknowledged. True: the phase stays a little longer. */
export const undoRecovery = (a: Ack): boolean => {
  const { rec } = a
  if (mayUndo(a)) {
    count(a, rec.phase === "loss" ? "TCPLossUndo" : "TCPFullUndo")
    undo(a, false)
  } else if (rec.persist > 0) {
    rec.persist--
  }
  if (mustStay(a)) return true
  rec.phase = "open"
  rec.reneged = false
  return false
}

/** Every retransmission was reported twice. */
export const undoByDsack = (a: Ack): boolean => {
  const { rec } = a
  if (rec.undo?.retrans !== 0) return false
  rec.persist = Math.min(PERSIST, rec.persist + 1)
  count(a, "TCPDSACKUndo")
  undo(a, false)
  return true
}

/** A partial ACK after a time-out, or F-RTO's verdict. True: undone. */
export const undoLoss = (a: Ack, byFrto: boolean): boolean => {
  const { rec } = a
  if (!byFrto && !mayUndo(a)) return false
  count(a, "TCPLossUndo")
  if (byFrto) count(a, "TCPSpuriousRTOs")
  undo(a, true)
  a.forgetTimeouts = true
  if (mustStay(a)) return true
  if (byFrto || a.sack) {
    rec.phase = "open"
    rec.reneged = false
  }
  return true
}

/** A hole was filled by the delayed original. "wait": retransmissions are out, decide when they are answered. */
export const undoPartial = (a: Ack, reopen: () => void): "no" | "wait" | "undone" => {
  const { rec, board } = a
  if (rec.undo === undefined || !wasDelayed(a)) return "no"
  if (board.retrans > 0) return "wait"
  if (!anyRetransmitted(a)) rec.retransmittedAt = undefined
  count(a, "TCPPartialUndo")
  undo(a, true)
  reopen()
  return "undone"
}
