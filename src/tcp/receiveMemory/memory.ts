import { askedBuffer, LEAST_BUFFER, TIMESTAMP_LENGTH, wholeWindow } from "../handshake.ts"
import type { Seq } from "../seq.ts"
import type { TcpSettings } from "../settings.ts"
import type { Link, SocketOptions } from "../tcb.ts"

/**
 * Linux's account of a connection's receive memory, kept where `tcpRcvbufTruesize` says so: windows then follow what
 * buffers take (their truesize), not the octets that they hold. Sizes in octets.
 */
export interface Memory {
  /** sk_rcvbuf: the limit. */
  readonly rcvbuf: number
  /** sk_rmem_alloc: what the buffers of both queues take. */
  readonly alloc: number
  /** Received in order and not yet read, and ahead of RCV.NXT; both in sequence order. */
  readonly queue: Buffers
  readonly ahead: Buffers
  /** scaling_ratio: how many of 256 octets of memory are payload, by the last full segment. */
  readonly ratio: number
  /** rcv_ssthresh: the window to announce, which grows with segments that use their memory well. */
  readonly ssthresh: number
  /** window_clamp: the most that it may be. */
  readonly clamp: number
  /** rcv_wnd: the window as it was last announced. */
  readonly wnd: number
  /** A segment did not fit: the next ACK closes the window. */
  readonly full: boolean
  /** Header prediction is on (pred_flags): a segment that the account still covers is taken unchecked. */
  readonly predicts: boolean
  /** How urgently a reader owes an ACK: after a segment at the end of a write, and after a second one (ICSK_ACK_PUSHED, PUSHED2). */
  readonly pushed: 0 | 1 | 2
  /** ACKs have begun to be delayed (icsk_ack.ato): with the first text, or after the last of those that left at once. */
  readonly begun: boolean
  /** An application has the socket: no limit rises before for what lies ahead of RCV.NXT. */
  readonly held: boolean
  /** Of the last segment that was smaller than the full ones. */
  readonly small: number
}

/** A buffer that waits in a queue. */
export interface Buffer {
  readonly seq: Seq
  readonly end: Seq
  readonly truesize: number
  readonly room: number
  /** Its segment carried a FIN. */
  readonly fin: boolean
}

export type Buffers = ReadonlyArray<Buffer>

/** TCP_DEFAULT_SCALING_RATIO: until a segment shows better. */
const FIRST_RATIO = 128

/** What SO_RCVBUF makes of the limit: twice what was asked for. */
export const limitFor = (settings: TcpSettings, options: Pick<SocketOptions, "receiveBuffer">): number =>
  2 * askedBuffer(settings, options)

/** tcp_win_from_space and tcp_space_from_win: the payload that fits into so much memory, and the other way. */
export const windowFrom = (memory: Pick<Memory, "ratio">, space: number): number =>
  Math.floor((space * memory.ratio) / 256)
export const spaceFrom = (memory: Pick<Memory, "ratio">, window: number): number =>
  Math.floor((window * 256) / memory.ratio)

/** The payload that still fits (tcp_space); negative where more is held than may be. */
export const freeWindow = (memory: Memory): number => windowFrom(memory, memory.rcvbuf - memory.alloc)

/** advmss: what we announced, less the timestamps of every segment. */
export const advertisedMss = ({ path, agreed }: Link): number => path.mss - (agreed.timestamps ? TIMESTAMP_LENGTH : 0)

/**
 * The account of a new connection, with a buffer for so much payload (tcp_init_buffer_space). The window counts from here
 * on as if the handshake could have announced all of it.
 */
export const initialMemory = (options: SocketOptions, link: Link, buffer: number): Memory | undefined => {
  const { settings } = link.context
  if (!settings.tcpRcvbufTruesize) return undefined
  const rcvbuf = options.receiveBuffer > 0 ? limitFor(settings, options) : settings.tcpRmem[1]
  const most = windowFrom({ ratio: FIRST_RATIO }, rcvbuf)
  const mss = advertisedMss(link)
  const wnd = wholeWindow(settings, buffer, link.open === "active" ? link.path.mss : mss)
  const asked = options.windowClamp > 0 ? options.windowClamp : Number.POSITIVE_INFINITY
  const whole = Math.min(asked, most, 65535 << link.agreed.rcvScale)
  // Room for one segment stays.
  const clamp = whole > 2 * mss && whole + mss > most ? Math.max(2 * mss, most - mss) : whole
  return {
    rcvbuf,
    alloc: 0,
    queue: NONE,
    ahead: NONE,
    ratio: FIRST_RATIO,
    ssthresh: Math.min(wnd, clamp),
    clamp,
    wnd,
    full: false,
    predicts: link.open === "passive" || link.agreed.sndScale === 0,
    pushed: 0,
    begun: false,
    held: link.open === "active",
    small: 0,
  }
}

export const NONE: Buffers = []

/** What lies ahead of the peer's FIN is forgotten with it (tcp_fin). */
export const purged = (memory: Memory): Memory =>
  memory.ahead.length === 0
    ? memory
    : { ...memory, ahead: NONE, alloc: memory.ahead.reduce((alloc, { truesize }) => alloc - truesize, memory.alloc) }

/** tcp_set_window_clamp: a lower clamp holds the window back at once, a higher one lets it be what was announced. */
export const clampedTo = (memory: Memory, asked: number): Memory => {
  const clamp = Math.max(LEAST_BUFFER, asked)
  if (clamp === memory.clamp) return memory
  const ssthresh =
    clamp < memory.clamp ? Math.min(memory.ssthresh, clamp) : Math.max(Math.min(memory.wnd, clamp), memory.ssthresh)
  return { ...memory, clamp, ssthresh }
}
