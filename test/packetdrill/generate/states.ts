import { accepted, type Generated, script } from "./script.ts"

/** A synchronized state as a script reaches it, and its variables as the script counts them. */
interface StateAt {
  readonly name: string
  readonly slug: string
  /** Linux's name in TCP_INFO. */
  readonly info: string
  readonly reach: ReadonlyArray<string>
  readonly una: number
  readonly nxt: number
  readonly rcv: number
  /** The peer has closed: no more text, and a RST may stand on its FIN (Linux's tcp_reset_check). */
  readonly peerClosed: boolean
  /** What a reset is reported as (Linux's tcp_reset). */
  readonly errno: string
}

const ESTABLISHED = accepted("mss 1000", "mss 1460")
const CLOSED_BY_US = ["  +.1 shutdown(4, SHUT_WR) = 0", "   +0 > F. 1:1(0) ack 1"]
const CLOSED_BY_PEER = ["  +.1 < F. 1:1(0) ack 1 win 32792", "   +0 > . 1:1(0) ack 2"]

const STATES: ReadonlyArray<StateAt> = [
  {
    name: "ESTABLISHED",
    slug: "established",
    info: "TCP_ESTABLISHED",
    reach: ESTABLISHED,
    una: 1,
    nxt: 1,
    rcv: 1,
    peerClosed: false,
    errno: "ECONNRESET",
  },
  {
    name: "FIN-WAIT-1",
    slug: "fin-wait-1",
    info: "TCP_FIN_WAIT1",
    reach: [...ESTABLISHED, ...CLOSED_BY_US],
    una: 1,
    nxt: 2,
    rcv: 1,
    peerClosed: false,
    errno: "ECONNRESET",
  },
  {
    name: "FIN-WAIT-2",
    slug: "fin-wait-2",
    info: "TCP_FIN_WAIT2",
    reach: [...ESTABLISHED, ...CLOSED_BY_US, "  +.1 < . 1:1(0) ack 2 win 32792"],
    una: 2,
    nxt: 2,
    rcv: 1,
    peerClosed: false,
    errno: "ECONNRESET",
  },
  {
    name: "CLOSE-WAIT",
    slug: "close-wait",
    info: "TCP_CLOSE_WAIT",
    reach: [...ESTABLISHED, ...CLOSED_BY_PEER],
    una: 1,
    nxt: 1,
    rcv: 2,
    peerClosed: true,
    errno: "EPIPE",
  },
  {
    name: "CLOSING",
    slug: "closing",
    info: "TCP_CLOSING",
    reach: [...ESTABLISHED, ...CLOSED_BY_US, "  +.1 < F. 1:1(0) ack 1 win 32792", "   +0 > . 2:2(0) ack 2"],
    una: 1,
    nxt: 2,
    rcv: 2,
    peerClosed: true,
    errno: "ECONNRESET",
  },
  {
    name: "LAST-ACK",
    slug: "last-ack",
    info: "TCP_LAST_ACK",
    reach: [...ESTABLISHED, ...CLOSED_BY_PEER, "  +.1 shutdown(4, SHUT_WR) = 0", "   +0 > F. 1:1(0) ack 2"],
    una: 1,
    nxt: 2,
    rcv: 2,
    peerClosed: true,
    errno: "ECONNRESET",
  },
]

/** The window that the script's SYN-ACK announces: nothing has been received, so its edge is fixed. */
const WINDOW = 65535
/** Beyond any window that a receive buffer of this size could have. */
const FAR = 1_000_000

/** A segment that arrives, and what comes of it. */
interface Stimulus {
  readonly slug: string
  /** The section that decides. */
  readonly section: string
  readonly comment: (at: StateAt) => string
  /** Undefined: the case does not exist in this state. */
  readonly events: (at: StateAt) => ReadonlyArray<string> | undefined
}

const ack = (at: StateAt): string => `   +0 > . ${at.nxt}:${at.nxt}(0) ack ${at.rcv}`
const unchanged = (at: StateAt): string => `   +0 %{ assert tcpi_state == ${at.info}, tcpi_state }%`
const segment = (at: StateAt, flags: string, seq: number, length: number, acked: number = at.una): string =>
  `  +.1 < ${flags} ${seq}:${(seq + length) % 2 ** 32}(${length})${flags.includes(".") ? ` ack ${acked}` : ""} win 32792`

