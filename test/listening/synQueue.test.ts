import { describe, expect, test } from "bun:test"
import { freebsd } from "../../src/tcp/settings.ts"
import { ipv4 } from "../../src/wire/address.ts"
import { ACK, FIN, RST, SYN } from "../../src/wire/tcpSegment.ts"
import { HOST, Peer, packetOf, peerAddress, Scene, SECOND, type Segments } from "./scene.ts"

/** A listener, and a peer whose SYN has been answered. */
const halfOpen = (settings: ConstructorParameters<typeof Scene>[0] = {}) => {
  const scene = new Scene(settings)
  const listener = scene.listen({ backlog: 8 })
  const peer = new Peer(scene)
  peer.syn()
  scene.counted()
  return { scene, listener, peer }
}

describe("LISTEN", () => {
  // RFC 9293 section 3.10.7.2, in its order.
  const rows: ReadonlyArray<readonly [stimulus: string, fields: Segments, answer: string]> = [
    ["<RST>", { flags: RST }, "drop RFC9293-3.10.7.2:RST"],
    ["<RST,ACK>", { flags: RST | ACK }, "drop RFC9293-3.10.7.2:RST"],
    ["<ACK>", { flags: ACK, ack: 77 }, "<RST> RFC9293-3.10.7.2:ACK"],
    ["<SYN,ACK>", { flags: SYN | ACK, ack: 77 }, "<RST> RFC9293-3.10.7.2:ACK"],
    ["<FIN>", { flags: FIN }, "drop RFC9293-3.10.7.2:neither-SYN-nor-ACK"],
    ["no flags", { flags: 0 }, "drop RFC9293-3.10.7.2:neither-SYN-nor-ACK"],
    ["<SYN>", { flags: SYN }, "<SYN,ACK> RFC9293-3.10.7.2:SYN"],
    ["<SYN> with text", { flags: SYN, payload: new Uint8Array(5) }, "<SYN,ACK> RFC9293-3.10.7.2:SYN"],
    ["<SYN,FIN>", { flags: SYN | FIN }, "drop Linux:SYN-FIN"],
  ]
  test.each(rows)("%s", (_, fields, answer) => {
    const scene = new Scene()
    scene.listen()
    expect(scene.batch([new Peer(scene).packet(fields)])).toEqual([answer])
  })

  test("<SYN,FIN> to a FreeBSD profile is a SYN", () => {
    const scene = new Scene({ settings: { profile: freebsd } })
    scene.listen()
    expect(scene.batch([new Peer(scene).packet({ flags: SYN | FIN })])).toEqual(["<SYN,ACK> RFC9293-3.10.7.2:SYN"])
  })

  test("text of a SYN without Fast Open is not acknowledged, and arrives when it is sent again", () => {
    const scene = new Scene()
    const listener = scene.listen()
    const peer = new Peer(scene)
    peer.syn({ payload: new TextEncoder().encode("early") })
    expect(peer.synAck?.segment.ack).toBe(peer.iss + 1)
    peer.text("early")
    expect(scene.read(scene.accept(listener))).toBe("early")
  })

  for (const [what, address] of [
    ["the limited broadcast address", ipv4(0xffffffff)],
    ["the network's broadcast address", ipv4(0xc613ffff)],
    ["a multicast group", ipv4(0xe0000001)],
  ] as const) {
    test(`a SYN to ${what}: ignored`, () => {
      const scene = new Scene()
      scene.listen()
      const answers = scene.batch([new Peer(scene, { to: { address, port: 80 } }).synPacket()])
      expect(answers).toHaveLength(1)
      expect(answers[0]).toMatch(/^drop /)
      expect(scene.states()).toEqual([])
    })
  }

  for (const [what, address] of [
    ["a broadcast address", ipv4(0xc613ffff)],
    ["the limited broadcast address", ipv4(0xffffffff)],
    ["a multicast group", ipv4(0xe0000001)],
    ["0.0.0.0", ipv4(0)],
  ] as const) {
    test(`a SYN from ${what}: ignored`, () => {
      const scene = new Scene()
      scene.listen()
      const answers = scene.batch([new Peer(scene, { address }).synPacket()])
      expect(answers.filter((answer) => !answer.startsWith("drop "))).toEqual([])
      expect(scene.states()).toEqual([])
    })
  }
})

