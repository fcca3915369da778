import { type Generated, LISTENER, script } from "./script.ts"

/** One segment for a connection that is not yet there, or no longer. */
interface Case {
  readonly slug: string
  readonly section: string
  readonly comment: string
  readonly events: ReadonlyArray<string>
}

const write = (state: string, reach: ReadonlyArray<string>, prefix: string, cases: ReadonlyArray<Case>) =>
  cases.map(({ slug, section, comment, events }) =>
    script(`${prefix}-${slug}.pkt`, [`${section}: ${state}.`, comment], [...reach, "", ...events]),
  )

const HANDSHAKE = [
  "  +.5 < S 0:0(0) win 32792 <mss 1000>",
  "   +0 > S. 0:0(0) ack 1 <mss 1460>",
  "  +.1 < . 1:1(0) ack 1 win 32792",
  "   +0 accept(3, ..., ...) = 4",
]

const LISTEN_CASES: ReadonlyArray<Case> = [
  {
    slug: "rst",
    section: "RFC 9293 section 3.10.7.2, first check",
    comment: "A RST is ignored: the listener goes on listening.",
    events: ["   +0 < R 1000:1000(0) win 0", "   +0 listen(3, 1) = 0", ...HANDSHAKE],
  },
  {
    slug: "rst-ack",
    section: "RFC 9293 section 3.10.7.2, first check",
    comment: "A RST is ignored, even one that acknowledges something.",
    events: ["   +0 < R. 1000:1000(0) ack 2000 win 0", "   +0 listen(3, 1) = 0", ...HANDSHAKE],
  },
  {
    slug: "ack",
    section: "RFC 9293 section 3.10.7.2, second check",
    comment: "An ACK is bad: <SEQ=SEG.ACK><CTL=RST>.",
    events: ["   +0 < . 1000:1000(0) ack 2000 win 32792", "   +0 > R 2000:2000(0)"],
  },
  {
    slug: "syn-ack",
    section: "RFC 9293 section 3.10.7.2, second check",
    comment: "The ACK is looked at before the SYN: <SEQ=SEG.ACK><CTL=RST>.",
    events: ["   +0 < S. 1000:1000(0) ack 2000 win 32792 <mss 1000>", "   +0 > R 2000:2000(0)"],
  },
  {
    slug: "fin-ack",
    section: "RFC 9293 section 3.10.7.2, second check",
    comment: "A FIN with ACK is answered as any ACK is.",
    events: ["   +0 < F. 1000:1000(0) ack 2000 win 32792", "   +0 > R 2000:2000(0)"],
  },
  {
    slug: "text-ack",
    section: "RFC 9293 section 3.10.7.2, second check",
    comment: "Text with ACK is answered as any ACK is.",
    events: ["   +0 < P. 1000:1100(100) ack 2000 win 32792", "   +0 > R 2000:2000(0)"],
  },
  {
    slug: "fin",
    section: "RFC 9293 section 3.10.7.2, fourth",
    comment: "Without SYN, RST and ACK there is nothing to do: the segment is dropped.",
    events: ["   +0 < F 1000:1000(0) win 32792", "   +0 listen(3, 1) = 0", ...HANDSHAKE],
  },
  {
    slug: "no-flags",
    section: "RFC 9293 section 3.10.7.2, fourth",
    comment: "A segment without any flag is dropped.",
    events: ["   +0 < - 1000:1000(0) win 32792", "   +0 listen(3, 1) = 0", ...HANDSHAKE],
  },
  {
    slug: "text",
    section: "RFC 9293 section 3.10.7.2, fourth",
    comment: "Text without SYN and ACK is dropped.",
    events: ["   +0 < P 1000:1100(100) win 32792", "   +0 listen(3, 1) = 0", ...HANDSHAKE],
  },
  {
    slug: "syn",
    section: "RFC 9293 section 3.10.7.2, third check",
    comment: "A SYN is answered with <SEQ=ISS><ACK=RCV.NXT><CTL=SYN,ACK>, whatever its sequence number.",
    events: [
      "   +0 < S 4294967295:4294967295(0) win 32792 <mss 1000>",
      "   +0 > S. 0:0(0) ack 0 <mss 1460>",
      "  +.1 < . 1:1(0) ack 1 win 32792",
      "   +0 accept(3, ..., ...) = 4",
      "   +0 < P. 1:1001(1000) ack 1 win 32792",
      "   +0 > . 1:1(0) ack 1001",
    ],
  },
  {
    slug: "syn-psh-urg",
    section: "RFC 9293 section 3.10.7.2, third check",
    comment: "PSH and URG of a SYN mean nothing.",
    events: [
      "   +0 < SPU 0:0(0) win 32792 <mss 1000>",
      "   +0 > S. 0:0(0) ack 1 <mss 1460>",
      "  +.1 < . 1:1(0) ack 1 win 32792",
      "   +0 accept(3, ..., ...) = 4",
    ],
  },
  {
    slug: "syn-rst",
    section: "RFC 9293 section 3.10.7.2, first check",
    comment: "RST is looked at before SYN: the segment is ignored.",
    events: ["   +0 < SR 0:0(0) win 32792 <mss 1000>", "   +0 listen(3, 1) = 0", ...HANDSHAKE],
  },
  {
    slug: "syn-fin",
    section: "Linux's tcp_rcv_state_process",
    comment: "A SYN with FIN is dropped: only scanners send that.",
    events: ["   +0 < SF 0:0(0) win 32792 <mss 1000>", "   +0 listen(3, 1) = 0", ...HANDSHAKE],
  },
  {
    slug: "syn-text",
    section: "RFC 9293 section 3.10.7.2, third check",
    comment: "Text in a SYN is not taken (no fast open): only the SYN is acknowledged, and the peer sends it again.",
    events: [
      "   +0 < S 0:500(500) win 32792 <mss 1000>",
      "   +0 > S. 0:0(0) ack 1 <mss 1460>",
      "  +.1 < . 1:501(500) ack 1 win 32792",
      "   +0 > . 1:1(0) ack 501",
      "   +0 accept(3, ..., ...) = 4",
      "   +0 read(4, ..., 1000) = 500",
    ],
  },
]

