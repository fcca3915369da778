import { matrix } from "../support/matrix.ts"
import { CROSSED_SCENES } from "../support/scenes.ts"

/** The answer to what is not acceptable, and to every challenge: <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>. */
const ACK = "<ACK> seq=snd.nxt ack=rcv.nxt"

/**
 * RFC 9293 section 3.10.7.4 after SYN-SENT, the SYNs having crossed (figure 7):
 * SND.UNA is ISS, SND.NXT is ISS+1. An ACK that is not for our SYN: section 3.5.2, group 2.
 */
matrix("SYN-RECEIVED (active)", CROSSED_SCENES, [
  // Timestamps first (RFC 7323 section 5.3)
  [
    [
      "<SYN> seq=rcv.nxt+10 tsval=ts.recent-1",
      "<ACK> seq=rcv.nxt ack=snd.nxt tsval=ts.recent-1",
      "<ACK> seq=rcv.nxt ack=snd.una data=100 tsval=ts.recent-1",
    ],
    "SYN-RECEIVED",
    [ACK],
    "",
    "RFC7323-5.3:PAWS",
  ],

  // First: not acceptable (table 6; at the right edge only a bare ACK is heard, appendix A.2)
  [
    [
      "<SYN> seq=irs",
      "<SYN> seq=rcv.edge+10",
      "<ACK> seq=rcv.nxt-1 ack=snd.nxt",
      "<ACK> seq=rcv.edge+1 ack=snd.nxt",
      "<FIN,ACK> seq=rcv.nxt-1 ack=snd.nxt",
      "<ACK> seq=rcv.nxt-100 ack=snd.una data=100",
      "<ACK> seq=rcv.edge ack=snd.una data=100",
      "<FIN,ACK> seq=rcv.edge ack=snd.una",
    ],
    "SYN-RECEIVED",
    [ACK],
    "",
    "RFC9293-3.10.7.4:unacceptable",
  ],

  // Second: RST, judged by its sequence number alone (section 3.5.3), which refuses an active OPEN
  [
    [
      "<RST> seq=rcv.nxt",
      "<RST> seq=rcv.nxt tsval=ts.recent-1",
      "<RST,ACK> seq=rcv.nxt ack=snd.nxt",
      "<RST,ACK> seq=rcv.nxt ack=snd.nxt+1",
    ],
    "CLOSED",
    [],
    "closed ConnectionRefused, cancel retransmit",
    "RFC9293-3.10.7.4:RST-refuses-active-OPEN",
  ],
  [["<RST> seq=rcv.nxt+1", "<RST> seq=rcv.edge-1"], "SYN-RECEIVED", [ACK], "", "RFC5961-3.2:RST-not-at-RCV.NXT"],
  [
    ["<RST> seq=rcv.nxt-1", "<RST> seq=rcv.edge", "<RST,ACK> seq=0 ack=iss+1"],
    "SYN-RECEIVED",
    [],
    "",
    "RFC9293-3.10.7.4:RST-outside-window",
  ],

  // Fourth: SYN, as in the synchronized states
  [
    [
      "<SYN> seq=irs data=100",
      "<SYN,FIN> seq=irs",
      "<SYN> seq=rcv.nxt",
      "<SYN> seq=rcv.nxt+10",
      "<SYN,ACK> seq=rcv.nxt ack=snd.nxt",
    ],
    "SYN-RECEIVED",
    [ACK],
    "",
    "RFC5961-4.2:SYN-in-window",
  ],

  // Figure 7, line 6: the peer's SYN,ACK. Its SYN lies left of the window and is acknowledged as such; the rest counts
  [
    "<SYN,ACK> seq=irs ack=iss+1",
    "ESTABLISHED",
    [ACK],
    "established, cancel retransmit",
    ["RFC9293-3.10.7.4:ACK-of-SYN", "RFC9293-3.10.7.4:SYN-ACK-of-crossed-SYNs"],
  ],
  [
    "<SYN,ACK> seq=irs ack=iss+1 data=100",
    "ESTABLISHED",
    ["<ACK> seq=snd.nxt ack=rcv.nxt+100"],
    "established, deliver 100, cancel retransmit",
    ["RFC9293-3.10.7.4:ACK-of-SYN", "RFC9293-3.10.7.4:SYN-ACK-of-crossed-SYNs"],
  ],
  [
    "<SYN,FIN,ACK> seq=irs ack=iss+1",
    "CLOSE-WAIT",
    ["<ACK> seq=snd.nxt ack=rcv.nxt+1"],
    "established, peer closed, cancel retransmit",
    ["RFC9293-3.10.7.4:ACK-of-SYN", "RFC9293-3.10.7.4:FIN", "RFC9293-3.10.7.4:SYN-ACK-of-crossed-SYNs"],
  ],
  [
    ["<SYN,ACK> seq=irs ack=iss", "<SYN,ACK> seq=irs ack=iss+2"],
    "SYN-RECEIVED",
    ["<RST> seq=seg.ack"],
    "",
    "RFC9293-3.10.7.4:unacceptable-ACK",
  ],

  // Fifth: no ACK
  [
    ["<> seq=rcv.nxt", "<PSH> seq=rcv.nxt data=100", "<FIN> seq=rcv.nxt"],
    "SYN-RECEIVED",
    [],
    "",
    "RFC9293-3.10.7.4:no-ACK",
  ],

  // ... an ACK that is not SND.UNA < SEG.ACK =< SND.NXT
  [
    [
      "<ACK> seq=rcv.nxt ack=snd.nxt-1",
      "<ACK> seq=rcv.nxt ack=snd.una+500",
      "<ACK> seq=rcv.nxt ack=snd.una",
      "<ACK> seq=rcv.nxt ack=snd.una-1",
      "<ACK> seq=rcv.nxt ack=snd.una-max.wnd",
      "<ACK> seq=rcv.nxt ack=snd.una-max.wnd-1",
      "<ACK> seq=rcv.nxt ack=snd.nxt+1",
      "<ACK> seq=rcv.nxt ack=snd.una wnd=20000",
      "<ACK> seq=rcv.nxt ack=snd.una wnd=0",
      "<ACK> seq=rcv.nxt ack=snd.una data=100",
      "<PSH,ACK> seq=rcv.nxt ack=snd.una data=100",
      "<ACK> seq=rcv.nxt-50 ack=snd.una data=100",
      "<ACK> seq=rcv.nxt+100 ack=snd.una data=100",
      "<ACK> seq=rcv.edge-50 ack=snd.una data=100",
      "<ACK> seq=rcv.nxt ack=snd.una data=rcv.wnd+100",
      "<ACK> seq=rcv.nxt ack=snd.nxt+1 data=100",
      "<ACK> seq=rcv.nxt ack=snd.una data=100 tsval=ts.recent+5",
      "<ACK> seq=rcv.nxt+100 ack=snd.una data=100 tsval=ts.recent+5",
      "<ACK> seq=rcv.nxt ack=snd.una data=100 ts=none",
      "<URG,ACK> seq=rcv.nxt ack=snd.una up=50 data=100",
      "<URG,ACK> seq=rcv.nxt ack=snd.una up=50",
      "<FIN,ACK> seq=rcv.nxt ack=snd.una",
      "<FIN,ACK> seq=rcv.nxt ack=snd.una data=100",
      "<FIN,ACK> seq=rcv.nxt-50 ack=snd.una data=100",
      "<FIN,ACK> seq=rcv.nxt+100 ack=snd.una",
      "<FIN,ACK> seq=rcv.nxt+100 ack=snd.una data=100",
      "<FIN,ACK> seq=rcv.nxt ack=snd.una data=rcv.wnd",
      "<FIN,ACK> seq=rcv.nxt ack=snd.nxt+1",
      "<FIN,ACK> seq=rcv.nxt ack=snd.una tsval=ts.recent+5",
    ],
    "SYN-RECEIVED",
    ["<RST> seq=seg.ack"],
    "",
    "RFC9293-3.10.7.4:unacceptable-ACK",
  ],

  // ... SND.UNA < SEG.ACK =< SND.NXT, with text and FIN
  [
    [
      "<ACK> seq=rcv.nxt ack=snd.nxt",
      "<ACK> seq=rcv.edge-1 ack=snd.nxt",
      "<ACK> seq=rcv.edge ack=snd.nxt",
      "<ACK> seq=rcv.nxt ack=snd.nxt wnd=0",
      "<ACK> seq=rcv.nxt ack=snd.nxt ts=none",
    ],
    "ESTABLISHED",
    [],
    "established, cancel retransmit",
    "RFC9293-3.10.7.4:ACK-of-SYN",
  ],
  [
    "<PSH,ACK> seq=rcv.nxt ack=snd.nxt data=100",
    "ESTABLISHED",
    [],
    "established, deliver 100, cancel retransmit, arm delayedAck 40ms",
    "RFC9293-3.10.7.4:ACK-of-SYN",
  ],
  [
    "<FIN,ACK> seq=rcv.nxt ack=snd.nxt",
    "CLOSE-WAIT",
    ["<ACK> seq=snd.nxt ack=rcv.nxt+1"],
    "established, peer closed, cancel retransmit",
    ["RFC9293-3.10.7.4:ACK-of-SYN", "RFC9293-3.10.7.4:FIN"],
  ],
  [
    "<FIN,PSH,ACK> seq=rcv.nxt ack=snd.nxt data=100",
    "CLOSE-WAIT",
    ["<ACK> seq=snd.nxt ack=rcv.nxt+101"],
    "established, deliver 100, peer closed, cancel retransmit",
    ["RFC9293-3.10.7.4:ACK-of-SYN", "RFC9293-3.10.7.4:FIN"],
  ],

  // Calls: SEND and CLOSE wait for ESTABLISHED
  [["OPEN active", "OPEN passive"], "SYN-RECEIVED", [], "refused EISCONN", "RFC9293-3.10.1:connection-exists"],
  ["SEND 100", "SYN-RECEIVED", [], "", ""],
  [["RECEIVE 100", "RECEIVE 100, unread"], "SYN-RECEIVED", [], "refused EINVAL", "RFC9293-3.10.3:nothing-delivered"],
  [["CLOSE", "RELEASE", "RELEASE, unread"], "SYN-RECEIVED", [], "", ""],
  ["ABORT", "CLOSED", ["<RST> seq=snd.nxt"], "closed ConnectionAborted, cancel retransmit", "RFC9293-3.10.5:ABORT"],
  ["STATUS", "SYN-RECEIVED", [], "", ""],

  // Timeouts
  [
    "retransmit timeout",
    "SYN-RECEIVED",
    ["<SYN,ACK> seq=iss ack=irs+1"],
    "arm retransmit 2s",
    "RFC6298-5.4:retransmit",
  ],
  ["user timeout", "CLOSED", [], "closed ConnectionTimedOut, cancel retransmit", "RFC9293-3.10.8:USER-TIMEOUT"],
  [["persist timeout", "delayedAck timeout", "linger timeout", "keepalive timeout"], "SYN-RECEIVED", [], "", ""],
])