describe("a half-open request", () => {
  const NXT = 5001
  const rows: ReadonlyArray<
    readonly [
      stimulus: string,
      fields: (iss: number) => Segments,
      answers: ReadonlyArray<string>,
      after: "request" | "gone" | "open",
      counted: Readonly<Record<string, number>>,
    ]
  > = [
    [
      "its SYN again",
      () => ({ flags: SYN, seq: NXT - 1, options: { tsVal: 1000, tsEcr: 0 } }),
      ["<SYN,ACK> Linux:SYN-again"],
      "request",
      { RetransSegs: 1, TCPSynRetrans: 1 },
    ],
    [
      "its SYN, from before",
      () => ({ flags: SYN, seq: NXT - 1, options: { tsVal: 999, tsEcr: 0 } }),
      ["<ACK> RFC7323-5.3:PAWS"],
      "request",
      { PAWSEstab: 1 },
    ],
    ["<ACK> of our SYN", (iss) => ({ flags: ACK, seq: NXT, ack: iss + 1 }), [], "open", { PassiveOpens: 1 }],
    [
      "<ACK> of something not sent",
      (iss) => ({ flags: ACK, seq: NXT, ack: iss + 2 }),
      ["<RST> RFC9293-3.10.7.4:unacceptable-ACK"],
      "request",
      { OutRsts: 1 },
    ],
    [
      "<ACK> of less than our SYN",
      (iss) => ({ flags: ACK, seq: NXT, ack: iss }),
      ["<RST> RFC9293-3.10.7.4:unacceptable-ACK"],
      "request",
      { OutRsts: 1 },
    ],
    ["<RST> at RCV.NXT", () => ({ flags: RST, seq: NXT }), [], "gone", { AttemptFails: 1, EmbryonicRsts: 1 }],
    [
      "<RST> in the window, not at RCV.NXT",
      () => ({ flags: RST, seq: NXT + 10 }),
      ["<ACK> RFC5961-3.2:RST-not-at-RCV.NXT"],
      "request",
      {},
    ],
    [
      "<RST> outside the window",
      () => ({ flags: RST, seq: NXT - 2 }),
      ["drop RFC9293-3.10.7.4:RST-outside-window"],
      "request",
      {},
    ],
    [
      "<SYN> in the window",
      () => ({ flags: SYN, seq: NXT + 10 }),
      ["<RST,ACK> Linux:embryonic-reset"],
      "gone",
      { AttemptFails: 1, EmbryonicRsts: 1, OutRsts: 1 },
    ],
    [
      "<ACK> outside the window",
      (iss) => ({ flags: ACK, seq: NXT - 100, ack: iss + 1 }),
      ["<ACK> RFC9293-3.10.7.4:unacceptable"],
      "request",
      {},
    ],
    [
      "an old timestamp",
      (iss) => ({ flags: ACK, seq: NXT, ack: iss + 1, options: { tsVal: 999, tsEcr: 1 } }),
      ["<ACK> RFC7323-5.3:PAWS"],
      "request",
      { PAWSEstab: 1 },
    ],
    [
      "text without ACK",
      () => ({ flags: 0, seq: NXT, payload: new Uint8Array(3) }),
      ["drop RFC9293-3.10.7.4:no-ACK"],
      "request",
      {},
    ],
  ]
  test.each(rows)("%s", (_, fields, answers, after, counted) => {
    const { scene, listener, peer } = halfOpen()
    expect(scene.batch([peer.packet(fields(peer.synAck?.segment.seq ?? 0))])).toEqual([...answers])
    expect(scene.counted()).toEqual(counted)
    expect(scene.states()).toEqual(after === "gone" ? [] : [after === "open" ? "ESTABLISHED" : "SYN-RECEIVED"])
    const { requests, waiting } = scene.queues(listener)
    expect([requests, waiting]).toEqual(after === "request" ? [1, 0] : [0, after === "open" ? 1 : 0])
  })

  test("of a FreeBSD profile ends by a SYN in the window without a word, as RFC 9293 section 3.10.7.4 has it", () => {
    const { scene, peer } = halfOpen({ settings: { profile: freebsd } })
    expect(scene.batch([peer.packet({ flags: SYN, seq: NXT + 10 })])).toEqual([])
    expect(scene.states()).toEqual([])
    expect(scene.counted()).toEqual({ AttemptFails: 1, EmbryonicRsts: 1 })
  })

  test("a wrong ACK outside the window too is reset: the ACK is looked at first (the crossed-SYN defence)", () => {
    const { scene, peer } = halfOpen()
    const wrong = peer.packet({ flags: ACK, seq: NXT - 100, ack: (peer.synAck?.segment.seq ?? 0) + 5 })
    expect(scene.batch([wrong])).toEqual(["<RST> RFC9293-3.10.7.4:unacceptable-ACK"])
  })

  test("identical SYNs that a third party sent to two listeners end both requests", () => {
    // Each gets the other's SYN-ACK, which acknowledges what it never sent (see tcp_check_req's long comment).
    const one = new Scene({ secret: 1 })
    const other = new Scene({ secret: 2, host: peerAddress(1) })
    one.listen()
    other.listen()
    const here = { address: HOST, port: 80 }
    const there = { address: peerAddress(1), port: 80 }
    new Peer(one, { ...there, to: here, iss: 7, options: {} }).syn()
    const toOther = new Peer(other, { ...here, to: there, iss: 7, options: {} })
    other.put(toOther.synPacket())
    other.turn()
    other.took()
    const synAck = new Peer(one, { ...there, to: here, iss: 7, options: {} })
    one.now += SECOND
    synAck.syn()
    if (synAck.synAck === undefined) throw new Error("no SYN-ACK")
    expect(other.batch([packetOf(synAck.synAck)])).toEqual(["<RST> RFC9293-3.10.7.4:unacceptable-ACK"])
    const [reset] = other.took()
    if (reset === undefined) throw new Error("no reset")
    expect(one.batch([packetOf(reset)])).toEqual([])
    expect(one.states()).toEqual([])
  })

  test("repeated SYNs are answered once in 500 ms", () => {
    const { scene, peer } = halfOpen()
    const answers = Array.from({ length: 4 }, () => {
      const answer = peer.syn()
      scene.now += 200_000
      return answer[0]
    })
    expect(answers).toEqual([
      "<SYN,ACK> Linux:SYN-again",
      "drop Linux:SYN-again",
      "drop Linux:SYN-again",
      "<SYN,ACK> Linux:SYN-again",
    ])
    expect(scene.counted()).toEqual({ RetransSegs: 2, TCPSynRetrans: 2, TCPACKSkippedSynRecv: 2 })
  })

  test("a repeated SYN starts the SYN-ACK's time anew, and the handshake is not measured", () => {
    const { scene, listener, peer } = halfOpen()
    scene.now += 600_000
    peer.syn()
    expect(scene.wait(SECOND - 1)).toEqual([])
    expect(scene.wait(1)).toHaveLength(1)
    peer.third()
    const { tcb } = scene.status(scene.accept(listener))
    if (!("rto" in tcb)) throw new Error("not open")
    expect(tcb.rto.srtt).toBe(0)
  })

  test("out-of-window segments are answered once in 500 ms", () => {
    const { scene, peer } = halfOpen()
    const old = peer.packet({ flags: ACK, seq: NXT - 100, ack: (peer.synAck?.segment.seq ?? 0) + 1 })
    expect(scene.batch([old])).toEqual(["<ACK> RFC9293-3.10.7.4:unacceptable"])
    expect(scene.batch([old])).toEqual(["drop RFC9293-3.10.7.4:unacceptable"])
    expect(scene.counted()).toEqual({ TCPACKSkippedSynRecv: 1 })
  })
})