const SYN_RECEIVED = [...LISTENER, "   +0 < S 0:0(0) win 32792 <mss 1000>", "   +0 > S. 0:0(0) ack 1 <mss 1460>"]
const COMPLETES = ["  +.1 < . 1:1(0) ack 1 win 32792", "   +0 accept(3, ..., ...) = 4"]
const NEXT_CONNECTION = ["   +0 listen(3, 1) = 0", ...HANDSHAKE]

const SYN_RECEIVED_CASES: ReadonlyArray<Case> = [
  {
    slug: "ack",
    section: "RFC 9293 section 3.10.7.4, fifth check",
    comment: "The ACK of our SYN completes the handshake.",
    events: COMPLETES,
  },
  {
    slug: "ack-wrong",
    section: "RFC 9293 section 3.10.7.4, fifth check",
    comment: "An ACK of something else is answered with <SEQ=SEG.ACK><CTL=RST>; the handshake goes on.",
    events: ["  +.1 < . 1:1(0) ack 1000 win 32792", "   +0 > R 1000:1000(0)", ...COMPLETES],
  },
  {
    slug: "ack-of-nothing",
    section: "RFC 9293 section 3.10.7.4, fifth check",
    comment: "An ACK that does not cover our SYN is answered with a RST.",
    events: ["  +.1 < . 1:1(0) ack 0 win 32792", "   +0 > R 0:0(0)", ...COMPLETES],
  },
  {
    slug: "ack-beyond-window",
    section: "RFC 9293 section 3.10.7.4, first check",
    comment: "A segment beyond the window is answered with an ACK.",
    events: ["  +.1 < . 1000001:1000001(0) ack 1 win 32792", "   +0 > . 1:1(0) ack 1", ...COMPLETES],
  },
  {
    slug: "rst",
    section: "RFC 9293 section 3.10.7.4, second check",
    comment: "A RST at RCV.NXT returns a passive open to LISTEN.",
    events: ["  +.1 < R 1:1(0) win 0", ...NEXT_CONNECTION],
  },
  {
    slug: "rst-ack",
    section: "RFC 9293 section 3.10.7.4, second check",
    comment: "A RST with the right ACK returns a passive open to LISTEN.",
    events: ["  +.1 < R. 1:1(0) ack 1 win 0", ...NEXT_CONNECTION],
  },
  {
    slug: "rst-in-window",
    section: "RFC 5961 section 3.2",
    comment: "A RST in the window, but not at RCV.NXT, is answered with a challenge ACK; the handshake goes on.",
    events: ["  +.1 < R 1000:1000(0) win 0", "   +0 > . 1:1(0) ack 1", ...COMPLETES],
  },
  {
    slug: "rst-beyond-window",
    section: "RFC 9293 section 3.10.7.4, first check",
    comment: "A RST beyond the window is dropped; the handshake goes on.",
    events: ["  +.1 < R 1000001:1000001(0) win 0", ...COMPLETES],
  },
  {
    slug: "rst-at-irs",
    section: "RFC 9293 section 3.10.7.4, first check",
    comment: "A RST at the SYN's own sequence number is before the window: dropped.",
    events: ["  +.1 < R 0:0(0) win 0", ...COMPLETES],
  },
  {
    slug: "syn-again",
    section: "RFC 9293 section 3.10.7.4, Linux's tcp_check_req",
    comment: "The SYN once more says that our SYN-ACK was lost: it is sent again.",
    events: ["  +.1 < S 0:0(0) win 32792 <mss 1000>", "   +0 > S. 0:0(0) ack 1 <mss 1460>", ...COMPLETES],
  },
  {
    slug: "syn-in-window",
    section: "RFC 9293 section 3.10.7.4, fourth check, Linux's tcp_check_req",
    comment: "Another SYN in the window returns a passive open to LISTEN; the peer is told by a RST.",
    events: ["  +.1 < S 1000:1000(0) win 32792 <mss 1000>", "   +0 > R. !0:0(0) ack 1001", ...NEXT_CONNECTION],
  },
  {
    slug: "text",
    section: "RFC 9293 section 3.10.7.4, fifth and seventh",
    comment: "The ACK that completes the handshake may carry text.",
    events: [
      "  +.1 < P. 1:101(100) ack 1 win 32792",
      "   +0 > . 1:1(0) ack 101",
      "   +0 accept(3, ..., ...) = 4",
      "   +0 read(4, ..., 1000) = 100",
    ],
  },
  {
    slug: "fin",
    section: "RFC 9293 section 3.10.7.4, fifth and eighth",
    comment: "The ACK that completes the handshake may carry the peer's FIN.",
    events: [
      "  +.1 < F. 1:1(0) ack 1 win 32792",
      "   +0 > . 1:1(0) ack 2",
      "   +0 accept(3, ..., ...) = 4",
      "   +0 read(4, ..., 1000) = 0",
      "   +0 %{ assert tcpi_state == TCP_CLOSE_WAIT, tcpi_state }%",
    ],
  },
  {
    slug: "text-without-ack",
    section: "RFC 9293 section 3.10.7.4, fifth check",
    comment: "A segment without ACK is dropped; the handshake goes on.",
    events: ["  +.1 < P 1:101(100) win 32792", ...COMPLETES],
  },
  {
    slug: "no-flags",
    section: "RFC 9293 section 3.10.7.4, fifth check",
    comment: "A segment without any flag is dropped; the handshake goes on.",
    events: ["  +.1 < - 1:1(0) win 32792", ...COMPLETES],
  },
]

