import { matrix } from "../support/matrix.ts"
import { LAST_ACK_SCENES } from "../support/scenes.ts"

/** The answer to what is not acceptable, and to every challenge: <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>. */
const ACK = "<ACK> seq=snd.nxt ack=rcv.nxt"

/**
 * RFC 9293 section 3.10.7.4. The peer's FIN is RCV.NXT-1, ours SND.NXT-1. 1000 octets of data are outstanding before it.
 */
matrix("LAST-ACK", LAST_ACK_SCENES, [
  // Timestamps first: PAWS (RFC 7323 section 5.3)
  [
    [
      "<SYN> seq=rcv.nxt+10 tsval=ts.recent-1",
      "<ACK> seq=rcv.nxt ack=snd.nxt tsval=ts.recent-1",
      "<ACK> seq=rcv.nxt ack=snd.una data=100 tsval=ts.recent-1",
    ],
    "LAST-ACK",
    [ACK],
    "",
    "RFC7323-5.3:PAWS",
  ],

  // First: not acceptable. Old text, and an old FIN, are reported (RFC 2883 section 4)
  [
    [
      "<ACK> seq=rcv.nxt-1 ack=snd.nxt",
      "<ACK> seq=rcv.edge+1 ack=snd.nxt",
      "<ACK> seq=rcv.edge ack=snd.una data=100",
      "<FIN,ACK> seq=rcv.edge ack=snd.una",
    ],
    "LAST-ACK",
    [ACK],
    "",
    "RFC9293-3.10.7.4:unacceptable",
  ],
  [
    "<FIN,ACK> seq=rcv.nxt-1 ack=snd.nxt",
    "LAST-ACK",
    ["<ACK> seq=snd.nxt ack=rcv.nxt sack=rcv.nxt-1..rcv.nxt"],
    "",
    "RFC9293-3.10.7.4:unacceptable",
  ],
  [
    "<ACK> seq=rcv.nxt-100 ack=snd.una data=100",
    "LAST-ACK",
    ["<ACK> seq=snd.nxt ack=rcv.nxt sack=rcv.nxt-100..rcv.nxt"],
    "",
    "RFC9293-3.10.7.4:unacceptable",
  ],

  // Second: RST, at RCV.NXT, in the window, outside (RFC 5961 section 3.2)
  [
    [
      "<RST> seq=rcv.nxt",
      "<RST> seq=rcv.nxt tsval=ts.recent-1",
      "<RST,ACK> seq=rcv.nxt ack=snd.nxt",
      "<RST,ACK> seq=rcv.nxt ack=snd.nxt+1",
    ],
    "CLOSED",
    [],
    "closed ConnectionReset, cancel retransmit",
    "RFC9293-3.10.7.4:RST-at-RCV.NXT",
  ],
  [["<RST> seq=rcv.nxt+1", "<RST> seq=rcv.edge-1"], "LAST-ACK", [ACK], "", "RFC5961-3.2:RST-not-at-RCV.NXT"],
  [["<RST> seq=rcv.edge", "<RST,ACK> seq=0 ack=iss+1"], "LAST-ACK", [], "", "RFC9293-3.10.7.4:RST-outside-window"],

  // ... at the peer's FIN, which some stacks forget to count (Linux's tcp_reset_check, `resetAtFin`)
  ["<RST> seq=rcv.nxt-1", "CLOSED", [], "closed ConnectionReset, cancel retransmit", "Linux:RST-at-FIN"],

  // Fourth: SYN, challenged wherever it lies (RFC 5961 section 4.2)
  [
    ["<SYN> seq=rcv.nxt", "<SYN> seq=rcv.nxt+10", "<SYN,ACK> seq=rcv.nxt ack=snd.nxt"],
    "LAST-ACK",
    [ACK],
    "",
    "RFC5961-4.2:SYN-in-window",
  ],
  [
    [
      "<SYN> seq=irs",
      "<SYN> seq=irs data=100",
      "<SYN,FIN> seq=irs",
      "<SYN> seq=rcv.edge+10",
      "<SYN,ACK> seq=irs ack=iss+1",
      "<SYN,ACK> seq=irs ack=iss",
      "<SYN,ACK> seq=irs ack=iss+2",
      "<SYN,ACK> seq=irs ack=iss+1 data=100",
      "<SYN,FIN,ACK> seq=irs ack=iss+1",
    ],
    "LAST-ACK",
    [ACK],
    "",
    "RFC5961-4.2:SYN-outside-window",
  ],

  // Fifth: no ACK; an ACK outside of SND.UNA-MAX.SND.WND =< SEG.ACK =< SND.NXT (RFC 5961 section 5.2)
  [
    ["<> seq=rcv.nxt", "<PSH> seq=rcv.nxt data=100", "<FIN> seq=rcv.nxt"],
    "LAST-ACK",
    [],
    "",
    "RFC9293-3.10.7.4:no-ACK",
  ],
  [
    [
      "<ACK> seq=rcv.nxt ack=snd.una-max.wnd-1",
      "<ACK> seq=rcv.nxt ack=snd.nxt+1",
      "<ACK> seq=rcv.nxt ack=snd.nxt+1 data=100",
      "<FIN,ACK> seq=rcv.nxt ack=snd.nxt+1",
    ],
    "LAST-ACK",
    [ACK],
    "",
    "RFC5961-5.2:ACK-out-of-range",
  ],

  // ... an ACK of all that is ours, our FIN included; at the right edge too (appendix A.2, as Linux); without a timestamp, as Linux
  [
    [
      "<ACK> seq=rcv.nxt ack=snd.nxt",
      "<ACK> seq=rcv.edge-1 ack=snd.nxt",
      "<ACK> seq=rcv.edge ack=snd.nxt",
      "<ACK> seq=rcv.nxt ack=snd.nxt wnd=0",
      "<ACK> seq=rcv.nxt ack=snd.nxt ts=none",
    ],
    "CLOSED",
    [],
    "acked 1000, closed done, cancel retransmit",
    "RFC9293-3.10.7.4:FIN-acknowledged-in-LAST-ACK",
  ],

  // ... of our data and not our FIN, and of a part: the timer starts again (RFC 6298 section 5.3)
  ["<ACK> seq=rcv.nxt ack=snd.nxt-1", "LAST-ACK", [], "acked 1000, arm retransmit 300ms", ""],
  ["<ACK> seq=rcv.nxt ack=snd.una+500", "LAST-ACK", [], "acked 500, arm retransmit 300ms", ""],

  // ... of nothing new: ignored, but for its window
  [
    [
      "<ACK> seq=rcv.nxt ack=snd.una",
      "<ACK> seq=rcv.nxt ack=snd.una-1",
      "<ACK> seq=rcv.nxt ack=snd.una-max.wnd",
      "<ACK> seq=rcv.nxt ack=snd.una wnd=20000",
      "<ACK> seq=rcv.nxt ack=snd.una wnd=0",
    ],
    "LAST-ACK",
    [],
    "",
    "",
  ],

  // Sixth to eighth: nothing follows the peer's FIN. URG, text and another FIN are ignored; an ACK says where we are
  [
    [
      "<ACK> seq=rcv.nxt ack=snd.una data=100",
      "<PSH,ACK> seq=rcv.nxt ack=snd.una data=100",
      "<ACK> seq=rcv.nxt-50 ack=snd.una data=100",
      "<ACK> seq=rcv.nxt+100 ack=snd.una data=100",
      "<ACK> seq=rcv.edge-50 ack=snd.una data=100",
      "<ACK> seq=rcv.nxt ack=snd.una data=rcv.wnd+100",
      "<ACK> seq=rcv.nxt+100 ack=snd.una data=100 tsval=ts.recent+5",
      "<ACK> seq=rcv.nxt ack=snd.una data=100 ts=none",
      "<URG,ACK> seq=rcv.nxt ack=snd.una up=50 data=100",
      "<FIN,ACK> seq=rcv.nxt ack=snd.una",
      "<FIN,ACK> seq=rcv.nxt ack=snd.una data=100",
      "<FIN,ACK> seq=rcv.nxt-50 ack=snd.una data=100",
      "<FIN,ACK> seq=rcv.nxt+100 ack=snd.una",
      "<FIN,ACK> seq=rcv.nxt+100 ack=snd.una data=100",
      "<FIN,ACK> seq=rcv.nxt ack=snd.una data=rcv.wnd",
    ],
    "LAST-ACK",
    [ACK],
    "",
    "RFC9293-3.10.7.4:text-after-FIN",
  ],
  [
    ["<ACK> seq=rcv.nxt ack=snd.una data=100 tsval=ts.recent+5", "<FIN,ACK> seq=rcv.nxt ack=snd.una tsval=ts.recent+5"],
    "LAST-ACK",
    ["<ACK> seq=snd.nxt ack=rcv.nxt ecr=seg.tsval"],
    "",
    "RFC9293-3.10.7.4:text-after-FIN",
  ],
  ["<URG,ACK> seq=rcv.nxt ack=snd.una up=50", "LAST-ACK", [], "", ""],

  // ... but their ACK of our FIN counts
  [
    [
      "<PSH,ACK> seq=rcv.nxt ack=snd.nxt data=100",
      "<FIN,ACK> seq=rcv.nxt ack=snd.nxt",
      "<FIN,PSH,ACK> seq=rcv.nxt ack=snd.nxt data=100",
    ],
    "CLOSED",
    [],
    "acked 1000, closed done, cancel retransmit",
    "RFC9293-3.10.7.4:FIN-acknowledged-in-LAST-ACK",
  ],

  // Calls
  [["OPEN active", "OPEN passive"], "LAST-ACK", [], "refused EISCONN", "RFC9293-3.10.1:connection-exists"],
  ["SEND 100", "LAST-ACK", [], "refused EPIPE", "RFC9293-3.10.2:connection-closing"],
  ["RECEIVE 100", "LAST-ACK", [], "refused ESHUTDOWN", "RFC9293-3.10.3:connection-closing"],
  ["RECEIVE 100, unread", "LAST-ACK", [], "", ""],
  ["CLOSE", "LAST-ACK", [], "refused EPIPE", "RFC9293-3.10.4:connection-closing"],
  ["RELEASE", "LAST-ACK", [], "", ""],
  [
    "RELEASE, unread",
    "CLOSED",
    ["<RST,ACK> seq=snd.nxt ack=rcv.nxt ecr=ts.recent"],
    "closed ConnectionAborted, cancel retransmit",
    "RFC2525-2.17:unread-data-at-close",
  ],
  ["ABORT", "CLOSED", [], "closed ConnectionAborted, cancel retransmit", "RFC9293-3.10.5:ABORT"],
  ["STATUS", "LAST-ACK", [], "", ""],

  // Timeouts
  [
    "retransmit timeout",
    "LAST-ACK",
    ["<PSH,ACK> seq=snd.una ack=rcv.nxt data=1000"],
    "arm retransmit 600ms",
    "RFC6298-5.4:retransmit",
  ],
  [
    "persist timeout",
    "LAST-ACK",
    ["<ACK> seq=snd.una-1 ack=rcv.nxt"],
    "arm persist 600ms",
    "RFC9293-3.8.6.1:zero-window-probe",
  ],
  ["user timeout", "CLOSED", [], "closed ConnectionTimedOut, cancel retransmit", "RFC9293-3.10.8:USER-TIMEOUT"],
  ["keepalive timeout", "LAST-ACK", [], "arm keepalive 10s", ""],

  // ... of a timer that is not armed
  [["delayedAck timeout", "linger timeout"], "LAST-ACK", [], "", ""],
])
