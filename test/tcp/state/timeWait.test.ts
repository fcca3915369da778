import { matrix } from "../support/matrix.ts"
import { TIME_WAIT_SCENES } from "../support/scenes.ts"

/** The answer to what is not acceptable, and to every challenge: <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>. */
const ACK = "<ACK> seq=snd.nxt ack=rcv.nxt"

/**
 * RFC 9293 section 3.10.7.4. Both FINs are acknowledged: the peer's is RCV.NXT-1, ours SND.NXT-1.
 * SND.UNA is SND.NXT. The `linger` timer is the 2 MSL one.
 */
matrix("TIME-WAIT", TIME_WAIT_SCENES, [
  // Timestamps first: PAWS (RFC 7323 section 5.3). What cannot be newer than the FIN starts 2 MSL again
  [
    ["<SYN> seq=rcv.nxt+10 tsval=ts.recent-1", "<ACK> seq=rcv.nxt ack=snd.nxt tsval=ts.recent-1"],
    "TIME-WAIT",
    [ACK],
    "",
    "RFC7323-5.3:PAWS",
  ],
  [
    "<ACK> seq=rcv.nxt ack=snd.una data=100 tsval=ts.recent-1",
    "TIME-WAIT",
    [ACK],
    "arm linger 60s",
    "RFC7323-5.3:PAWS",
  ],

  // First: not acceptable
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
      "<ACK> seq=rcv.nxt-1 ack=snd.nxt",
      "<ACK> seq=rcv.edge ack=snd.nxt",
      "<ACK> seq=rcv.edge+1 ack=snd.nxt",
      "<ACK> seq=rcv.edge ack=snd.una data=100",
      "<FIN,ACK> seq=rcv.edge ack=snd.una",
    ],
    "TIME-WAIT",
    [ACK],
    "",
    "RFC9293-3.10.7.4:unacceptable",
  ],

  // ... among it the peer's FIN again, and text before it: 2 MSL start again
  [
    ["<FIN,ACK> seq=rcv.nxt-1 ack=snd.nxt", "<ACK> seq=rcv.nxt-100 ack=snd.una data=100"],
    "TIME-WAIT",
    [ACK],
    "arm linger 60s",
    "RFC9293-3.10.7.4:unacceptable",
  ],

  // Second: RST. RFC 1337 is off, as in Linux
  [
    [
      "<RST> seq=rcv.nxt",
      "<RST> seq=rcv.nxt tsval=ts.recent-1",
      "<RST,ACK> seq=rcv.nxt ack=snd.nxt",
      "<RST,ACK> seq=rcv.nxt ack=snd.nxt+1",
    ],
    "CLOSED",
    [],
    "cancel linger",
    "RFC9293-3.10.7.4:RST-in-TIME-WAIT",
  ],
  [["<RST> seq=rcv.nxt+1", "<RST> seq=rcv.edge-1"], "TIME-WAIT", [ACK], "", "RFC5961-3.2:RST-not-at-RCV.NXT"],
  [
    ["<RST> seq=rcv.nxt-1", "<RST> seq=rcv.edge", "<RST,ACK> seq=0 ack=iss+1"],
    "TIME-WAIT",
    [],
    "",
    "RFC9293-3.10.7.4:RST-outside-window",
  ],

  // Fourth: SYN. One that may open the endpoints anew never comes here: the host gives it to the listener
  [
    ["<SYN> seq=rcv.nxt", "<SYN> seq=rcv.nxt+10", "<SYN,ACK> seq=rcv.nxt ack=snd.nxt"],
    "TIME-WAIT",
    [ACK],
    "",
    "RFC5961-4.2:SYN-in-window",
  ],

  // Fifth: no ACK; bare ACKs have nothing left to say
  [
    ["<> seq=rcv.nxt", "<PSH> seq=rcv.nxt data=100", "<FIN> seq=rcv.nxt"],
    "TIME-WAIT",
    [],
    "",
    "RFC9293-3.10.7.4:no-ACK",
  ],
  [
    [
      "<ACK> seq=rcv.nxt ack=snd.nxt",
      "<ACK> seq=rcv.nxt ack=snd.nxt-1",
      "<ACK> seq=rcv.nxt ack=snd.una+500",
      "<ACK> seq=rcv.nxt ack=snd.una",
      "<ACK> seq=rcv.nxt ack=snd.una-1",
      "<ACK> seq=rcv.nxt ack=snd.una-max.wnd",
      "<ACK> seq=rcv.nxt ack=snd.una-max.wnd-1",
      "<ACK> seq=rcv.nxt ack=snd.nxt+1",
      "<ACK> seq=rcv.edge-1 ack=snd.nxt",
      "<ACK> seq=rcv.nxt ack=snd.una wnd=20000",
      "<ACK> seq=rcv.nxt ack=snd.una wnd=0",
      "<ACK> seq=rcv.nxt ack=snd.nxt wnd=0",
      "<ACK> seq=rcv.nxt ack=snd.nxt ts=none",
      "<URG,ACK> seq=rcv.nxt ack=snd.una up=50",
    ],
    "TIME-WAIT",
    [],
    "",
    "RFC9293-3.10.7.4:ACK-in-TIME-WAIT",
  ],

  // ... what occupies sequence numbers is acknowledged, and 2 MSL start again
  [
    [
      "<ACK> seq=rcv.nxt ack=snd.una data=100",
      "<PSH,ACK> seq=rcv.nxt ack=snd.una data=100",
      "<PSH,ACK> seq=rcv.nxt ack=snd.nxt data=100",
      "<ACK> seq=rcv.nxt-50 ack=snd.una data=100",
      "<ACK> seq=rcv.nxt ack=snd.una data=rcv.wnd+100",
      "<ACK> seq=rcv.nxt ack=snd.nxt+1 data=100",
      "<ACK> seq=rcv.nxt ack=snd.una data=100 ts=none",
      "<URG,ACK> seq=rcv.nxt ack=snd.una up=50 data=100",
      "<FIN,ACK> seq=rcv.nxt ack=snd.una",
      "<FIN,ACK> seq=rcv.nxt ack=snd.nxt",
      "<FIN,ACK> seq=rcv.nxt ack=snd.una data=100",
      "<FIN,PSH,ACK> seq=rcv.nxt ack=snd.nxt data=100",
      "<FIN,ACK> seq=rcv.nxt-50 ack=snd.una data=100",
      "<FIN,ACK> seq=rcv.nxt ack=snd.una data=rcv.wnd",
      "<FIN,ACK> seq=rcv.nxt ack=snd.nxt+1",
    ],
    "TIME-WAIT",
    [ACK],
    "arm linger 60s",
    "RFC9293-3.10.7.4:text-in-TIME-WAIT",
  ],

  // ... its timestamp is the latest (RFC 7323 section 4.3, step 2)
  [
    ["<ACK> seq=rcv.nxt ack=snd.una data=100 tsval=ts.recent+5", "<FIN,ACK> seq=rcv.nxt ack=snd.una tsval=ts.recent+5"],
    "TIME-WAIT",
    ["<ACK> seq=snd.nxt ack=rcv.nxt ecr=seg.tsval"],
    "arm linger 60s",
    "RFC9293-3.10.7.4:text-in-TIME-WAIT",
  ],

  // ... unless it lies ahead, where nothing of the peer's can be
  [
    [
      "<ACK> seq=rcv.nxt+100 ack=snd.una data=100",
      "<ACK> seq=rcv.nxt+100 ack=snd.una data=100 tsval=ts.recent+5",
      "<ACK> seq=rcv.edge-50 ack=snd.una data=100",
      "<FIN,ACK> seq=rcv.nxt+100 ack=snd.una",
      "<FIN,ACK> seq=rcv.nxt+100 ack=snd.una data=100",
    ],
    "TIME-WAIT",
    [ACK],
    "",
    "RFC9293-3.10.7.4:text-in-TIME-WAIT",
  ],

  // Calls: the application was told that the connection is done
  [["OPEN active", "OPEN passive"], "TIME-WAIT", [], "refused EISCONN", "RFC9293-3.10.1:connection-exists"],
  ["SEND 100", "TIME-WAIT", [], "refused EPIPE", "RFC9293-3.10.2:connection-closing"],
  [["RECEIVE 100", "RECEIVE 100, unread"], "TIME-WAIT", [], "refused ESHUTDOWN", "RFC9293-3.10.3:connection-closing"],
  ["CLOSE", "TIME-WAIT", [], "refused EPIPE", "RFC9293-3.10.4:connection-closing"],
  [["RELEASE", "RELEASE, unread"], "TIME-WAIT", [], "", ""],
  ["ABORT", "CLOSED", [], "cancel linger", ""],
  ["STATUS", "TIME-WAIT", [], "", ""],

  // Timeouts
  ["linger timeout", "CLOSED", [], "", "RFC9293-3.10.8:TIME-WAIT-timeout"],
  [
    ["retransmit timeout", "persist timeout", "delayedAck timeout", "user timeout", "keepalive timeout"],
    "TIME-WAIT",
    [],
    "",
    "",
  ],
])