const SYN_SENT = [
  "    0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3",
  "   +0 fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0",
  "   +0 connect(3, ..., ...) = -1 EINPROGRESS (Operation now in progress)",
  "   +0 > S 0:0(0) <mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 8>",
]
const CONNECTS = [
  "  +.1 < S. 0:0(0) ack 1 win 32792 <mss 1000>",
  "   +0 > . 1:1(0) ack 1",
  "   +0 connect(3, ..., ...) = 0",
]

/** The peer's SYN comes while ours is under way, with the same options. */
const CROSSED = [
  "  +.1 < S 0:0(0) win 32792 <mss 1000,sackOK,TS val 700 ecr 0,nop,wscale 7>",
  "   +0 > S. 0:0(0) ack 1 <mss 1460,sackOK,TS val 100 ecr 700,nop,wscale 8>",
]

const SYN_SENT_CASES: ReadonlyArray<Case> = [
  {
    slug: "syn-ack",
    section: "RFC 9293 section 3.10.7.3, fourth check",
    comment: "A SYN-ACK of our SYN completes the handshake.",
    events: CONNECTS,
  },
  {
    slug: "syn-ack-wrong",
    section: "RFC 9293 section 3.10.7.3, first check",
    comment: "A SYN-ACK of something not sent is answered with <SEQ=SEG.ACK><CTL=RST>, and changes nothing.",
    events: ["  +.1 < S. 0:0(0) ack 1000 win 32792 <mss 1000>", "   +0 > R 1000:1000(0)"],
  },
  {
    slug: "syn-ack-of-iss",
    section: "RFC 9293 section 3.10.7.3, first check",
    comment: "SEG.ACK = ISS acknowledges nothing: a RST.",
    events: ["  +.1 < S. 0:0(0) ack 0 win 32792 <mss 1000>", "   +0 > R 0:0(0)"],
  },
  {
    slug: "ack",
    section: "RFC 9293 section 3.10.7.3, fifth",
    comment: "The right ACK without SYN or RST is dropped.",
    events: ["  +.1 < . 1:1(0) ack 1 win 32792", ...CONNECTS],
  },
  {
    slug: "ack-wrong",
    section: "RFC 9293 section 3.10.7.3, first check",
    comment: "A wrong ACK is answered with <SEQ=SEG.ACK><CTL=RST>.",
    events: ["  +.1 < . 1:1(0) ack 1000 win 32792", "   +0 > R 1000:1000(0)"],
  },
  {
    slug: "fin-ack-wrong",
    section: "RFC 9293 section 3.10.7.3, first check",
    comment: "A wrong ACK with FIN is answered with a RST too.",
    events: ["  +.1 < F. 1:1(0) ack 1000 win 32792", "   +0 > R 1000:1000(0)"],
  },
  {
    slug: "rst-ack",
    section: "RFC 9293 section 3.10.7.3, second check",
    comment: "A RST with the right ACK: connection refused.",
    events: ["  +.1 < R. 0:0(0) ack 1 win 0", "   +0 connect(3, ..., ...) = -1 ECONNREFUSED (Connection refused)"],
  },
  {
    slug: "rst-ack-error",
    section: "RFC 9293 section 3.10.7.3, second check",
    comment: "A refused connection's error is reported once, by whichever call comes first.",
    events: [
      "  +.1 < R. 0:0(0) ack 1 win 0",
      "   +0 getsockopt(3, SOL_SOCKET, SO_ERROR, [ECONNREFUSED], [4]) = 0",
      "   +0 getsockopt(3, SOL_SOCKET, SO_ERROR, [0], [4]) = 0",
    ],
  },
  {
    slug: "rst-ack-wrong",
    section: "RFC 9293 section 3.10.7.3, first check",
    comment: "A RST with a wrong ACK is dropped.",
    events: ["  +.1 < R. 0:0(0) ack 1000 win 0", "   +0 %{ assert tcpi_state == TCP_SYN_SENT, tcpi_state }%"],
  },
  {
    slug: "rst",
    section: "RFC 9293 section 3.10.7.3, second check",
    comment: "A RST without ACK is dropped: anyone could have sent it.",
    events: ["  +.1 < R 1:1(0) win 0", ...CONNECTS],
  },
  {
    slug: "fin",
    section: "RFC 9293 section 3.10.7.3, fifth",
    comment: "A FIN without SYN is dropped.",
    events: ["  +.1 < F 1:1(0) win 32792", ...CONNECTS],
  },
  {
    slug: "text",
    section: "RFC 9293 section 3.10.7.3, fifth",
    comment: "Text without SYN is dropped.",
    events: ["  +.1 < P 1:101(100) win 32792", ...CONNECTS],
  },
  {
    slug: "no-flags",
    section: "RFC 9293 section 3.10.7.3, fifth",
    comment: "A segment without any flag is dropped.",
    events: ["  +.1 < - 1:1(0) win 32792", ...CONNECTS],
  },
  {
    slug: "syn",
    section: "RFC 9293 section 3.10.7.3, fourth check, and section 3.5, figure 8",
    comment: "SYNs that crossed: ours is sent again with an ACK of the peer's, and its ACK opens the connection.",
    events: [
      ...CROSSED,
      "  +.1 < . 1:1(0) ack 1 win 257 <nop,nop,TS val 701 ecr 100>",
      "   +0 connect(3, ..., ...) = 0",
      "   +0 write(3, ..., 100) = 100",
      "   +0 > P. 1:101(100) ack 1 <nop,nop,TS val 200 ecr 701>",
    ],
  },
  {
    slug: "syn-then-syn-ack",
    section: "RFC 9293 section 3.5, figure 8",
    comment: "SYNs that crossed, and the peer's SYN-ACK acknowledges ours: the connection is open.",
    events: [
      ...CROSSED,
      "  +.1 < S. 0:0(0) ack 1 win 32792 <mss 1000,sackOK,TS val 701 ecr 100,nop,wscale 7>",
      "   +0 > . 1:1(0) ack 1 <...>",
      "   +0 connect(3, ..., ...) = 0",
    ],
  },
  {
    slug: "syn-then-rst",
    section: "RFC 9293 section 3.10.7.4, second check",
    comment: "SYNs that crossed, and then a RST: an active open is refused.",
    events: [...CROSSED, "  +.1 < R 1:1(0) win 0", "   +0 connect(3, ..., ...) = -1 ECONNREFUSED (Connection refused)"],
  },
  {
    slug: "syn-ack-text",
    section: "RFC 9293 section 3.10.7.3, fourth check",
    comment: "Text in a SYN-ACK is processed once the connection is open.",
    events: [
      "  +.1 < S. 0:100(100) ack 1 win 32792 <mss 1000>",
      "   +0 > . 1:1(0) ack 1",
      "   +0 connect(3, ..., ...) = 0",
    ],
  },
]

