import { describe, expect, test } from "bun:test"
import type { SocketId } from "../../src/host/types.ts"
import { defaultSocketOptions } from "../../src/tcp/tcb.ts"
import { ACK, FIN, RST, SYN } from "../../src/wire/tcpSegment.ts"
import {
  granted,
  octets,
  Peer,
  packetOf,
  peerAddress,
  type Said,
  Scene,
  type SceneOptions,
  SECOND,
  type Segments,
} from "./scene.ts"

const REMOTE = { address: peerAddress(1), port: 7 }

interface Opening {
  readonly scene: Scene
  readonly socket: SocketId
  readonly syn: Said
  /** The other end, which has not said anything yet. */
  readonly peer: Peer
}

const opening = (settings: SceneOptions["settings"] = {}): Opening => {
  const scene = new Scene({ settings })
  const socket = granted(scene.host.connect({ remote: REMOTE, local: {}, options: defaultSocketOptions }, scene.now))
  scene.turn()
  const [syn] = scene.took()
  if (syn === undefined) throw new Error("no SYN")
  scene.counted()
  return { scene, socket, syn, peer: new Peer(scene, { ...REMOTE, to: syn.from, iss: 8999 }) }
}

describe("SYN-SENT", () => {
  // RFC 9293 section 3.10.7.3. Only a RST with an acceptable ACK ends the attempt.
  type Row = readonly [
    stimulus: string,
    fields: (iss: number) => Segments,
    state: string,
    answers: ReadonlyArray<string>,
  ]
  const rows: ReadonlyArray<Row> = [
    ["<RST,ACK> ack=iss+1", (iss) => ({ flags: RST | ACK, ack: iss + 1 }), "CLOSED", []],
    [
      "<RST,ACK> ack=iss",
      (iss) => ({ flags: RST | ACK, ack: iss }),
      "SYN-SENT",
      ["drop RFC9293-3.10.7.3:RST-with-unacceptable-ACK"],
    ],
    [
      "<RST,ACK> ack=iss+2",
      (iss) => ({ flags: RST | ACK, ack: iss + 2 }),
      "SYN-SENT",
      ["drop RFC9293-3.10.7.3:RST-with-unacceptable-ACK"],
    ],
    ["<RST>", () => ({ flags: RST }), "SYN-SENT", ["drop RFC9293-3.10.7.3:RST-without-ACK"]],
    ["<SYN,RST>", () => ({ flags: SYN | RST }), "SYN-SENT", ["drop RFC9293-3.10.7.3:RST-without-ACK"]],
    ["<ACK> ack=iss", (iss) => ({ flags: ACK, ack: iss }), "SYN-SENT", ["<RST> RFC9293-3.10.7.3:unacceptable-ACK"]],
    [
      "<SYN,ACK> ack=iss",
      (iss) => ({ flags: SYN | ACK, ack: iss }),
      "SYN-SENT",
      ["<RST> RFC9293-3.10.7.3:unacceptable-ACK"],
    ],
    [
      "<SYN,ACK> ack=iss+2",
      (iss) => ({ flags: SYN | ACK, ack: iss + 2 }),
      "SYN-SENT",
      ["<RST> RFC9293-3.10.7.3:unacceptable-ACK"],
    ],
    [
      "<ACK> ack=iss+1",
      (iss) => ({ flags: ACK, ack: iss + 1 }),
      "SYN-SENT",
      ["drop RFC9293-3.10.7.3:neither-SYN-nor-RST"],
    ],
    ["<FIN>", () => ({ flags: FIN }), "SYN-SENT", ["drop RFC9293-3.10.7.3:neither-SYN-nor-RST"]],
    ["<SYN,FIN>", () => ({ flags: SYN | FIN }), "SYN-RECEIVED", ["<SYN,ACK> RFC9293-3.10.7.3:simultaneous-open"]],
    [
      "<SYN,ACK> ack=iss+1",
      (iss) => ({ flags: SYN | ACK, ack: iss + 1 }),
      "ESTABLISHED",
      ["<ACK> RFC9293-3.10.7.3:SYN-acknowledged"],
    ],
    ["<SYN>", () => ({ flags: SYN }), "SYN-RECEIVED", ["<SYN,ACK> RFC9293-3.10.7.3:simultaneous-open"]],
  ]
  test.each(rows)("%s", (_, fields, state, answers) => {
    const { scene, socket, syn, peer } = opening()
    expect(scene.batch([peer.packet({ seq: 8999, ...fields(syn.segment.seq) })])).toEqual([...answers])
    expect<string>(scene.status(socket).state).toBe(state)
    expect(scene.status(socket).closed?.reason).toBe(state === "CLOSED" ? "ConnectionRefused" : undefined)
    expect(scene.counted()["AttemptFails"] ?? 0).toBe(state === "CLOSED" ? 1 : 0)
  })

  test("a SYN-ACK that echoes a timestamp of another SYN is reset", () => {
    const { scene, socket, syn, peer } = opening()
    const { seq, options } = syn.segment
    const stale = { mss: 1460, tsVal: 1, tsEcr: ((options.tsVal ?? 0) - 1) >>> 0 }
    expect(scene.batch([peer.packet({ flags: SYN | ACK, seq: 8999, ack: seq + 1, options: stale })])).toEqual([
      "<RST> RFC7323-3.2:echo-of-another-SYN",
    ])
    expect(scene.status(socket).state).toBe("SYN-SENT")
    expect(scene.counted()).toEqual({ OutRsts: 1, PAWSActive: 1 })
  })

  test("SYNs leave after 1, 3, 7, 15, 31 and 63 s; the attempt times out", () => {
    const { scene, socket } = opening()
    const start = scene.now
    const said = scene.wait(200 * SECOND)
    expect(said.map(({ at }) => (at - start) / SECOND)).toEqual([1, 3, 7, 15, 31, 63])
    expect(scene.status(socket).closed?.reason).toBe("ConnectionTimedOut")
    expect(scene.counted()).toMatchObject({ TCPSynRetrans: 6, TCPTimeouts: 6, TCPAbortOnTimeout: 1 })
  })
})

