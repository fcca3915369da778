import { RST } from "../wire/tcpSegment.ts"
import { bufferFor } from "./congestion/registry.ts"
import { draftOf, rcvDraft, sndDraft } from "./draft.ts"
import { NO_EFFECTS, type Refused, type Step, type Why } from "./effect.ts"
import { within } from "./fastOpen.ts"
import { finTimeout } from "./patience.ts"
import type { Memory } from "./receiveMemory/memory.ts"
import { read } from "./receiveMemory/read.ts"
import { reset, resetOf } from "./reset.ts"
import { memoryFor, memoryRoom, memoryUsed } from "./sendMemory.ts"
import { append, end } from "./sendQueue.ts"
import { distance } from "./seq.ts"
import { CLOSED, type SocketOptions, type Synchronized, type SynSent, type Tcb } from "./tcb.ts"
import { consumed, owe } from "./text.ts"
import type { Micros } from "./time.ts"
import { arm, cancel, cancelAll, type Out } from "./timers.ts"
import { announced, nextEdge } from "./window.ts"

/** User calls of a connection (RFC 9293 sections 3.10.2 to 3.10.6); OPEN is in open.ts. */
export type CallResult = Step | Refused

/** SEND: the queue owns `bytes` from here on; `output` sends what may go. `urgent`: the peer is to hear of them ahead of their turn. `more`: a short segment may wait for what follows (MSG_MORE). `record`: no segment goes on behind them (MSG_EOR). */
export const send = (tcb: Tcb, bytes: Uint8Array, urgent = false, more = false, record = false): CallResult => {
  switch (tcb._tag) {
    case "CLOSED":
    case "LISTEN":
      return refuse("ENOTCONN", "RFC9293-3.10.2:no-connection")
    case "SYN-SENT":
      return bytes.length > sendRoom(tcb) ? NO_ROOM : step(queued(tcb, bytes, urgent, record))
    case "SYN-RECEIVED":
      if (tcb.open === "fast") return within(tcb, (inner) => send(inner, bytes, urgent, more, record))
      if (tcb.open === "passive") return refuse("ENOTCONN", "RFC9293-3.10.2:not-accepted")
      if (tcb.sent.closing) return CLOSING
      if (bytes.length > sendRoom(tcb)) return NO_ROOM
      return step({ ...tcb, sent: queued(tcb.sent, bytes, urgent, record) })
    case "ESTABLISHED":
    case "CLOSE-WAIT":
      if (bytes.length > sendRoom(tcb)) return NO_ROOM
      return step(written(tcb, bytes, urgent, more, record))
    case "FIN-WAIT-1":
    case "FIN-WAIT-2":
    case "CLOSING":
    case "LAST-ACK":
    case "TIME-WAIT":
      return CLOSING
  }
}

const queued = (tcb: SynSent, bytes: Uint8Array, urgent: boolean, record: boolean): SynSent => {
  const queue = append(tcb.queue, bytes, record)
  return { ...tcb, queue, up: urgent ? end(queue) : tcb.up }
}

/** SND.UP is the end of the urgent octets: RFC 9293 section 3.10.2, with what is queued before them counted in. */
const written = (
  tcb: Synchronized,
  bytes: Uint8Array,
  urgent: boolean,
  more: boolean,
  record: boolean,
): Synchronized => {
  const queue = append(tcb.queue, bytes, record)
  const { snd } = tcb
  const next = draftOf(tcb)
  next.queue = queue
  if (urgent || more !== snd.more) next.snd = { ...snd, more, up: urgent ? end(queue) : snd.up }
  return next
}

/** Octets that SEND would take now: some congestion windows, within `tcpWmem` or what the socket asked for. */
export const sendRoom = (tcb: Tcb): number => {
  switch (tcb._tag) {
    case "SYN-SENT":
      return Math.max(0, sendLimit(tcb.options, tcb.context.settings.tcpWmem, 0) - tcb.queue.length)
    case "SYN-RECEIVED":
      if (tcb.open === "fast") return sendRoom(tcb.tcb)
      return tcb.open === "active" ? sendRoom(tcb.sent) : 0
    case "ESTABLISHED":
    case "CLOSE-WAIT":
      return tcb.snd.fin ? 0 : Math.min(bufferRoom(tcb), unsentRoom(tcb))
    default:
      return 0
  }
}

