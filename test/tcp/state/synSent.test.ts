import { matrix } from "../support/matrix.ts"
import { SYN_SENT_SCENES } from "../support/scenes.ts"

/**
 * RFC 9293 section 3.10.7.3. SND.UNA is ISS, SND.NXT is ISS+1.
 */
matrix("SYN-SENT", SYN_SENT_SCENES, [
  // First: an ACK that is not for our SYN. SEG.ACK =< ISS or SEG.ACK > SND.NXT: a reset, unless it is one
  [
    [
      "<SYN,ACK> seq=irs ack=iss",
      "<SYN,ACK> seq=irs ack=iss+2",
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
      "<ACK> seq=rcv.nxt-100 ack=snd.una data=100",
      "<ACK> seq=rcv.nxt+100 ack=snd.una data=100",
      "<ACK> seq=rcv.edge-50 ack=snd.una data=100",
      "<ACK> seq=rcv.edge ack=snd.una data=100",
      "<ACK> seq=rcv.nxt ack=snd.una data=rcv.wnd+100",
      "<ACK> seq=rcv.nxt ack=snd.nxt+1 data=100",
      "<ACK> seq=rcv.nxt ack=snd.una data=100 tsval=ts.recent-1",
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
      "<FIN,ACK> seq=rcv.edge ack=snd.una",
      "<FIN,ACK> seq=rcv.nxt ack=snd.nxt+1",
      "<FIN,ACK> seq=rcv.nxt ack=snd.una tsval=ts.recent+5",
    ],
    "SYN-SENT",
    ["<RST> seq=seg.ack"],
    "",
    "RFC9293-3.10.7.3:unacceptable-ACK",
  ],
  ["<RST,ACK> seq=rcv.nxt ack=snd.nxt+1", "SYN-SENT", [], "", "RFC9293-3.10.7.3:RST-with-unacceptable-ACK"],

  // Second: a RST, believed with an acceptable ACK
  [
    ["<RST,ACK> seq=rcv.nxt ack=snd.nxt", "<RST,ACK> seq=0 ack=iss+1"],
    "CLOSED",
    [],
    "closed ConnectionRefused, cancel retransmit",
    "RFC9293-3.10.7.3:RST-answers-SYN",
  ],
  [
    [
      "<RST> seq=rcv.nxt",
      "<RST> seq=rcv.nxt+1",
      "<RST> seq=rcv.edge-1",
      "<RST> seq=rcv.nxt-1",
      "<RST> seq=rcv.edge",
      "<RST> seq=rcv.nxt tsval=ts.recent-1",
    ],
    "SYN-SENT",
    [],
    "",
    "RFC9293-3.10.7.3:RST-without-ACK",
  ],

  // Fourth: a SYN that acknowledges ours, with text and FIN processed from the sixth step on
  [
    "<SYN,ACK> seq=irs ack=iss+1",
    "ESTABLISHED",
    ["<ACK> seq=iss+1 ack=irs+1"],
    "established, cancel retransmit",
    "RFC9293-3.10.7.3:SYN-acknowledged",
  ],
  [
    "<SYN,ACK> seq=rcv.nxt ack=snd.nxt",
    "ESTABLISHED",
    ["<ACK> seq=iss+1 ack=seg.seq+1 wnd=rcv.wnd"],
    "established, cancel retransmit",
    "RFC9293-3.10.7.3:SYN-acknowledged",
  ],
  [
    "<SYN,ACK> seq=irs ack=iss+1 data=100",
    "ESTABLISHED",
    ["<ACK> seq=iss+1 ack=irs+1"],
    "established, deliver 100, cancel retransmit, arm delayedAck 40ms",
    "RFC9293-3.10.7.3:SYN-acknowledged",
  ],
  [
    "<SYN,FIN,ACK> seq=irs ack=iss+1",
    "CLOSE-WAIT",
    ["<ACK> seq=iss+1 ack=irs+1", "<ACK> seq=iss+1 ack=irs+2"],
    "established, peer closed, cancel retransmit",
    ["RFC9293-3.10.7.3:SYN-acknowledged", "RFC9293-3.10.7.4:FIN"],
  ],

  // ... and a SYN alone, at whatever sequence number: both are under way (figure 7). Its text and FIN are left to be sent again
  [
    [
      "<SYN> seq=irs",
      "<SYN> seq=irs data=100",
      "<SYN,FIN> seq=irs",
      "<SYN> seq=rcv.nxt",
      "<SYN> seq=rcv.nxt+10",
      "<SYN> seq=rcv.edge+10",
      "<SYN> seq=rcv.nxt+10 tsval=ts.recent-1",
    ],
    "SYN-RECEIVED",
    ["<SYN,ACK> seq=iss ack=seg.seq+1 ecr=seg.tsval"],
    "arm retransmit 1s",
    "RFC9293-3.10.7.3:simultaneous-open",
  ],

  // Fifth: neither SYN nor RST
  [
    [
      "<ACK> seq=rcv.nxt ack=snd.nxt",
      "<ACK> seq=rcv.nxt-1 ack=snd.nxt",
      "<ACK> seq=rcv.edge-1 ack=snd.nxt",
      "<ACK> seq=rcv.edge ack=snd.nxt",
      "<ACK> seq=rcv.edge+1 ack=snd.nxt",
      "<ACK> seq=rcv.nxt ack=snd.nxt wnd=0",
      "<ACK> seq=rcv.nxt ack=snd.nxt ts=none",
      "<ACK> seq=rcv.nxt ack=snd.nxt tsval=ts.recent-1",
      "<PSH,ACK> seq=rcv.nxt ack=snd.nxt data=100",
      "<FIN,ACK> seq=rcv.nxt ack=snd.nxt",
      "<FIN,PSH,ACK> seq=rcv.nxt ack=snd.nxt data=100",
      "<FIN,ACK> seq=rcv.nxt-1 ack=snd.nxt",
      "<> seq=rcv.nxt",
      "<PSH> seq=rcv.nxt data=100",
      "<FIN> seq=rcv.nxt",
    ],
    "SYN-SENT",
    [],
    "",
    "RFC9293-3.10.7.3:neither-SYN-nor-RST",
  ],

  // Calls: SEND queues, CLOSE and ABORT delete the block
  [["OPEN active", "OPEN passive"], "SYN-SENT", [], "refused EISCONN", "RFC9293-3.10.1:connection-exists"],
  ["SEND 100", "SYN-SENT", [], "", ""],
  [["RECEIVE 100", "RECEIVE 100, unread"], "SYN-SENT", [], "refused EINVAL", "RFC9293-3.10.3:nothing-delivered"],
  [
    ["CLOSE", "RELEASE", "RELEASE, unread"],
    "CLOSED",
    [],
    "closed ConnectionAborted, cancel retransmit",
    "RFC9293-3.10.4:CLOSE-in-SYN-SENT",
  ],
  ["ABORT", "CLOSED", [], "closed ConnectionAborted, cancel retransmit", "RFC9293-3.10.5:ABORT"],
  ["STATUS", "SYN-SENT", [], "", ""],

  // Timeouts
  ["retransmit timeout", "SYN-SENT", ["<SYN> seq=iss"], "arm retransmit 2s", "RFC6298-5.4:retransmit"],
  ["user timeout", "CLOSED", [], "closed ConnectionTimedOut, cancel retransmit", "RFC9293-3.10.8:USER-TIMEOUT"],
  [["persist timeout", "delayedAck timeout", "linger timeout", "keepalive timeout"], "SYN-SENT", [], "", ""],
])