describe("crossed SYNs", () => {
  const crossed = (): Opening => {
    const o = opening()
    o.scene.batch([o.peer.packet({ flags: SYN, seq: 8999 })])
    o.scene.took()
    o.scene.counted()
    return o
  }

  test("both ends open, by figure 8 of RFC 9293, and carry text", () => {
    const one = new Scene({ secret: 1 })
    const other = new Scene({ secret: 2, host: peerAddress(1) })
    const dial = (scene: Scene, to: Scene, port: number, from: number): SocketId => {
      const remote = { address: to.listenAddress, port }
      const local = { address: scene.listenAddress, port: from }
      return granted(scene.host.connect({ remote, local, options: defaultSocketOptions }, scene.now))
    }
    const a = dial(one, other, 2000, 1000)
    const b = dial(other, one, 1000, 2000)
    for (let n = 0; n < 10; n++) {
      one.turn()
      other.turn()
      const [fromOne, fromOther] = [one.took(), other.took()]
      for (const said of fromOne) other.put(packetOf(said))
      for (const said of fromOther) one.put(packetOf(said))
    }
    expect([one.status(a).state, other.status(b).state]).toEqual(["ESTABLISHED", "ESTABLISHED"])
    one.host.write(a, octets("crossed"), one.now)
    one.turn()
    for (const said of one.took()) other.put(packetOf(said))
    expect(other.read(b)).toBe("crossed")
  })

  type Row = readonly [
    stimulus: string,
    fields: (iss: number) => Segments,
    state: string,
    answers: ReadonlyArray<string>,
  ]
  const rows: ReadonlyArray<Row> = [
    [
      "<SYN,ACK> ack=iss+1",
      (iss) => ({ flags: SYN | ACK, seq: 8999, ack: iss + 1 }),
      "ESTABLISHED",
      ["<ACK> RFC9293-3.10.7.4:SYN-ACK-of-crossed-SYNs"],
    ],
    ["<ACK> ack=iss+1", (iss) => ({ flags: ACK, seq: 9000, ack: iss + 1 }), "ESTABLISHED", []],
    [
      "<ACK> ack=iss",
      (iss) => ({ flags: ACK, seq: 9000, ack: iss }),
      "SYN-RECEIVED",
      ["<RST> RFC9293-3.10.7.4:unacceptable-ACK"],
    ],
    [
      "<ACK> ack=iss+2",
      (iss) => ({ flags: ACK, seq: 9000, ack: iss + 2 }),
      "SYN-RECEIVED",
      ["<RST> RFC9293-3.10.7.4:unacceptable-ACK"],
    ],
    ["<RST> at RCV.NXT", () => ({ flags: RST, seq: 9000 }), "CLOSED", []],
    [
      "<RST> in the window",
      () => ({ flags: RST, seq: 9010 }),
      "SYN-RECEIVED",
      ["<ACK> RFC5961-3.2:RST-not-at-RCV.NXT"],
    ],
    [
      "<RST> outside the window",
      () => ({ flags: RST, seq: 8000 }),
      "SYN-RECEIVED",
      ["drop RFC9293-3.10.7.4:RST-outside-window"],
    ],
    ["<SYN> in the window", () => ({ flags: SYN, seq: 9010 }), "SYN-RECEIVED", ["<ACK> RFC5961-4.2:SYN-in-window"]],
    [
      "text without ACK",
      () => ({ flags: 0, seq: 9000, payload: octets("x") }),
      "SYN-RECEIVED",
      ["drop RFC9293-3.10.7.4:no-ACK"],
    ],
  ]
  test.each(rows)("then %s", (_, fields, state, answers) => {
    const { scene, socket, syn, peer } = crossed()
    expect(scene.batch([peer.packet(fields(syn.segment.seq))])).toEqual([...answers])
    expect<string>(scene.status(socket).state).toBe(state)
    if (state === "CLOSED") expect(scene.status(socket).closed?.reason).toBe("ConnectionRefused")
  })

  test("by a third party: the SYN-ACK that answers a forged SYN does not open, and the true answer still does", () => {
    // The forger's SYN makes SYN-RECEIVED with its own ISN; the server's SYN-ACK has another.
    const { scene, socket, syn, peer } = crossed()
    const { seq } = syn.segment
    scene.now += SECOND
    scene.settle()
    scene.took()
    const truth = peer.packet({ flags: SYN | ACK, seq: 77_000_000, ack: seq + 1, options: { mss: 1460 } })
    const answers = scene.batch([truth])
    expect(scene.status(socket).state).not.toBe("ESTABLISHED")
    expect(answers).toHaveLength(1)
  })

  test("SYN-ACKs leave again after 1, 3, 7, 15 and 31 s; then it times out", () => {
    const { scene, socket } = crossed()
    const start = scene.now
    const said = scene.wait(64 * SECOND)
    expect(said.map(({ at, segment }) => [(at - start) / SECOND, segment.flags])).toEqual(
      [1, 3, 7, 15, 31].map((at) => [at, SYN | ACK]),
    )
    expect(scene.status(socket).closed?.reason).toBe("ConnectionTimedOut")
  })
})