const CLOSED_CASES: ReadonlyArray<Case> = [
  {
    slug: "syn",
    section: "RFC 9293 section 3.10.7.1",
    comment: "A SYN is answered with <SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK>.",
    events: ["   +0 < S 1000:1000(0) win 32792 <mss 1000>", "   +0 > R. 0:0(0) ack 1"],
  },
  {
    slug: "syn-text",
    section: "RFC 9293 section 3.10.7.1",
    comment: "SEG.LEN counts SYN and text.",
    events: ["   +0 < S 1000:1100(100) win 32792 <mss 1000>", "   +0 > R. 0:0(0) ack 101"],
  },
  {
    slug: "syn-fin",
    section: "RFC 9293 section 3.10.7.1",
    comment: "SEG.LEN counts SYN and FIN.",
    events: ["   +0 < SF 1000:1000(0) win 32792 <mss 1000>", "   +0 > R. 0:0(0) ack 2"],
  },
  {
    slug: "syn-ack",
    section: "RFC 9293 section 3.10.7.1",
    comment: "A segment with ACK is answered with <SEQ=SEG.ACK><CTL=RST>.",
    events: ["   +0 < S. 1000:1000(0) ack 2000 win 32792 <mss 1000>", "   +0 > R 2000:2000(0)"],
  },
  {
    slug: "ack",
    section: "RFC 9293 section 3.10.7.1",
    comment: "A segment with ACK is answered with <SEQ=SEG.ACK><CTL=RST>.",
    events: ["   +0 < . 1000:1000(0) ack 2000 win 32792", "   +0 > R 2000:2000(0)"],
  },
  {
    slug: "text-ack",
    section: "RFC 9293 section 3.10.7.1",
    comment: "Text changes nothing: <SEQ=SEG.ACK><CTL=RST>.",
    events: ["   +0 < P. 1000:1100(100) ack 2000 win 32792", "   +0 > R 2000:2000(0)"],
  },
  {
    slug: "fin",
    section: "RFC 9293 section 3.10.7.1",
    comment: "SEG.LEN counts the FIN.",
    events: ["   +0 < F 1000:1000(0) win 32792", "   +0 > R. 0:0(0) ack 1001"],
  },
  {
    slug: "fin-ack",
    section: "RFC 9293 section 3.10.7.1",
    comment: "A FIN with ACK: <SEQ=SEG.ACK><CTL=RST>.",
    events: ["   +0 < F. 1000:1000(0) ack 2000 win 32792", "   +0 > R 2000:2000(0)"],
  },
  {
    slug: "text",
    section: "RFC 9293 section 3.10.7.1",
    comment: "SEG.LEN counts the text.",
    events: ["   +0 < P 1000:1100(100) win 32792", "   +0 > R. 0:0(0) ack 1100"],
  },
  {
    slug: "no-flags",
    section: "RFC 9293 section 3.10.7.1",
    comment: "Even nothing is answered: <SEQ=0><ACK=SEG.SEQ><CTL=RST,ACK>.",
    events: ["   +0 < - 1000:1000(0) win 32792", "   +0 > R. 0:0(0) ack 1000"],
  },
  {
    slug: "rst",
    section: "RFC 9293 section 3.10.7.1",
    comment: "A RST is never answered; the SYN after it is.",
    events: ["   +0 < R 1000:1000(0) win 0", "  +.1 < S 2000:2000(0) win 32792 <mss 1000>", "   +0 > R. 0:0(0) ack 1"],
  },
  {
    slug: "rst-ack",
    section: "RFC 9293 section 3.10.7.1",
    comment: "A RST is never answered, ACK or not; the SYN after it is.",
    events: [
      "   +0 < R. 1000:1000(0) ack 2000 win 0",
      "  +.1 < S 2000:2000(0) win 32792 <mss 1000>",
      "   +0 > R. 0:0(0) ack 1",
    ],
  },
]

