import { describe, expect, test } from "bun:test"
import type { Transmit } from "../../src/tcp/effect.ts"
import { ISS_A, ISS_B, pair } from "./support/pair.ts"

/** Two blocks, every segment carried by hand, as RFC 9293 draws them. */
const sent = (segments: ReadonlyArray<Transmit>): ReadonlyArray<string> =>
  segments.map((s) => {
    const names = [
      [0x02, "SYN"],
      [0x01, "FIN"],
      [0x04, "RST"],
      [0x10, "ACK"],
    ] as const
    const flags = names.filter(([bit]) => (s.flags & bit) !== 0).map(([, name]) => name)
    return `<SEQ=${s.seq}>${(s.flags & 0x10) !== 0 ? `<ACK=${s.ack}>` : ""}<CTL=${flags.join(",")}>${s.length > 0 ? `<DATA=${s.length}>` : ""}`
  })

describe("opening", () => {
  test("three-way handshake (figure 6), then data", () => {
    const { a, b } = pair()
    b.call("OPEN passive")
    const syn = a.call("OPEN active")
    expect(sent(syn)).toEqual([`<SEQ=${ISS_A}><CTL=SYN>`])
    const synAck = b.take(syn)
    expect([b.state, sent(synAck)]).toEqual(["SYN-RECEIVED", [`<SEQ=${ISS_B}><ACK=${ISS_A + 1}><CTL=SYN,ACK>`]])
    const ack = a.take(synAck)
    expect([a.state, sent(ack)]).toEqual(["ESTABLISHED", [`<SEQ=${ISS_A + 1}><ACK=${ISS_B + 1}><CTL=ACK>`]])
    expect([sent(b.take(ack)), b.state]).toEqual([[], "ESTABLISHED"])
    const data = a.call("SEND 50")
    expect(sent(data)).toEqual([`<SEQ=${ISS_A + 1}><ACK=${ISS_B + 1}><CTL=ACK><DATA=50>`])
    b.take(data)
    expect(b.delivered).toBe(50)
  })

  test("simultaneous (figure 7): SYNs cross, SYN,ACKs cross, both are established and agree", () => {
    const { a, b } = pair()
    const fromA = a.call("OPEN active")
    const fromB = b.call("OPEN active")
    const answerA = a.take(fromB)
    const answerB = b.take(fromA)
    expect([a.state, b.state]).toEqual(["SYN-RECEIVED", "SYN-RECEIVED"])
    expect(sent(answerA)).toEqual([`<SEQ=${ISS_A}><ACK=${ISS_B + 1}><CTL=SYN,ACK>`])
    expect(sent(answerB)).toEqual([`<SEQ=${ISS_B}><ACK=${ISS_A + 1}><CTL=SYN,ACK>`])
    const lastA = a.take(answerB)
    const lastB = b.take(answerA)
    expect([a.state, b.state]).toEqual(["ESTABLISHED", "ESTABLISHED"])
    // Whatever they still say is heard in peace.
    expect([a.take(lastB), b.take(lastA)]).toEqual([[], []])
    b.take(a.call("SEND 10"))
    a.take(b.call("SEND 20"))
    expect([a.delivered, b.delivered]).toEqual([20, 10])
  })

  test("simultaneous, one SYN,ACK is lost: the other end is established by a retransmission", () => {
    const { a, b } = pair()
    const fromA = a.call("OPEN active")
    const fromB = b.call("OPEN active")
    const answerA = a.take(fromB)
    b.take(fromA) // B's SYN,ACK is lost.
    b.take(answerA)
    expect([a.state, b.state]).toEqual(["SYN-RECEIVED", "ESTABLISHED"])
    const again = a.timeout("retransmit")
    expect(sent(again)).toEqual([`<SEQ=${ISS_A}><ACK=${ISS_B + 1}><CTL=SYN,ACK>`])
    a.take(b.take(again))
    expect([a.state, b.state]).toEqual(["ESTABLISHED", "ESTABLISHED"])
  })

  test("an old SYN comes first (figure 8): its SYN,ACK is reset, the new one opens", () => {
    const { a, b } = pair()
    b.call("OPEN passive")
    const syn = a.call("OPEN active")
    const [one] = syn
    if (one === undefined) throw new Error("no SYN")
    const old = { ...one, seq: ISS_A - 10 }
    const wrong = b.take([old])
    const reset = a.take(wrong)
    expect([a.state, sent(reset)]).toEqual(["SYN-SENT", [`<SEQ=${ISS_A - 9}><CTL=RST>`]])
    b.take(reset)
    expect(b.state).toBe("CLOSED")
    b.call("OPEN passive")
    b.take(a.take(b.take(syn)))
    expect([a.state, b.state]).toEqual(["ESTABLISHED", "ESTABLISHED"])
  })

  test("one end has forgotten the connection (figure 9): challenged, it resets the other, and opens anew", () => {
    const { a, b } = pair().open()
    a.forget(ISS_A + 300)
    const syn = a.call("OPEN active")
    const challenge = b.take(syn)
    expect([b.state, sent(challenge)]).toEqual(["ESTABLISHED", [`<SEQ=${ISS_B + 1}><ACK=${ISS_A + 1}><CTL=ACK>`]])
    const reset = a.take(challenge)
    expect([a.state, sent(reset)]).toEqual(["SYN-SENT", [`<SEQ=${ISS_A + 1}><CTL=RST>`]])
    b.take(reset)
    expect([b.state, b.closed]).toEqual(["CLOSED", "ConnectionReset"])
    b.call("OPEN passive")
    b.take(a.take(b.take(a.timeout("retransmit"))))
    expect([a.state, b.state]).toEqual(["ESTABLISHED", "ESTABLISHED"])
  })

  test("data meets an end that has forgotten (figure 10): RST ends the other", () => {
    const { a, b } = pair().open()
    a.forget(ISS_A + 300)
    const reset = a.take(b.call("SEND 10"))
    expect(sent(reset)).toEqual([`<SEQ=${ISS_A + 1}><CTL=RST>`])
    b.take(reset)
    expect([b.state, b.closed]).toEqual(["CLOSED", "ConnectionReset"])
  })

  test("nobody listens: refused", () => {
    const { a, b } = pair()
    a.take(b.take(a.call("OPEN active")))
    expect([a.state, a.closed]).toEqual(["CLOSED", "ConnectionRefused"])
  })
})

