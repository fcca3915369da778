import { describe, expect, test } from "bun:test"
import type { SocketId } from "../../src/host/types.ts"
import { ACK, FIN, RST, SYN } from "../../src/wire/tcpSegment.ts"
import { OFFER, octets, Peer, peerAddress, Scene, type SceneOptions, SECOND, type Segments } from "./scene.ts"

interface Waiting {
  readonly scene: Scene
  readonly peer: Peer
  readonly listener: SocketId
}

/** The host closed first: its end is in TIME-WAIT. */
const waiting = (settings: SceneOptions["settings"] = {}, options = OFFER): Waiting => {
  const scene = new Scene({ settings })
  const listener = scene.listen({ backlog: 1 })
  const peer = new Peer(scene, { options }).connect()
  finish(scene, scene.accept(listener), peer)
  scene.counted()
  scene.took()
  return { scene, peer, listener }
}

/** Close by us, then by the peer. */
const finish = (scene: Scene, socket: SocketId, peer: Peer): void => {
  scene.host.close(socket, scene.now)
  scene.turn()
  peer.ack = (peer.ack + 1) >>> 0
  peer.send({ flags: FIN | ACK })
  peer.seq = (peer.seq + 1) >>> 0
}

/** When TIME-WAIT ends if nothing more comes, from now. */
const remaining = (scene: Scene): number => {
  const start = scene.now
  while (scene.states().length > 0 && scene.now - start < 200 * SECOND) scene.wait(SECOND / 2)
  return (scene.now - start) / SECOND
}

describe("TIME-WAIT", () => {
  test("lasts 60 s from the peer's FIN", () => {
    const { scene } = waiting()
    expect(scene.states()).toEqual(["TIME-WAIT"])
    scene.wait(60 * SECOND - 1)
    expect(scene.states()).toEqual(["TIME-WAIT"])
    scene.wait(1)
    expect(scene.states()).toEqual([])
  })

  type Row = readonly [
    stimulus: string,
    fields: (peer: Peer) => Partial<Segments>,
    answers: ReadonlyArray<string>,
    after: "TIME-WAIT" | "gone",
  ]
  const rows: ReadonlyArray<Row> = [
    [
      "the FIN again",
      ({ seq }) => ({ flags: FIN | ACK, seq: seq - 1 }),
      ["<ACK> RFC9293-3.10.7.4:text-in-TIME-WAIT"],
      "TIME-WAIT",
    ],
    [
      "old text",
      ({ seq }) => ({ seq: seq - 11, payload: octets("0123456789") }),
      ["<ACK> RFC9293-3.10.7.4:text-in-TIME-WAIT"],
      "TIME-WAIT",
    ],
    ["an old ACK", ({ seq }) => ({ seq: seq - 100 }), ["<ACK> RFC9293-3.10.7.4:text-in-TIME-WAIT"], "TIME-WAIT"],
    ["an ACK of our FIN", () => ({}), ["drop RFC9293-3.10.7.4:ACK-in-TIME-WAIT"], "TIME-WAIT"],
    ["an old timestamp", () => ({ options: { tsVal: 1, tsEcr: 1 } }), ["<ACK> RFC7323-5.3:PAWS"], "TIME-WAIT"],
    ["<RST> at RCV.NXT", () => ({ flags: RST }), ["drop RFC9293-3.10.7.4:RST-in-TIME-WAIT"], "gone"],
    [
      "<RST> elsewhere in the window",
      ({ seq }) => ({ flags: RST, seq: seq + 10 }),
      ["drop Linux:RST-not-at-RCV.NXT-in-TIME-WAIT"],
      "TIME-WAIT",
    ],
    [
      "<RST> outside the window",
      ({ seq }) => ({ flags: RST, seq: seq - 10 }),
      ["drop Linux:RST-not-at-RCV.NXT-in-TIME-WAIT"],
      "TIME-WAIT",
    ],
  ]
  test.each(rows)("%s", (_, fields, answers, after) => {
    const { scene, peer } = waiting()
    expect(peer.send(fields(peer))).toEqual([...answers])
    expect(scene.states()).toEqual(after === "gone" ? [] : ["TIME-WAIT"])
  })

  test("RFC 1337: with tcpRfc1337 a RST does not end it", () => {
    const { scene, peer } = waiting({ tcpRfc1337: true })
    expect(peer.send({ flags: RST })).toEqual(["drop RFC1337-3:RST-in-TIME-WAIT-ignored"])
    expect(scene.states()).toEqual(["TIME-WAIT"])
  })

  test("begins again with the peer's FIN", () => {
    const { scene, peer } = waiting()
    scene.wait(50 * SECOND)
    peer.send({ flags: FIN | ACK, seq: peer.seq - 1 })
    expect(remaining(scene)).toBe(60)
  })

  // As tcp_timewait_state_process: all that is acknowledged begins it anew, but a SYN that may be a new one.
  const renewals: ReadonlyArray<readonly [what: string, fields: (peer: Peer) => Partial<Segments>, seconds: number]> = [
    ["old text", ({ seq }) => ({ seq: seq - 11, payload: octets("0123456789") }), 60],
    ["an old ACK", ({ seq }) => ({ seq: seq - 100 }), 60],
    ["an ACK beyond", ({ seq }) => ({ seq: seq + 100 }), 60],
    ["a SYN-ACK", ({ seq }) => ({ flags: SYN | ACK, seq: seq - 1000 }), 60],
    ["an old timestamp", () => ({ options: { tsVal: 1, tsEcr: 1 } }), 60],
    [
      "a SYN with an old timestamp",
      ({ seq }) => ({ flags: SYN, seq: seq - 1000, ack: 0, options: { tsVal: 999 } }),
      60,
    ],
    ["a SYN before it", ({ seq }) => ({ flags: SYN, seq: seq - 1000, ack: 0, options: { tsVal: undefined } }), 10],
    ["text without ACK", ({ seq }) => ({ flags: 0, seq: seq - 11, payload: octets("0123456789") }), 10],
    ["a RST elsewhere", ({ seq }) => ({ flags: RST, seq: seq + 10 }), 10],
  ]
  test.each(renewals)("%s, with 10 s left", (_, fields, seconds) => {
    const { scene, peer } = waiting()
    scene.wait(50 * SECOND)
    peer.send(fields(peer))
    expect(scene.states()).toEqual(["TIME-WAIT"])
    expect(remaining(scene)).toBe(seconds)
  })

  test("begins again with an old ACK that is not answered for its number", () => {
    const { scene, peer } = waiting()
    scene.wait(50 * SECOND)
    expect(peer.send({ seq: peer.seq - 100 })).toEqual(["<ACK> RFC9293-3.10.7.4:text-in-TIME-WAIT"])
    scene.wait(SECOND / 4)
    expect(peer.send({ seq: peer.seq - 100 })).toEqual(["drop RFC9293-3.10.7.4:text-in-TIME-WAIT"])
    expect(remaining(scene)).toBe(60)
  })

  test("answers empty old segments once in 500 ms, old text always", () => {
    const { scene, peer } = waiting()
    const empty = () => peer.send({ seq: peer.seq - 100 })
    const full = () => peer.send({ seq: peer.seq - 100, payload: octets("x") })
    expect([empty(), empty(), full(), full()].map(([answer]) => answer?.split(" ")[0])).toEqual([
      "<ACK>",
      "drop",
      "<ACK>",
      "<ACK>",
    ])
    expect(scene.counted()).toEqual({ TCPACKSkippedTimeWait: 1 })
  })
})

