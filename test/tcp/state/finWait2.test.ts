import { matrix } from "../support/matrix.ts"
import { FIN_WAIT_2_SCENES } from "../support/scenes.ts"

/** The answer to what is not acceptable, and to every challenge: <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>. */
const ACK = "<ACK> seq=snd.nxt ack=rcv.nxt"

/**
 * RFC 9293 section 3.10.7.4. Our FIN is acknowledged: SND.UNA is SND.NXT.
 * No timer runs, unless the application has gone and cannot wait for ever.
 */
matrix("FIN-WAIT-2", FIN_WAIT_2_SCENES, [
  // Timestamps first: PAWS (RFC 7323 section 5.3)
  [
    [
      "<SYN> seq=rcv.nxt+10 tsval=ts.recent-1",
      "<ACK> seq=rcv.nxt ack=snd.nxt tsval=ts.recent-1",
      "<ACK> seq=rcv.nxt ack=snd.una data=100 tsval=ts.recent-1",
    ],
    "FIN-WAIT-2",
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
    "FIN-WAIT-2",
    [ACK],
    "",
    "RFC9293-3.10.7.4:unacceptable",
  ],
  [
    "<FIN,ACK> seq=rcv.nxt-1 ack=snd.nxt",
    "FIN-WAIT-2",
    ["<ACK> seq=snd.nxt ack=rcv.nxt sack=rcv.nxt-1..rcv.nxt"],
    "",
    "RFC9293-3.10.7.4:unacceptable",
  ],
  [
    "<ACK> seq=rcv.nxt-100 ack=snd.una data=100",
    "FIN-WAIT-2",
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
    "closed ConnectionReset",
    "RFC9293-3.10.7.4:RST-at-RCV.NXT",
  ],
  [["<RST> seq=rcv.nxt+1", "<RST> seq=rcv.edge-1"], "FIN-WAIT-2", [ACK], "", "RFC5961-3.2:RST-not-at-RCV.NXT"],
  [
    ["<RST> seq=rcv.nxt-1", "<RST> seq=rcv.edge", "<RST,ACK> seq=0 ack=iss+1"],
    "FIN-WAIT-2",
    [],
    "",
    "RFC9293-3.10.7.4:RST-outside-window",
  ],

  // Fourth: SYN, challenged wherever it lies (RFC 5961 section 4.2)
  [
    ["<SYN> seq=rcv.nxt", "<SYN> seq=rcv.nxt+10", "<SYN,ACK> seq=rcv.nxt ack=snd.nxt"],
    "FIN-WAIT-2",
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
    "FIN-WAIT-2",
    [ACK],
    "",
    "RFC5961-4.2:SYN-outside-window",
  ],

  // Fifth: no ACK; an ACK outside of SND.UNA-MAX.SND.WND =< SEG.ACK =< SND.NXT (RFC 5961 section 5.2)
  [
    ["<> seq=rcv.nxt", "<PSH> seq=rcv.nxt data=100", "<FIN> seq=rcv.nxt"],
    "FIN-WAIT-2",
    [],
    "",
    "RFC9293-3.10.7.4:no-ACK",
  ],
  [
    [
      "<ACK> seq=rcv.nxt ack=snd.una-max.wnd-1",
      "<ACK> seq=rcv.nxt ack=snd.nxt+1",
      "<ACK> seq=rcv.nxt ack=snd.una+500",
      "<ACK> seq=rcv.nxt ack=snd.nxt+1 data=100",
      "<FIN,ACK> seq=rcv.nxt ack=snd.nxt+1",
    ],
    "FIN-WAIT-2",
    [ACK],
    "",
    "RFC5961-5.2:ACK-out-of-range",
  ],

  // ... of nothing new: ignored, but for its window; at the right edge too (appendix A.2, as Linux); without a timestamp, as Linux
  [
    [
      "<ACK> seq=rcv.nxt ack=snd.nxt",
      "<ACK> seq=rcv.edge-1 ack=snd.nxt",
      "<ACK> seq=rcv.edge ack=snd.nxt",
      "<ACK> seq=rcv.nxt ack=snd.nxt wnd=0",
      "<ACK> seq=rcv.nxt ack=snd.nxt ts=none",
      "<ACK> seq=rcv.nxt ack=snd.nxt-1",
      "<ACK> seq=rcv.nxt ack=snd.una",
      "<ACK> seq=rcv.nxt ack=snd.una-1",
      "<ACK> seq=rcv.nxt ack=snd.una-max.wnd",
      "<ACK> seq=rcv.nxt ack=snd.una wnd=20000",
      "<ACK> seq=rcv.nxt ack=snd.una wnd=0",
    ],
    "FIN-WAIT-2",
    [],
    "",
    "",
  ],

  // Sixth: URG
  [
    "<URG,ACK> seq=rcv.nxt ack=snd.una up=50 data=100",
    "FIN-WAIT-2",
    [],
    "urgent rcv.nxt+50, deliver 100, arm delayedAck 40ms",
    "",
  ],
  ["<URG,ACK> seq=rcv.nxt ack=snd.una up=50", "FIN-WAIT-2", [], "urgent rcv.nxt+50", ""],

  // Seventh: text in order waits for its ACK; what overlaps is trimmed; what is ahead is kept and answered at once (RFC 5681 section 4.2)
  [
    [
      "<ACK> seq=rcv.nxt ack=snd.una data=100",
      "<PSH,ACK> seq=rcv.nxt ack=snd.una data=100",
      "<ACK> seq=rcv.nxt ack=snd.una data=100 tsval=ts.recent+5",
      "<ACK> seq=rcv.nxt ack=snd.una data=100 ts=none",
    ],
    "FIN-WAIT-2",
    [],
    "deliver 100, arm delayedAck 40ms",
    "",
  ],
  ["<PSH,ACK> seq=rcv.nxt ack=snd.nxt data=100", "FIN-WAIT-2", [], "deliver 100, arm delayedAck 40ms", ""],
  ["<ACK> seq=rcv.nxt-50 ack=snd.una data=100", "FIN-WAIT-2", [], "deliver 50, arm delayedAck 40ms", ""],
  [
    ["<ACK> seq=rcv.nxt+100 ack=snd.una data=100", "<ACK> seq=rcv.nxt+100 ack=snd.una data=100 tsval=ts.recent+5"],
    "FIN-WAIT-2",
    ["<ACK> seq=snd.nxt ack=rcv.nxt sack=rcv.nxt+100..rcv.nxt+200"],
    "",
    "RFC5681-4.2:out-of-order",
  ],
  [
    "<ACK> seq=rcv.edge-50 ack=snd.una data=100",
    "FIN-WAIT-2",
    ["<ACK> seq=snd.nxt ack=rcv.nxt sack=rcv.edge-50..rcv.edge"],
    "",
    "RFC5681-4.2:out-of-order",
  ],
  [
    "<ACK> seq=rcv.nxt ack=snd.una data=rcv.wnd+100",
    "FIN-WAIT-2",
    ["<ACK> seq=snd.nxt ack=rcv.edge wnd=0"],
    "deliver rcv.wnd",
    "RFC9293-3.10.7.4:text-in-order",
  ],

  // Eighth: FIN in order
  [
    "<FIN,ACK> seq=rcv.nxt ack=snd.una",
    "TIME-WAIT",
    ["<ACK> seq=snd.nxt ack=rcv.nxt+1"],
    "peer closed, closed done, arm linger 60s",
    "RFC9293-3.10.7.4:FIN",
  ],
  [
    "<FIN,ACK> seq=rcv.nxt ack=snd.una tsval=ts.recent+5",
    "TIME-WAIT",
    ["<ACK> seq=snd.nxt ack=rcv.nxt+1 ecr=seg.tsval"],
    "peer closed, closed done, arm linger 60s",
    "RFC9293-3.10.7.4:FIN",
  ],
  [
    "<FIN,ACK> seq=rcv.nxt ack=snd.nxt",
    "TIME-WAIT",
    ["<ACK> seq=snd.nxt ack=rcv.nxt+1"],
    "peer closed, closed done, arm linger 60s",
    "RFC9293-3.10.7.4:FIN",
  ],
  [
    "<FIN,ACK> seq=rcv.nxt ack=snd.una data=100",
    "TIME-WAIT",
    ["<ACK> seq=snd.nxt ack=rcv.nxt+101"],
    "deliver 100, peer closed, closed done, arm linger 60s",
    "RFC9293-3.10.7.4:FIN",
  ],
  [
    "<FIN,PSH,ACK> seq=rcv.nxt ack=snd.nxt data=100",
    "TIME-WAIT",
    ["<ACK> seq=snd.nxt ack=rcv.nxt+101"],
    "deliver 100, peer closed, closed done, arm linger 60s",
    "RFC9293-3.10.7.4:FIN",
  ],
  [
    "<FIN,ACK> seq=rcv.nxt-50 ack=snd.una data=100",
    "TIME-WAIT",
    ["<ACK> seq=snd.nxt ack=rcv.nxt+51 sack=rcv.nxt-50..rcv.nxt"],
    "deliver 50, peer closed, closed done, arm linger 60s",
    "RFC9293-3.10.7.4:FIN",
  ],

  // ... behind text that fills the window: it needs no buffer, Linux takes it
  [
    "<FIN,ACK> seq=rcv.nxt ack=snd.una data=rcv.wnd",
    "TIME-WAIT",
    ["<ACK> seq=snd.nxt ack=rcv.edge+1 wnd=0"],
    "deliver rcv.wnd, peer closed, closed done, arm linger 60s",
    ["RFC9293-3.10.7.4:FIN"],
  ],

  // ... ahead of its text
  [
    "<FIN,ACK> seq=rcv.nxt+100 ack=snd.una",
    "FIN-WAIT-2",
    ["<ACK> seq=snd.nxt ack=rcv.nxt sack=rcv.nxt+100..rcv.nxt+101"],
    "",
    "RFC5681-4.2:out-of-order",
  ],
  [
    "<FIN,ACK> seq=rcv.nxt+100 ack=snd.una data=100",
    "FIN-WAIT-2",
    ["<ACK> seq=snd.nxt ack=rcv.nxt sack=rcv.nxt+100..rcv.nxt+201"],
    "",
    "RFC5681-4.2:out-of-order",
  ],

  // Calls
  [["OPEN active", "OPEN passive"], "FIN-WAIT-2", [], "refused EISCONN", "RFC9293-3.10.1:connection-exists"],
  ["SEND 100", "FIN-WAIT-2", [], "refused EPIPE", "RFC9293-3.10.2:connection-closing"],
  ["RECEIVE 100", "FIN-WAIT-2", [], "refused EINVAL", "RFC9293-3.10.3:nothing-delivered"],
  ["RECEIVE 100, unread", "FIN-WAIT-2", [], "", ""],
  ["CLOSE", "FIN-WAIT-2", [], "refused EPIPE", "RFC9293-3.10.4:connection-closing"],
  ["RELEASE", "FIN-WAIT-2", [], "arm linger 60s", ""],
  [
    "RELEASE, unread",
    "CLOSED",
    ["<RST,ACK> seq=snd.nxt ack=rcv.nxt ecr=ts.recent"],
    "closed ConnectionAborted, cancel delayedAck",
    "RFC2525-2.17:unread-data-at-close",
  ],
  [
    "ABORT",
    "CLOSED",
    ["<RST,ACK> seq=snd.nxt ack=rcv.nxt ecr=ts.recent"],
    "closed ConnectionAborted",
    "RFC9293-3.10.5:ABORT",
  ],
  ["STATUS", "FIN-WAIT-2", [], "", ""],

  // Timeouts
  ["delayedAck timeout", "FIN-WAIT-2", [ACK], "", "RFC9293-3.8.6.3:delayed-ACK"],
  ["linger timeout", "CLOSED", [], "closed done", "Linux:tcp_fin_timeout"],
  [
    "keepalive timeout",
    "FIN-WAIT-2",
    ["<ACK> seq=snd.una-1 ack=rcv.nxt"],
    "arm keepalive 75s",
    "RFC9293-3.8.4:keep-alive",
  ],

  // ... of a timer that is not armed
  [["retransmit timeout", "persist timeout", "user timeout"], "FIN-WAIT-2", [], "", ""],
])