test("an old SYN comes to two listeners (figure 11): the reset ends it, both listen on", () => {
  const { a, b } = pair()
  const syn = a.call("OPEN active")
  a.forget(ISS_A + 300)
  a.call("OPEN passive")
  b.call("OPEN passive")
  const reset = a.take(b.take(syn))
  expect([a.state, sent(reset)]).toEqual(["LISTEN", [`<SEQ=${ISS_A + 1}><CTL=RST>`]])
  expect([b.take(reset), b.state]).toEqual([[], "CLOSED"])
})

describe("closing", () => {
  test("one after the other (figure 12): TIME-WAIT for who closed first", () => {
    const { a, b } = pair().open()
    const fin = a.call("CLOSE")
    expect([a.state, sent(fin)]).toEqual(["FIN-WAIT-1", [`<SEQ=${ISS_A + 1}><ACK=${ISS_B + 1}><CTL=FIN,ACK>`]])
    const ack = b.take(fin)
    expect([b.state, b.peerClosed, sent(ack)]).toEqual([
      "CLOSE-WAIT",
      true,
      [`<SEQ=${ISS_B + 1}><ACK=${ISS_A + 2}><CTL=ACK>`],
    ])
    expect([a.take(ack), a.state]).toEqual([[], "FIN-WAIT-2"])
    const other = b.call("CLOSE")
    expect([b.state, sent(other)]).toEqual(["LAST-ACK", [`<SEQ=${ISS_B + 1}><ACK=${ISS_A + 2}><CTL=FIN,ACK>`]])
    const last = a.take(other)
    expect([a.state, a.closed, sent(last)]).toEqual([
      "TIME-WAIT",
      "done",
      [`<SEQ=${ISS_A + 2}><ACK=${ISS_B + 2}><CTL=ACK>`],
    ])
    expect([b.take(last), b.state, b.closed]).toEqual([[], "CLOSED", "done"])
    a.timeout("linger")
    expect(a.state).toBe("CLOSED")
  })

  test("at once (figure 13): FINs cross, both CLOSING, both TIME-WAIT", () => {
    const { a, b } = pair().open()
    const finA = a.call("CLOSE")
    const finB = b.call("CLOSE")
    const ackA = a.take(finB)
    const ackB = b.take(finA)
    expect([a.state, b.state]).toEqual(["CLOSING", "CLOSING"])
    expect(sent(ackA)).toEqual([`<SEQ=${ISS_A + 2}><ACK=${ISS_B + 2}><CTL=ACK>`])
    expect(sent(ackB)).toEqual([`<SEQ=${ISS_B + 2}><ACK=${ISS_A + 2}><CTL=ACK>`])
    expect([a.take(ackB), b.take(ackA)]).toEqual([[], []])
    expect([a.state, b.state, a.closed, b.closed]).toEqual(["TIME-WAIT", "TIME-WAIT", "done", "done"])
  })

  test("at once, both ACKs are lost: the FINs again, and both get there", () => {
    const { a, b } = pair().open()
    const finA = a.call("CLOSE")
    const finB = b.call("CLOSE")
    a.take(finB)
    b.take(finA)
    const again = a.timeout("retransmit")
    expect(sent(again)).toEqual([`<SEQ=${ISS_A + 1}><ACK=${ISS_B + 2}><CTL=FIN,ACK>`])
    a.take(b.take(again))
    expect(a.state).toBe("TIME-WAIT")
    b.take(a.take(b.timeout("retransmit")))
    expect(b.state).toBe("TIME-WAIT")
  })

  test("the last ACK is lost: the FIN again, answered from TIME-WAIT", () => {
    const { a, b } = pair().open()
    a.take(b.take(a.call("CLOSE")))
    a.take(b.call("CLOSE"))
    const again = b.timeout("retransmit")
    b.take(a.take(again))
    expect([a.state, b.state, b.closed]).toEqual(["TIME-WAIT", "CLOSED", "done"])
  })

  test("half-closed: data flows the other way until its FIN", () => {
    const { a, b } = pair().open()
    a.take(b.take(a.call("CLOSE")))
    expect([a.state, b.state]).toEqual(["FIN-WAIT-2", "CLOSE-WAIT"])
    for (let i = 0; i < 3; i++) b.take(a.take(b.call("SEND 2000")))
    expect(a.delivered).toBe(6000)
    b.take(a.take(b.call("CLOSE")))
    expect([a.state, b.state, a.peerClosed]).toEqual(["TIME-WAIT", "CLOSED", true])
  })

  test("abort: the other end is reset", () => {
    const { a, b } = pair().open()
    b.take(a.call("ABORT"))
    expect([a.state, b.state, a.closed, b.closed]).toEqual(["CLOSED", "CLOSED", "ConnectionAborted", "ConnectionReset"])
  })

  test("abort with data under way that is lost: the reset is challenged and comes again at the right place", () => {
    const { a, b } = pair().open()
    a.call("SEND 100") // Lost.
    const challenge = b.take(a.call("ABORT"))
    expect(b.state).toBe("ESTABLISHED")
    b.take(a.take(challenge))
    expect([b.state, b.closed]).toEqual(["CLOSED", "ConnectionReset"])
  })
})