describe("a SYN in TIME-WAIT", () => {
  type Row = readonly [what: string, timestamps: boolean, syn: (peer: Peer) => Partial<Segments>, reopens: boolean]
  const plain = { mss: 1460 }
  const rows: ReadonlyArray<Row> = [
    ["a later sequence number", false, ({ seq }) => ({ seq: seq + 1, options: plain }), true],
    ["a sequence number at RCV.NXT", false, ({ seq }) => ({ seq, options: plain }), false],
    ["an earlier sequence number", false, ({ seq }) => ({ seq: seq - 1, options: plain }), false],
    [
      "a later timestamp, an earlier sequence number",
      true,
      ({ seq, tsVal }) => ({ seq: seq - 100_000, options: { ...OFFER, tsVal: tsVal + 1 } }),
      true,
    ],
    [
      "the same timestamp, a later sequence number",
      true,
      ({ seq, tsVal }) => ({ seq: seq + 1, options: { ...OFFER, tsVal } }),
      true,
    ],
    [
      "the same timestamp, an earlier sequence number",
      true,
      ({ seq, tsVal }) => ({ seq: seq - 1, options: { ...OFFER, tsVal } }),
      false,
    ],
    [
      "an earlier timestamp, a later sequence number",
      true,
      ({ seq, tsVal }) => ({ seq: seq + 1, options: { ...OFFER, tsVal: tsVal - 1 } }),
      false,
    ],
    [
      "no timestamp where there was one, a later sequence number",
      true,
      ({ seq }) => ({ seq: seq + 1, options: plain }),
      true,
    ],
    ["a later sequence number, and ACK", false, ({ seq }) => ({ flags: SYN | ACK, seq: seq + 1_000_000 }), false],
    ["a later sequence number, and RST", false, ({ seq }) => ({ flags: SYN | RST, seq: seq + 1_000_000 }), false],
  ]
  for (const [what, timestamps, syn, reopens] of rows) {
    test(`with ${what}: ${reopens ? "opens anew" : "does not"}`, () => {
      const { scene, peer, listener } = waiting({}, timestamps ? OFFER : plain)
      const answers = scene.batch([peer.packet({ flags: SYN, ack: 0, ...syn(peer) })])
      expect(scene.states()).toEqual([reopens ? "SYN-RECEIVED" : "TIME-WAIT"])
      expect(scene.queues(listener).requests).toBe(reopens ? 1 : 0)
      expect(scene.counted()["TWRecycled"] ?? 0).toBe(reopens ? 1 : 0)
      if (reopens) expect(answers).toEqual(["<SYN,ACK> RFC9293-3.10.7.2:SYN"])
    })
  }

  test("of listeners that share the port goes to the one that has the flow (SO_REUSEPORT)", () => {
    const scene = new Scene()
    const listeners = [1, 2, 3, 4].map(() => scene.listen({ backlog: 100, reusePort: true }))
    const waitingAt = () => listeners.map((listener) => scene.queues(listener).waiting)
    for (let n = 0; n < 16; n++) {
      const peer = new Peer(scene, { address: peerAddress(n + 1) }).connect()
      const had = waitingAt().indexOf(1)
      const listener = listeners[had]
      if (listener === undefined) throw new Error("nobody took it")
      finish(scene, scene.accept(listener), peer)
      const options = { ...OFFER, tsVal: peer.tsVal + 1 }
      const again = new Peer(scene, { address: peer.address, iss: peer.seq + 1000, options }).connect()
      expect(waitingAt().indexOf(1)).toBe(had)
      scene.host.abort(scene.accept(listener), scene.now)
      scene.turn()
      expect(again.synAck).toBeDefined()
    }
    expect(scene.counted()).toMatchObject({ TWRecycled: 16 })
  })

  test("where nobody listens any more: acknowledged, TIME-WAIT stays", () => {
    const { scene, peer, listener } = waiting()
    scene.host.close(listener, scene.now)
    scene.turn()
    const answers = scene.batch([
      peer.packet({ flags: SYN, seq: peer.seq + 1, ack: 0, options: { ...OFFER, tsVal: 5000 } }),
    ])
    expect(answers[0]).toMatch(/^<ACK> /)
    expect(scene.states()).toEqual(["TIME-WAIT"])
  })

  test("our new ISN is beyond everything that the old connection sent (RFC 1122 section 4.2.2.13)", () => {
    const scene = new Scene()
    const listener = scene.listen({ sendBuffer: 1 << 26 })
    const peer = new Peer(scene).connect()
    const socket = scene.accept(listener)
    // Faster than the ISN clock of 250,000 a second.
    for (let n = 0; n < 400; n++) {
      scene.host.write(socket, new Uint8Array(60_000), scene.now)
      scene.turn()
      for (const { segment } of scene.took()) peer.ack = (segment.seq + segment.payload.length) >>> 0
      peer.tsVal++
      peer.third()
      scene.now += 1000
      scene.turn()
    }
    // What Nagle held back to the last is acknowledged too.
    for (let n = 0; n < 400; n++) {
      scene.turn()
      for (const { segment } of scene.took()) peer.ack = (segment.seq + segment.payload.length) >>> 0
      peer.third()
    }
    finish(scene, socket, peer)
    expect(scene.states()).toEqual(["TIME-WAIT"])
    const again = new Peer(scene, { iss: peer.seq + 100, options: { ...OFFER, tsVal: peer.tsVal + 1 } })
    again.syn()
    const distance = ((again.synAck?.segment.seq ?? 0) - peer.ack) | 0
    expect(distance).toBeGreaterThan(0)
  })

  test("is taken though the SYN queue is full: a peer in TIME-WAIT is no flood", () => {
    const { scene, peer, listener } = waiting({ tcpSyncookies: 0 })
    for (let n = 0; n < 5; n++) new Peer(scene, { address: peerAddress(100 + n) }).syn()
    expect(scene.queues(listener).requests).toBe(2)
    const syn = peer.packet({ flags: SYN, seq: peer.seq + 1, ack: 0, options: { ...OFFER, tsVal: 5000 } })
    expect(scene.batch([syn])).toEqual(["<SYN,ACK> RFC9293-3.10.7.2:SYN"])
  })

  test("that the listener cannot take leaves TIME-WAIT as it was", () => {
    const { scene, peer, listener } = waiting()
    for (let n = 0; n < 2; n++) new Peer(scene, { address: peerAddress(100 + n) }).connect()
    expect(scene.queues(listener).waiting).toBe(2)
    const syn = peer.packet({ flags: SYN, seq: peer.seq + 1, ack: 0, options: { ...OFFER, tsVal: 5000 } })
    expect(scene.batch([syn])).toEqual(["drop Linux:accept-queue-full"])
  })
})