/** The segment changes nothing; whether it is answered is all that differs. */
const ignored = (at: StateAt, stimulus: string): ReadonlyArray<string> => [stimulus, unchanged(at)]
const answered = (at: StateAt, stimulus: string): ReadonlyArray<string> => [stimulus, ack(at), unchanged(at)]
const reset = (at: StateAt, stimulus: string): ReadonlyArray<string> => [
  stimulus,
  `   +0 getsockopt(4, SOL_SOCKET, SO_ERROR, [${at.errno}], [4]) = 0`,
  "   +0 write(4, ..., 100) = -1 EPIPE (Broken pipe)",
]

/** The ACK of the peer's FIN. In ESTABLISHED it waits, where data came first, for data to go with (Linux's tcp_fin). */
const fin = (at: StateAt, length: number): string =>
  `${at.slug === "established" && length > 0 ? " +.04" : "   +0"} > . ${at.nxt}:${at.nxt}(0) ack ${at.rcv + length + 1}`

const SEQUENCE = "first check: an unacceptable segment is answered with an ACK and dropped."

const STIMULI: ReadonlyArray<Stimulus> = [
  {
    slug: "rst-at-rcv-nxt",
    section: "RFC 9293 section 3.10.7.4, second check",
    comment: () => "a RST at RCV.NXT resets the connection.",
    events: (at) => reset(at, segment(at, "R", at.rcv, 0)),
  },
  {
    slug: "rst-ack-at-rcv-nxt",
    section: "RFC 9293 section 3.10.7.4, second check",
    comment: () => "a RST is judged by its sequence number alone: an ACK of nothing that was sent does not matter.",
    events: (at) => reset(at, segment(at, "R.", at.rcv, 0, at.nxt + 5000)),
  },
  {
    slug: "rst-in-window",
    section: "RFC 5961 section 3.2",
    comment: () => "a RST in the window, but not at RCV.NXT, is answered with a challenge ACK.",
    events: (at) => answered(at, segment(at, "R", at.rcv + 1000, 0)),
  },
  {
    slug: "rst-at-right-edge",
    section: "RFC 5961 section 3.2",
    comment: () => "a RST at the window's last octet is still in the window: a challenge ACK.",
    events: (at) => answered(at, segment(at, "R", WINDOW, 0)),
  },
  {
    slug: "rst-beyond-window",
    section: "RFC 9293 section 3.10.7.4, first check",
    comment: () => "a RST beyond the window is dropped without an answer.",
    events: (at) => ignored(at, segment(at, "R", FAR, 0)),
  },
  {
    slug: "rst-below-window",
    section: "RFC 9293 section 3.10.7.4, first check",
    comment: () => "a RST before the window is dropped without an answer.",
    events: (at) => ignored(at, segment(at, "R", 4294966296, 0)),
  },
  {
    slug: "rst-on-fin",
    section: "Linux's tcp_reset_check",
    comment: () => "a RST at the sequence number of the peer's own FIN resets the connection: some stacks send that.",
    events: (at) => (at.peerClosed ? reset(at, segment(at, "R", at.rcv - 1, 0)) : undefined),
  },
  {
    slug: "syn-in-window",
    section: "RFC 5961 section 4.2",
    comment: () => "a SYN is answered with a challenge ACK, whatever its sequence number.",
    events: (at) => answered(at, segment(at, "S", at.rcv + 1000, 0)),
  },
  {
    slug: "syn-at-rcv-nxt",
    section: "RFC 5961 section 4.2",
    comment: () => "a SYN at RCV.NXT is answered with a challenge ACK too.",
    events: (at) => answered(at, segment(at, "S", at.rcv, 0)),
  },
  {
    slug: "syn-beyond-window",
    section: "RFC 5961 section 4.2",
    comment: () => "a SYN beyond the window is answered with a challenge ACK.",
    events: (at) => answered(at, segment(at, "S", FAR, 0)),
  },
  {
    slug: "syn-below-window",
    section: "RFC 5961 section 4.2",
    comment: () => "a SYN before the window is answered with a challenge ACK.",
    events: (at) => answered(at, segment(at, "S", 4294966296, 0)),
  },
  {
    slug: "syn-at-right-edge",
    section: "RFC 5961 section 4.2",
    comment: () => "a SYN at the window's last octet is answered with a challenge ACK.",
    events: (at) => answered(at, segment(at, "S", WINDOW, 0)),
  },
  {
    slug: "syn-ack-beyond-window",
    section: "RFC 5961 section 4.2",
    comment: () => "a SYN-ACK beyond the window: a challenge ACK.",
    events: (at) => answered(at, segment(at, "S.", FAR, 0)),
  },
  {
    slug: "syn-fin-beyond-window",
    section: "RFC 5961 section 4.2",
    comment: () => "a SYN with FIN beyond the window: a challenge ACK.",
    events: (at) => answered(at, segment(at, "SF", FAR, 0)),
  },
  {
    slug: "ack-beyond-window",
    section: "RFC 9293 section 3.10.7.4",
    comment: () => SEQUENCE,
    events: (at) => answered(at, segment(at, ".", FAR, 0)),
  },
  {
    slug: "ack-at-right-edge",
    section: "RFC 9293 section 3.10.7.4, first check",
    comment: () => "an ACK at the window's last octet is acceptable, and changes nothing.",
    events: (at) => ignored(at, segment(at, ".", WINDOW, 0)),
  },
  {
    slug: "text-at-right-edge",
    section: "RFC 9293 section 3.10.7.4, first check",
    comment: () => "text that is the window's last octet is in the window: kept, and answered for the gap before it.",
    events: (at) => (at.peerClosed ? undefined : answered(at, segment(at, ".", WINDOW, 1))),
  },
  {
    slug: "text-after-right-edge",
    section: "RFC 9293 section 3.10.7.4, first check",
    comment: () => "text that begins one octet after the window is answered with an ACK and dropped.",
    // After the peer's FIN the edge moves with its number, on Linux.
    events: (at) => (at.peerClosed ? undefined : answered(at, segment(at, ".", WINDOW + 1, 1))),
  },
  {
    slug: "text-before-left-edge",
    section: "RFC 9293 section 3.10.7.4, first check",
    comment: () => "text that ends just before RCV.NXT has arrived already: an ACK.",
    events: (at) => answered(at, segment(at, ".", (at.rcv - 100 + 2 ** 32) % 2 ** 32, 100)),
  },
  {
    slug: "text-over-left-edge",
    section: "RFC 9293 section 3.10.7.4, seventh",
    comment: () => "of text that begins before RCV.NXT the rest is taken.",
    events: (at) =>
      at.peerClosed
        ? undefined
        : [
            `  +.1 < . 4294967196:100(200) ack ${at.una} win 32792`,
            `   +0 > . ${at.nxt}:${at.nxt}(0) ack 100`,
            "   +0 read(4, ..., 2000) = 99",
            unchanged(at),
          ],
  },
  {
    slug: "fin",
    section: "RFC 9293 section 3.10.7.4, eighth",
    comment: () => "the peer's FIN in order is acknowledged.",
    events: (at) => (at.peerClosed ? undefined : [segment(at, "F.", at.rcv, 0), fin(at, 0)]),
  },
  {
    slug: "fin-with-text",
    section: "RFC 9293 section 3.10.7.4, eighth",
    comment: () => "text and FIN in one segment: both are acknowledged, the reader gets the text and then the end.",
    events: (at) =>
      at.peerClosed
        ? undefined
        : [
            segment(at, "FP.", at.rcv, 1000),
            fin(at, 1000),
            "   +0 read(4, ..., 2000) = 1000",
            "   +0 read(4, ..., 2000) = 0",
          ],
  },
  {
    slug: "fin-below-window",
    section: "RFC 9293 section 3.10.7.4",
    comment: () => SEQUENCE,
    events: (at) => answered(at, segment(at, "F.", 4294966000, 0)),
  },
  {
    slug: "syn-again",
    section: "RFC 5961 section 4.2",
    comment: () => "the connection's own SYN, late: a challenge ACK.",
    events: (at) => answered(at, segment(at, "S", 0, 0)),
  },
  {
    slug: "syn-ack",
    section: "RFC 5961 section 4.2",
    comment: () => "a SYN-ACK is a SYN: a challenge ACK.",
    events: (at) => answered(at, segment(at, "S.", at.rcv, 0)),
  },
  {
    slug: "syn-fin",
    section: "RFC 5961 section 4.2",
    comment: () => "a SYN with FIN is a SYN: a challenge ACK, and no end of the peer's data.",
    events: (at) => answered(at, segment(at, "SF", at.rcv, 0)),
  },
  {
    slug: "ack-again",
    section: "RFC 9293 section 3.10.7.4, fifth check",
    comment: () => "an ACK of what is acknowledged already is ignored.",
    events: (at) => ignored(at, segment(at, ".", at.rcv, 0)),
  },
  {
    slug: "ack-old",
    section: "RFC 5961 section 5.2",
    comment: () => "an ACK older than SND.UNA, but by no more than the largest window, is ignored.",
    events: (at) => ignored(at, segment(at, ".", at.rcv, 0, 4294967000)),
  },
  {
    slug: "ack-too-old",
    section: "RFC 5961 section 5.2",
    comment: () => "an ACK further back than the largest window that the peer ever announced: a challenge ACK.",
    events: (at) => answered(at, segment(at, ".", at.rcv, 0, 4294900000)),
  },
  {
    slug: "no-flags",
    section: "RFC 9293 section 3.10.7.4, fifth check",
    comment: () => "a segment without ACK is dropped.",
    events: (at) => ignored(at, segment(at, "-", at.rcv, 0)),
  },
  {
    slug: "text-without-ack",
    section: "RFC 9293 section 3.10.7.4, fifth check",
    comment: () => "text in a segment without ACK is dropped.",
    events: (at) => ignored(at, segment(at, "P", at.rcv, 1000)),
  },
  {
    slug: "fin-without-ack",
    section: "RFC 9293 section 3.10.7.4, fifth check",
    comment: () => "a FIN in a segment without ACK is dropped.",
    events: (at) => ignored(at, segment(at, "F", at.rcv, 0)),
  },
  {
    slug: "text-beyond-window",
    section: "RFC 9293 section 3.10.7.4",
    comment: () => SEQUENCE,
    events: (at) => answered(at, segment(at, ".", FAR, 1000)),
  },
  {
    slug: "text-below-window",
    section: "RFC 9293 section 3.10.7.4",
    comment: () => SEQUENCE,
    events: (at) => answered(at, segment(at, ".", 4294966000, 1000)),
  },
  {
    slug: "ack-below-window",
    section: "RFC 9293 section 3.10.7.4",
    comment: () => SEQUENCE,
    events: (at) => answered(at, segment(at, ".", 4294966000, 0)),
  },
  {
    slug: "fin-beyond-window",
    section: "RFC 9293 section 3.10.7.4",
    comment: () => SEQUENCE,
    events: (at) => answered(at, segment(at, "F.", FAR, 0)),
  },
  {
    slug: "text",
    section: "RFC 9293 section 3.10.7.4, seventh",
    comment: (at) =>
      at.peerClosed
        ? "text after the peer's FIN cannot be: it is ignored."
        : "text in order is delivered and acknowledged.",
    events: (at) =>
      at.peerClosed
        ? ignored(at, segment(at, ".", at.rcv, 1000))
        : [
            segment(at, ".", at.rcv, 1000),
            `   +0 > . ${at.nxt}:${at.nxt}(0) ack ${at.rcv + 1000}`,
            "   +0 read(4, ..., 2000) = 1000",
            unchanged(at),
          ],
  },
  {
    slug: "text-out-of-order",
    section: "RFC 5681 section 4.2",
    comment: () => "text that leaves a gap is answered at once, with the number that is still wanted.",
    events: (at) => (at.peerClosed ? undefined : answered(at, segment(at, ".", at.rcv + 1000, 1000))),
  },
  {
    slug: "fin-out-of-order",
    section: "RFC 9293 section 3.10.7.4, eighth",
    comment: () => "a FIN that leaves a gap does not count yet.",
    events: (at) => (at.peerClosed ? undefined : answered(at, segment(at, "F.", at.rcv + 1000, 0))),
  },
  {
    slug: "fin-again",
    section: "RFC 9293 section 3.10.7.4, first and eighth check",
    comment: () => "the peer's FIN once more: our ACK was lost, and is sent again.",
    events: (at) => (at.peerClosed ? answered(at, segment(at, "F.", at.rcv - 1, 0)) : undefined),
  },
]

/** Every synchronized state against every kind of segment. */
export const statesAgainstSegments = (): ReadonlyArray<Generated> =>
  STATES.flatMap((at) =>
    STIMULI.flatMap((stimulus) => {
      const events = stimulus.events(at)
      if (events === undefined) return []
      const comments = [`${stimulus.section}: ${at.name}.`, sentence(stimulus.comment(at))]
      return [script(`rfc9293/3.10.7.4-${at.slug}-${stimulus.slug}.pkt`, comments, [...at.reach, "", ...events])]
    }),
  )

const sentence = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)