describe("SYN-ACKs", () => {
  test("leave after 1, 2, 4, 8 and 16 s, and the request ends 32 s later: 63 s in all", () => {
    const { scene, listener, peer } = halfOpen()
    const start = scene.now
    const said = scene.wait(62_999_999)
    expect(said.map(({ at, why }) => [at - start, why])).toEqual(
      [1, 3, 7, 15, 31].map((at) => [at * SECOND, "RFC6298-5.4:retransmit"]),
    )
    expect<unknown>([...new Set(said.map(({ segment }) => segment.seq))]).toEqual([peer.synAck?.segment.seq])
    expect(scene.queues(listener)).toEqual({ requests: 1, young: 0, waiting: 0 })
    expect(scene.counted()).toEqual({ RetransSegs: 5, TCPSynRetrans: 5, TCPTimeouts: 5 })
    expect(scene.wait(1)).toEqual([])
    expect(scene.queues(listener)).toEqual({ requests: 0, young: 0, waiting: 0 })
    expect(scene.states()).toEqual([])
    // Nobody is told: not the peer, not the application.
    expect(scene.counted()).toEqual({ TCPTimeouts: 1 })
    expect(scene.heard(listener)).toEqual([])
  })

  for (const [retries, seconds] of [
    [0, 1],
    [1, 3],
    [2, 7],
    // From here on the cap of 120 s counts.
    [8, 367],
  ] as const) {
    test(`tcpSynackRetries ${retries}: the request ends after ${seconds} s`, () => {
      const { scene } = halfOpen({ settings: { tcpSynackRetries: retries } })
      scene.wait(seconds * SECOND - 1)
      expect(scene.states()).toEqual(["SYN-RECEIVED"])
      scene.wait(1)
      expect(scene.states()).toEqual([])
    })
  }

  test("TCP_SYNCNT of the listener goes before tcpSynackRetries", () => {
    const scene = new Scene()
    scene.listen({ synCount: 2 })
    new Peer(scene).syn()
    expect(scene.wait(7 * SECOND - 1)).toHaveLength(2)
    expect(scene.states()).toEqual(["SYN-RECEIVED"])
    scene.wait(1)
    expect(scene.states()).toEqual([])
  })

  test("carry a fresh timestamp, the same ISS and options", () => {
    const { scene, peer } = halfOpen()
    const first = peer.synAck?.segment
    const [second] = scene.wait(SECOND)
    expect((second?.segment.options.tsVal ?? 0) - (first?.options.tsVal ?? 0)).toBe(1000)
    expect<unknown>({ ...second?.segment.options, tsVal: 0 }).toEqual({ ...first?.options, tsVal: 0 })
  })

  test("of old requests end early when these fill more than half of the queue", () => {
    // 6 requests, backlog 8: 12 > 8, and none of them young: two SYN-ACKs instead of five.
    const scene = new Scene()
    const listener = scene.listen({ backlog: 8 })
    for (let n = 1; n <= 6; n++) new Peer(scene, { address: peerAddress(n) }).syn()
    scene.wait(7 * SECOND - 1)
    expect(scene.queues(listener).requests).toBe(6)
    scene.wait(1)
    // The timers come one by one: once half of the queue is free the others have their full time.
    expect(scene.queues(listener).requests).toBe(4)
  })

  test("of old requests keep their five when young ones are the most", () => {
    const scene = new Scene()
    const listener = scene.listen({ backlog: 64 })
    for (let n = 1; n <= 40; n++) new Peer(scene, { address: peerAddress(n) }).syn()
    scene.wait(SECOND)
    expect(scene.queues(listener)).toEqual({ requests: 40, young: 0, waiting: 0 })
  })
})

