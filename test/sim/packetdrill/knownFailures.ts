/**
 * Scripts that say what an RFC or Linux says, and that the stack does not do yet. A script that
 * begins to pass must leave the list: the test insists.
 */
export const knownFailures: ReadonlySet<string> = new Set([
  "rfc1122/4.2.2.13-data-after-close.pkt",
  "rfc6298/5.3-restart-on-ack.pkt",
  "rfc9293/3.10.7.3-syn-sent-syn-then-rst.pkt",
  "rfc9293/3.10.7.3-syn-sent-syn-then-syn-ack.pkt",
  "rfc9293/3.10.7.4-close-wait-rst-at-right-edge.pkt",
  "rfc9293/3.10.7.4-close-wait-rst-on-fin.pkt",
  "rfc9293/3.10.7.4-closing-rst-at-right-edge.pkt",
  "rfc9293/3.10.7.4-closing-rst-on-fin.pkt",
  "rfc9293/3.10.7.4-established-rst-at-right-edge.pkt",
  "rfc9293/3.10.7.4-fin-wait-1-rst-at-right-edge.pkt",
  "rfc9293/3.10.7.4-fin-wait-1-text.pkt",
  "rfc9293/3.10.7.4-fin-wait-2-rst-at-right-edge.pkt",
  "rfc9293/3.10.7.4-fin-wait-2-text.pkt",
  "rfc9293/3.10.7.4-last-ack-rst-at-right-edge.pkt",
  "rfc9293/3.10.7.4-last-ack-rst-on-fin.pkt",
  "rfc9293/3.10.7.4-time-wait-rst-elsewhere.pkt",
  "rfc9293/3.5-active-open.pkt",
  "rfc9293/3.6-half-close.pkt",
])