describe("tcpMaxTwBuckets", () => {
  test("connections beyond it end without TIME-WAIT, and are counted", () => {
    const scene = new Scene({ settings: { tcpMaxTwBuckets: 3 } })
    const listener = scene.listen({ backlog: 100 })
    for (let n = 1; n <= 5; n++) {
      const peer = new Peer(scene, { address: peerAddress(n) }).connect()
      finish(scene, scene.accept(listener), peer)
    }
    expect(scene.states()).toEqual(["TIME-WAIT", "TIME-WAIT", "TIME-WAIT"])
    expect(scene.counted()).toMatchObject({ TCPTimeWaitOverflow: 2 })
    scene.wait(60 * SECOND)
    expect(scene.states()).toEqual([])
    const peer = new Peer(scene, { address: peerAddress(9) }).connect()
    finish(scene, scene.accept(listener), peer)
    expect(scene.states()).toEqual(["TIME-WAIT"])
  })
})

describe("FIN-WAIT-2", () => {
  const halfClosed = (settings: SceneOptions["settings"] = {}) => {
    const scene = new Scene({ settings })
    const listener = scene.listen()
    const peer = new Peer(scene).connect()
    const socket = scene.accept(listener)
    return { scene, peer, socket }
  }

  for (const seconds of [60, 5]) {
    test(`of a closed connection ends after tcpFinTimeout, here ${seconds} s`, () => {
      const { scene, peer, socket } = halfClosed({ tcpFinTimeout: seconds * SECOND })
      scene.host.close(socket, scene.now)
      scene.turn()
      peer.ack = (peer.ack + 1) >>> 0
      peer.third()
      expect(scene.states()).toEqual(["FIN-WAIT-2"])
      scene.wait(seconds * SECOND - 1)
      expect(scene.states()).toEqual(["FIN-WAIT-2"])
      scene.wait(1)
      expect(scene.states()).toEqual([])
    })
  }

  test("of a half-closed one that is still read waits for ever", () => {
    const { scene, peer, socket } = halfClosed()
    scene.host.shutdown(socket, scene.now)
    scene.turn()
    peer.ack = (peer.ack + 1) >>> 0
    peer.third()
    scene.wait(3600 * SECOND)
    expect(scene.states()).toEqual(["FIN-WAIT-2"])
    peer.text("late")
    expect(scene.read(socket)).toBe("late")
  })

  test("closed after its FIN was acknowledged: tcpFinTimeout from then on", () => {
    const { scene, peer, socket } = halfClosed()
    scene.host.shutdown(socket, scene.now)
    scene.turn()
    peer.ack = (peer.ack + 1) >>> 0
    peer.third()
    scene.wait(100 * SECOND)
    scene.host.close(socket, scene.now)
    scene.turn()
    expect(remaining(scene)).toBe(60)
  })

  for (const acked of [false, true]) {
    test(`data after the reader closed, in ${acked ? "FIN-WAIT-2" : "FIN-WAIT-1"}: reset`, () => {
      const { scene, peer, socket } = halfClosed()
      scene.host.close(socket, scene.now)
      scene.turn()
      if (acked) {
        peer.ack = (peer.ack + 1) >>> 0
        peer.third()
      }
      scene.counted()
      scene.took()
      expect(peer.text("too late").map((answer) => answer.split(" ")[0])).toEqual([expect.stringMatching(/^<RST/)])
      expect(scene.states()).toEqual([])
      expect(scene.counted()).toMatchObject({ TCPAbortOnData: 1, OutRsts: 1 })
    })
  }

  test("unread data at close: reset at once (RFC 2525 section 2.17)", () => {
    const { scene, peer, socket } = halfClosed()
    peer.text("unread")
    scene.took()
    scene.host.close(socket, scene.now)
    expect(scene.turn()).toEqual(["<RST,ACK> RFC2525-2.17:unread-data-at-close"])
    expect(scene.counted()).toMatchObject({ TCPAbortOnClose: 1 })
  })
})