const bufferRoom = (tcb: Synchronized): number => {
  const { tcpWmem, sendOverhead } = tcb.link.context.settings
  if (sendOverhead > 0) return memoryRoom(tcb, memoryLimit(tcb))
  return Math.max(0, sendLimit(tcb.options, tcpWmem, bufferFor(tcb.cc)) - tcb.queue.length)
}

const memoryLimit = (tcb: Synchronized): number => {
  const [, first, most] = tcb.link.context.settings.tcpWmem
  return tcb.options.sendBuffer > 0 ? tcb.options.sendBuffer : Math.max(first, Math.min(most, memoryFor(tcb)))
}

/** TCP_NOTSENT_LOWAT: below it at least a segment is taken, above it nothing (Linux's tcp_stream_memory_free). */
const unsentRoom = (tcb: Synchronized): number => {
  const most = notSentLowWater(tcb)
  const free = most - unsent(tcb)
  return free > 0 ? Math.max(free, tcb.snd.mss) : 0
}

const notSentLowWater = ({ options, link }: Synchronized): number =>
  options.notSentLowWater > 0 ? options.notSentLowWater : link.context.settings.tcpNotsentLowat

/** Octets given and not yet sent. */
const unsent = ({ queue, snd }: Synchronized): number => Math.max(0, distance(end(queue), snd.nxt))

/**
 * Whether a writer that waits is worth waking: a third of the buffer is free (Linux's
 * sk_stream_is_writeable), and what is unsent has sunk below half of its mark.
 */
export const worthWaking = (tcb: Synchronized): boolean => thirdFree(tcb) && unsent(tcb) * 2 < notSentLowWater(tcb)

const thirdFree = (tcb: Synchronized): boolean => {
  if (tcb.link.context.settings.sendOverhead > 0) {
    const used = memoryUsed(tcb)
    return used < memoryLimit(tcb) && memoryLimit(tcb) - used >= used >> 1
  }
  const room = bufferRoom(tcb)
  return room * 3 >= room + tcb.queue.length
}

const sendLimit = (
  options: SocketOptions,
  [, first, most]: readonly [number, number, number],
  wanted: number,
): number => (options.sendBuffer > 0 ? options.sendBuffer : Math.min(most, Math.max(4 * first, wanted)))

/** RECEIVE: the application has taken `n` of the delivered octets; the window may open. */
export const receive = (tcb: Tcb, n: number, now: Micros): CallResult => {
  switch (tcb._tag) {
    case "CLOSED":
      return refuse("ENOTCONN", "RFC9293-3.10.3:no-connection")
    case "LISTEN":
    case "SYN-SENT":
    case "SYN-RECEIVED":
      if (tcb._tag === "SYN-RECEIVED" && tcb.open === "fast") return within(tcb, (inner) => receive(inner, n, now))
      return n === 0 ? step(tcb) : refuse("EINVAL", "RFC9293-3.10.3:nothing-delivered")
    case "TIME-WAIT":
      return refuse("ESHUTDOWN", "RFC9293-3.10.3:connection-closing")
    case "CLOSING":
    case "LAST-ACK":
    case "ESTABLISHED":
    case "FIN-WAIT-1":
    case "FIN-WAIT-2":
    case "CLOSE-WAIT":
      if (n > tcb.rcv.unread) {
        return tcb.rcv.fin
          ? refuse("ESHUTDOWN", "RFC9293-3.10.3:connection-closing")
          : refuse("EINVAL", "RFC9293-3.10.3:nothing-delivered")
      }
      return step(
        tcb.drs.memory === undefined
          ? openWindow(consumed(tcb, n, now), tcb.rcv.unread)
          : readByMemory(tcb, tcb.drs.memory, n, now),
      )
  }
}

/**
 * A window update leaves by itself only where it at least doubles what the peer may send (Linux's tcp_cleanup_rbuf).
 * What text has taken of the window counts; a buffer that is larger than was said so far can wait for the next ACK.
 */