describe("a full SYN queue", () => {
  const flood = (scene: Scene, count: number, first = 1): ReadonlyArray<string> =>
    Array.from({ length: count }, (_, n) => new Peer(scene, { address: peerAddress(first + n) }).syn()[0] ?? "")

  test("without cookies: backlog + 1 requests, then SYNs are dropped", () => {
    const scene = new Scene({ settings: { tcpSyncookies: 0 } })
    const listener = scene.listen({ backlog: 4 })
    const answers = flood(scene, 7)
    expect(answers.slice(0, 5)).toEqual(Array(5).fill("<SYN,ACK> RFC9293-3.10.7.2:SYN"))
    expect(answers.slice(5)).toEqual(Array(2).fill("drop Linux:SYN-queue-full"))
    expect(scene.queues(listener)).toEqual({ requests: 5, young: 5, waiting: 0 })
    expect(scene.counted()).toEqual({ TCPReqQFullDrop: 2, ListenDrops: 2 })
  })

  test("with cookies when needed: backlog + 1 requests, then cookies, for which nothing is kept", () => {
    const scene = new Scene()
    const listener = scene.listen({ backlog: 4 })
    const answers = flood(scene, 7)
    expect(answers.slice(5)).toEqual(Array(2).fill("<SYN,ACK> RFC4987-3.6:SYN-cookie"))
    expect(scene.queues(listener).requests).toBe(5)
    expect(scene.states()).toHaveLength(5)
    expect(scene.counted()).toEqual({ TCPReqQFullDoCookies: 2, SyncookiesSent: 2 })
  })

  test("with cookies always: no request at all", () => {
    const scene = new Scene({ settings: { tcpSyncookies: 2 } })
    const listener = scene.listen({ backlog: 4 })
    expect(flood(scene, 3)).toEqual(Array(3).fill("<SYN,ACK> RFC4987-3.6:SYN-cookie"))
    expect(scene.queues(listener).requests).toBe(0)
    expect(scene.counted()).toEqual({ TCPReqQFullDoCookies: 3, SyncookiesSent: 3 })
  })

  test("room comes back when requests end", () => {
    const scene = new Scene({ settings: { tcpSyncookies: 0 } })
    scene.listen({ backlog: 1 })
    const peers = [1, 2].map((n) => new Peer(scene, { address: peerAddress(n) }))
    for (const peer of peers) peer.syn()
    const third = new Peer(scene, { address: peerAddress(3) })
    expect(third.syn()).toEqual(["drop Linux:SYN-queue-full"])
    peers[0]?.third()
    expect(third.syn()).toEqual(["<SYN,ACK> RFC9293-3.10.7.2:SYN"])
  })

  test("the backlog is somaxconn at most, and that too for a negative one", () => {
    for (const backlog of [1_000_000, -1]) {
      const scene = new Scene({ settings: { somaxconn: 3, tcpSyncookies: 0 } })
      const listener = scene.listen({ backlog })
      expect(scene.status(listener).sendQ).toBe(3)
      expect(flood(scene, 6).filter((answer) => answer.startsWith("<"))).toHaveLength(4)
    }
  })

  test("without cookies the last quarter of tcpMaxSynBacklog is for proven peers", () => {
    const scene = new Scene({ settings: { tcpSyncookies: 0, tcpMaxSynBacklog: 16 } })
    const listener = scene.listen({ backlog: 100 })
    const friend = new Peer(scene, { address: peerAddress(200) }).connect()
    scene.accept(listener)
    scene.counted()
    const answers = flood(scene, 15)
    expect(answers.filter((answer) => answer.startsWith("<"))).toHaveLength(13)
    expect(answers.slice(13)).toEqual(Array(2).fill("drop Linux:SYN-queue-kept-for-proven-peers"))
    expect(scene.counted()).toEqual({ ListenDrops: 2 })
    const again = new Peer(scene, { address: friend.address, port: 40_001 })
    expect(again.syn()).toEqual(["<SYN,ACK> RFC9293-3.10.7.2:SYN"])
  })
})
