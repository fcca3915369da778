/**
 * Everything that is tried in every state. Variables are RFC 9293's; `rcv.edge` is RCV.NXT+RCV.WND,
 * `max.wnd` RFC 5961's MAX.SND.WND, `ts.recent` RFC 7323's. Where a state has no such variable yet
 * (CLOSED, LISTEN, SYN-SENT) it is what it would become with the peer whose ISS is `irs`.
 */
export const STIMULI = [
  // Handshake
  "<SYN> seq=irs",
  "<SYN> seq=irs data=100",
  "<SYN,FIN> seq=irs",
  "<SYN> seq=rcv.nxt",
  "<SYN> seq=rcv.nxt+10",
  "<SYN> seq=rcv.edge+10",
  "<SYN> seq=rcv.nxt+10 tsval=ts.recent-1",
  "<SYN,ACK> seq=irs ack=iss+1",
  "<SYN,ACK> seq=irs ack=iss",
  "<SYN,ACK> seq=irs ack=iss+2",
  "<SYN,ACK> seq=irs ack=iss+1 data=100",
  "<SYN,FIN,ACK> seq=irs ack=iss+1",
  "<SYN,ACK> seq=rcv.nxt ack=snd.nxt",

  // Resets: at RCV.NXT, in the window, at its last octet, left and right of it, with an old timestamp, with ACKs
  "<RST> seq=rcv.nxt",
  "<RST> seq=rcv.nxt+1",
  "<RST> seq=rcv.edge-1",
  "<RST> seq=rcv.nxt-1",
  "<RST> seq=rcv.edge",
  "<RST> seq=rcv.nxt tsval=ts.recent-1",
  "<RST,ACK> seq=rcv.nxt ack=snd.nxt",
  "<RST,ACK> seq=rcv.nxt ack=snd.nxt+1",
  "<RST,ACK> seq=0 ack=iss+1",

  // Bare ACKs: of everything, of all but the last octet (or but our FIN), of a part, of nothing new, old, too old, of the unsent
  "<ACK> seq=rcv.nxt ack=snd.nxt",
  "<ACK> seq=rcv.nxt ack=snd.nxt-1",
  "<ACK> seq=rcv.nxt ack=snd.una+500",
  "<ACK> seq=rcv.nxt ack=snd.una",
  "<ACK> seq=rcv.nxt ack=snd.una-1",
  "<ACK> seq=rcv.nxt ack=snd.una-max.wnd",
  "<ACK> seq=rcv.nxt ack=snd.una-max.wnd-1",
  "<ACK> seq=rcv.nxt ack=snd.nxt+1",
  // ... left of the window, at its last octet, at its edge, right of it
  "<ACK> seq=rcv.nxt-1 ack=snd.nxt",
  "<ACK> seq=rcv.edge-1 ack=snd.nxt",
  "<ACK> seq=rcv.edge ack=snd.nxt",
  "<ACK> seq=rcv.edge+1 ack=snd.nxt",
  // ... with another window, without a timestamp, with an old one
  "<ACK> seq=rcv.nxt ack=snd.una wnd=20000",
  "<ACK> seq=rcv.nxt ack=snd.una wnd=0",
  "<ACK> seq=rcv.nxt ack=snd.nxt wnd=0",
  "<ACK> seq=rcv.nxt ack=snd.nxt ts=none",
  "<ACK> seq=rcv.nxt ack=snd.nxt tsval=ts.recent-1",

  // No ACK bit
  "<> seq=rcv.nxt",
  "<PSH> seq=rcv.nxt data=100",
  "<FIN> seq=rcv.nxt",

  // Text: in order, overlapping what we have, all of it old, ahead, straddling the right edge, beyond it, more than the window
  "<ACK> seq=rcv.nxt ack=snd.una data=100",
  "<PSH,ACK> seq=rcv.nxt ack=snd.una data=100",
  "<PSH,ACK> seq=rcv.nxt ack=snd.nxt data=100",
  "<ACK> seq=rcv.nxt-50 ack=snd.una data=100",
  "<ACK> seq=rcv.nxt-100 ack=snd.una data=100",
  "<ACK> seq=rcv.nxt+100 ack=snd.una data=100",
  "<ACK> seq=rcv.edge-50 ack=snd.una data=100",
  "<ACK> seq=rcv.edge ack=snd.una data=100",
  "<ACK> seq=rcv.nxt ack=snd.una data=rcv.wnd+100",
  // ... acknowledging the unsent, timestamps of every kind, urgent
  "<ACK> seq=rcv.nxt ack=snd.nxt+1 data=100",
  "<ACK> seq=rcv.nxt ack=snd.una data=100 tsval=ts.recent-1",
  "<ACK> seq=rcv.nxt ack=snd.una data=100 tsval=ts.recent+5",
  "<ACK> seq=rcv.nxt+100 ack=snd.una data=100 tsval=ts.recent+5",
  "<ACK> seq=rcv.nxt ack=snd.una data=100 ts=none",
  "<URG,ACK> seq=rcv.nxt ack=snd.una up=50 data=100",
  "<URG,ACK> seq=rcv.nxt ack=snd.una up=50",

  // FIN: in order, with and without text, with and without an ACK of all that is ours, ahead, again, at and beyond the edge
  "<FIN,ACK> seq=rcv.nxt ack=snd.una",
  "<FIN,ACK> seq=rcv.nxt ack=snd.nxt",
  "<FIN,ACK> seq=rcv.nxt ack=snd.una data=100",
  "<FIN,PSH,ACK> seq=rcv.nxt ack=snd.nxt data=100",
  "<FIN,ACK> seq=rcv.nxt-50 ack=snd.una data=100",
  "<FIN,ACK> seq=rcv.nxt+100 ack=snd.una",
  "<FIN,ACK> seq=rcv.nxt+100 ack=snd.una data=100",
  "<FIN,ACK> seq=rcv.nxt-1 ack=snd.nxt",
  "<FIN,ACK> seq=rcv.nxt ack=snd.una data=rcv.wnd",
  "<FIN,ACK> seq=rcv.edge ack=snd.una",
  "<FIN,ACK> seq=rcv.nxt ack=snd.nxt+1",
  "<FIN,ACK> seq=rcv.nxt ack=snd.una tsval=ts.recent+5",

  // User calls; `unread`: 100 octets have been delivered and not consumed
  "OPEN active",
  "OPEN passive",
  "SEND 100",
  "RECEIVE 100",
  "RECEIVE 100, unread",
  "CLOSE",
  "RELEASE",
  "RELEASE, unread",
  "ABORT",
  "STATUS",

  // Timeouts: of the timer where the state can have it armed; otherwise of one that is not armed, which must do nothing
  "retransmit timeout",
  "persist timeout",
  "delayedAck timeout",
  "linger timeout",
  "user timeout",
  "keepalive timeout",
] as const

export type Stimulus = (typeof STIMULI)[number]