const openWindow = (tcb: Synchronized, unreadBefore: number): Synchronized => {
  const { rcv, link } = tcb
  if (rcv.fin) return tcb
  const before = announced(rcv)
  const after = Math.min(distance(nextEdge(rcv, link), rcv.nxt), before + unreadBefore)
  return after > before && after >= 2 * before ? owe(tcb, "now", "RFC9293-3.8.6.2.2:window-update") : tcb
}

const readByMemory = (tcb: Synchronized, memory: Memory, n: number, now: Micros): Synchronized => {
  const reading = read(tcb, memory, n, now)
  return reading.answer ? owe(reading.tcb, "now", "RFC9293-3.8.6.2.2:window-update") : reading.tcb
}

/** CLOSE: no more SENDs; a FIN follows what is queued. Receiving goes on (half-close). */
export const close = (tcb: Tcb): CallResult => {
  switch (tcb._tag) {
    case "CLOSED":
      return refuse("ENOTCONN", "RFC9293-3.10.4:no-connection")
    case "LISTEN":
      return gone(tcb, "RFC9293-3.10.4:CLOSE-in-LISTEN")
    case "SYN-SENT":
      return gone(tcb, "RFC9293-3.10.4:CLOSE-in-SYN-SENT")
    case "SYN-RECEIVED":
      if (tcb.open === "fast") return within(tcb, close)
      if (tcb.open === "passive") return refuse("ENOTCONN", "RFC9293-3.10.4:not-accepted")
      // The clause lets the FIN go at once where nothing is queued; here it always waits for ESTABLISHED.
      return tcb.sent.closing ? CLOSED_ALREADY : step({ ...tcb, sent: { ...tcb.sent, closing: true } })
    case "ESTABLISHED":
      return step(closing(tcb, "FIN-WAIT-1"))
    case "CLOSE-WAIT":
      return step(closing(tcb, "LAST-ACK"))
    case "FIN-WAIT-1":
    case "FIN-WAIT-2":
    case "CLOSING":
    case "LAST-ACK":
    case "TIME-WAIT":
      return CLOSED_ALREADY
  }
}

const closing = (tcb: Synchronized, state: "FIN-WAIT-1" | "LAST-ACK"): Synchronized => {
  const next = draftOf(tcb)
  const snd = sndDraft(tcb.snd)
  snd.fin = true
  next._tag = state
  next.snd = snd
  return next
}

/**
 * The application gives the connection up altogether, as close(2) does: CLOSE, and no reading
 * either. Octets that it has not read are lost, which the peer must learn (RFC 2525 section 2.17).
 */
export const release = (tcb: Tcb, now: Micros): CallResult => {
  switch (tcb._tag) {
    case "ESTABLISHED":
    case "CLOSE-WAIT":
    case "FIN-WAIT-1":
    case "FIN-WAIT-2":
    case "CLOSING":
    case "LAST-ACK": {
      if (tcb.rcv.unread > 0) return resetAndForget(tcb, now, "RFC2525-2.17:unread-data-at-close", "TCPAbortOnClose")
      const shut = draftOf(tcb)
      const rcv = rcvDraft(tcb.rcv)
      rcv.shut = true
      shut.rcv = rcv
      if (tcb._tag === "ESTABLISHED" || tcb._tag === "CLOSE-WAIT") return close(shut)
      if (tcb._tag !== "FIN-WAIT-2") return step(shut)
      const wait = finTimeout(shut)
      if (wait < 0) return resetAndForget(shut, now, "Linux:TCP_LINGER2", "TCPAbortOnLinger")
      const out: Out = []
      const timers = arm(cancel(shut.timers, "keepalive", out), "linger", now + wait, out)
      return { tcb: { ...shut, timers }, effects: out }
    }
    case "TIME-WAIT":
      return step(tcb)
    case "SYN-RECEIVED":
      if (tcb.open === "fast") return within(tcb, (inner) => release(inner, now))
      return tcb.open === "active" ? step({ ...tcb, sent: { ...tcb.sent, closing: true, shut: true } }) : close(tcb)
    case "CLOSED":
    case "LISTEN":
    case "SYN-SENT":
      return close(tcb)
  }
}