const TIME_WAIT = [
  ...LISTENER,
  "   +0 < S 0:0(0) win 32792 <mss 1000>",
  "   +0 > S. 0:0(0) ack 1 <mss 1460>",
  "  +.1 < . 1:1(0) ack 1 win 32792",
  "   +0 accept(3, ..., ...) = 4",
  "   +0 close(4) = 0",
  "   +0 > F. 1:1(0) ack 1",
  "  +.1 < F. 1:1(0) ack 2 win 32792",
  "   +0 > . 2:2(0) ack 2",
]

const TIME_WAIT_CASES: ReadonlyArray<Case> = [
  {
    slug: "fin",
    section: "RFC 9293 section 3.10.7.4, eighth",
    comment: "The peer's FIN once more: our ACK was lost, and is sent again.",
    events: ["  +.1 < F. 1:1(0) ack 2 win 32792", "   +0 > . 2:2(0) ack 2"],
  },
  {
    slug: "ack",
    section: "Linux's tcp_timewait_state_process",
    comment: "An ACK at RCV.NXT says nothing new, and is not answered.",
    events: ["  +.1 < . 2:2(0) ack 2 win 32792", "  +.1 < F. 1:1(0) ack 2 win 32792", "   +0 > . 2:2(0) ack 2"],
  },
  {
    slug: "text",
    section: "RFC 9293 section 3.10.7.4, first check",
    comment: "Old text is answered with an ACK.",
    events: ["  +.1 < P. 1:101(100) ack 2 win 32792", "   +0 > . 2:2(0) ack 2"],
  },
  {
    slug: "ack-beyond-window",
    section: "RFC 9293 section 3.10.7.4, first check",
    comment: "A segment beyond the window is answered with an ACK.",
    events: ["  +.1 < . 1000002:1000002(0) ack 2 win 32792", "   +0 > . 2:2(0) ack 2"],
  },
  {
    slug: "syn-old",
    section: "RFC 9293 section 3.10.7.4, fourth check",
    comment: "A SYN no newer than the old connection's last is answered with an ACK: it may be a duplicate.",
    events: ["  +.1 < S 0:0(0) win 32792 <mss 1000>", "   +0 > . 2:2(0) ack 2"],
  },
  {
    slug: "syn-new",
    section: "RFC 1122 section 4.2.2.13",
    comment: "A SYN beyond the old connection's last number opens the connection anew.",
    events: [
      "  +.1 < S 1000:1000(0) win 32792 <mss 1000>",
      "   +0 > S. 0:0(0) ack 1001 <mss 1460>",
      "  +.1 < . 1:1(0) ack 1 win 32792",
      "   +0 accept(3, ..., ...) = 4",
    ],
  },
  {
    slug: "syn-ack",
    section: "RFC 9293 section 3.10.7.4, fourth check",
    comment: "A SYN with ACK opens nothing: an ACK.",
    events: ["  +.1 < S. 1000:1000(0) ack 2 win 32792 <mss 1000>", "   +0 > . 2:2(0) ack 2"],
  },
  {
    slug: "rst",
    section: "RFC 9293 section 3.10.7.4, second check",
    comment: "A RST at RCV.NXT ends TIME-WAIT (tcp_rfc1337 is off): the next FIN finds nobody.",
    events: ["  +.1 < R 2:2(0) win 0", "  +.1 < F. 1:1(0) ack 2 win 32792", "   +0 > R 2:2(0)"],
  },
  {
    slug: "rst-elsewhere",
    section: "RFC 1337 section 3",
    comment: "A RST in the window but not at RCV.NXT is ignored, as by Linux: TIME-WAIT goes on.",
    events: ["  +.1 < R 1000:1000(0) win 0", "  +.1 < F. 1:1(0) ack 2 win 32792", "   +0 > . 2:2(0) ack 2"],
  },
]

/** CLOSED, LISTEN, SYN-SENT, SYN-RECEIVED and TIME-WAIT against every kind of segment. */
export const openingsAgainstSegments = (): ReadonlyArray<Generated> => [
  ...write("CLOSED", [...LISTENER, "   +0 close(3) = 0"], "rfc9293/3.10.7.1-closed", CLOSED_CASES),
  ...write("LISTEN", LISTENER, "rfc9293/3.10.7.2-listen", LISTEN_CASES),
  ...write("SYN-SENT", SYN_SENT, "rfc9293/3.10.7.3-syn-sent", SYN_SENT_CASES),
  ...write("SYN-RECEIVED", SYN_RECEIVED, "rfc9293/3.10.7.4-syn-received", SYN_RECEIVED_CASES),
  ...write("TIME-WAIT", TIME_WAIT, "rfc9293/3.10.7.4-time-wait", TIME_WAIT_CASES),
]