/** SHUT_RD: what has been delivered can still be read, then the end; once we have sent a FIN, later data is refused. */
export const shutReading = (tcb: Tcb): CallResult => {
  switch (tcb._tag) {
    case "ESTABLISHED":
    case "CLOSE-WAIT":
    case "FIN-WAIT-1":
    case "FIN-WAIT-2":
    case "CLOSING":
    case "LAST-ACK":
      return step({ ...tcb, rcv: { ...tcb.rcv, deaf: true } })
    case "SYN-RECEIVED":
      return tcb.open === "fast" ? within(tcb, shutReading) : refuse("ENOTCONN", "Linux:inet_shutdown:not-connected")
    case "SYN-SENT":
    case "LISTEN":
    case "CLOSED":
    case "TIME-WAIT":
      return refuse("ENOTCONN", "Linux:inet_shutdown:not-connected")
  }
}

/** ABORT: <SEQ=SND.NXT><CTL=RST>, everything queued is thrown away. */
export const abort = (tcb: Tcb, now: Micros): CallResult => {
  switch (tcb._tag) {
    case "CLOSED":
      return refuse("ENOTCONN", "RFC9293-3.10.5:no-connection")
    case "LISTEN":
    case "SYN-SENT":
    case "TIME-WAIT":
      return gone(tcb, "RFC9293-3.10.5:ABORT")
    case "SYN-RECEIVED": {
      if (tcb.open === "fast") return within(tcb, (inner) => abort(inner, now))
      const step = gone(tcb, "RFC9293-3.10.5:ABORT")
      const { iss } = tcb.open === "active" ? tcb.sent : tcb
      return { tcb: CLOSED, effects: [reset((iss + 1) >>> 0, 0, RST, "RFC9293-3.10.5:ABORT"), ...step.effects] }
    }
    case "CLOSING":
    case "LAST-ACK":
      return gone(tcb, "RFC9293-3.10.5:ABORT")
    case "ESTABLISHED":
    case "FIN-WAIT-1":
    case "FIN-WAIT-2":
    case "CLOSE-WAIT":
      return resetAndForget(tcb, now, "RFC9293-3.10.5:ABORT", undefined)
  }
}

const resetAndForget = (
  tcb: Synchronized,
  now: Micros,
  why: Why,
  counter: "TCPAbortOnClose" | "TCPAbortOnLinger" | undefined,
): Step => {
  const out: Out = [resetOf(tcb, now, why)]
  if (counter !== undefined) out.push({ _tag: "Count", counter })
  cancelAll(tcb.timers, out)
  out.push({ _tag: "Closed", reason: "ConnectionAborted", why })
  return { tcb: CLOSED, effects: out }
}

/** The block is deleted without a word to the peer. */
const gone = (tcb: Exclude<Tcb, { _tag: "CLOSED" }>, why: Why): Step => {
  const out: Out = []
  switch (tcb._tag) {
    case "LISTEN":
      break
    case "TIME-WAIT":
      out.push({ _tag: "CancelTimer", timer: "linger" })
      return { tcb: CLOSED, effects: out }
    case "SYN-RECEIVED":
      if (tcb.open === "active") cancelAll(tcb.timers, out)
      else out.push({ _tag: "CancelTimer", timer: "retransmit" })
      break
    default:
      cancelAll(tcb.timers, out)
  }
  out.push({ _tag: "Closed", reason: "ConnectionAborted", why })
  return { tcb: CLOSED, effects: out }
}

const step = (tcb: Tcb): Step => ({ tcb, effects: NO_EFFECTS })

const refuse = (errno: Refused["errno"], why: Why): Refused => ({ _tag: "Refused", errno, why })

const NO_ROOM: Refused = refuse("ENOBUFS", "RFC9293-3.10.2:insufficient-resources")
const CLOSING: Refused = refuse("EPIPE", "RFC9293-3.10.2:connection-closing")
const CLOSED_ALREADY: Refused = refuse("EPIPE", "RFC9293-3.10.4:connection-closing")
