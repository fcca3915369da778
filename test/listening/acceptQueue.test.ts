import { describe, expect, test } from "bun:test"
import { ACK } from "../../src/wire/tcpSegment.ts"
import { Peer, peerAddress, Scene, type SceneOptions, SECOND, sent } from "./scene.ts"

const peers = (scene: Scene, count: number, first = 1): ReadonlyArray<Peer> =>
  Array.from({ length: count }, (_, n) => new Peer(scene, { address: peerAddress(first + n) }))

/** A listener whose accept queue is full, and one more peer that waits for it to take its ACK. */
const overflowing = (settings: SceneOptions["settings"] = {}, backlog = 1) => {
  const scene = new Scene({ settings })
  const listener = scene.listen({ backlog })
  const all = peers(scene, backlog + 2)
  const late = all.at(-1)
  if (late === undefined) throw new Error("none")
  late.syn()
  for (const peer of all.slice(0, -1)) peer.connect()
  scene.counted()
  scene.took()
  return { scene, listener, late }
}

describe("the accept queue", () => {
  for (const backlog of [0, 1, 5]) {
    test(`backlog ${backlog}: ${backlog + 1} connections wait, in the order of their third segments`, () => {
      const scene = new Scene()
      const listener = scene.listen({ backlog })
      const all = peers(scene, backlog + 1)
      for (const peer of all) peer.syn()
      for (const peer of all.toReversed()) peer.third()
      expect(scene.status(listener)).toMatchObject({ recvQ: backlog + 1, sendQ: backlog })
      const order = all.map(() => scene.status(scene.accept(listener)).remote?.address.d)
      expect(order).toEqual(all.toReversed().map(({ address }) => address.d))
      expect(scene.host.accept(listener)).toBeUndefined()
    })
  }

  test("tells of each batch of connections once", () => {
    const scene = new Scene()
    const listener = scene.listen()
    const [one, two, three] = peers(scene, 3)
    for (const peer of [one, two, three]) peer?.syn()
    scene.batch([one, two].flatMap((peer) => (peer === undefined ? [] : [peer.after({})])))
    expect(scene.heard(listener)).toEqual(["acceptable"])
    three?.third()
    expect(scene.heard(listener)).toEqual(["acceptable"])
  })

  test("full: SYNs are dropped, and counted as overflow", () => {
    const { scene, listener } = overflowing()
    expect(new Peer(scene, { address: peerAddress(9) }).syn()).toEqual(["drop Linux:accept-queue-full"])
    expect(scene.counted()).toEqual({ ListenOverflows: 1, ListenDrops: 1 })
    expect(scene.queues(listener)).toEqual({ requests: 1, young: 1, waiting: 2 })
  })

  test("full: SYNs are dropped with cookies always, too", () => {
    const { scene } = overflowing({ tcpSyncookies: 2 })
    expect(new Peer(scene, { address: peerAddress(9) }).syn()).toEqual(["drop Linux:accept-queue-full"])
  })

  test("full: the third segment is dropped, the request stays", () => {
    const { scene, listener, late } = overflowing()
    expect(late.third()).toEqual(["drop Linux:accept-queue-full"])
    expect(scene.counted()).toEqual({ ListenOverflows: 1, ListenDrops: 1 })
    expect(scene.queues(listener)).toMatchObject({ requests: 1, waiting: 2 })
  })

  test("full: the SYN-ACK is sent again, the peer's ACK of it finds room later", () => {
    const { scene, listener, late } = overflowing()
    late.third()
    expect(scene.wait(SECOND).map(({ why }) => why)).toEqual(["RFC6298-5.4:retransmit"])
    expect(late.third()).toEqual(["drop Linux:accept-queue-full"])
    scene.accept(listener)
    scene.wait(2 * SECOND)
    expect(late.third()).toEqual([])
    expect(scene.queues(listener)).toEqual({ requests: 0, young: 0, waiting: 2 })
    expect(scene.counted()).toMatchObject({ ListenOverflows: 2, PassiveOpens: 1, RetransSegs: 2 })
  })

  test("full: the text that the peer sends, thinking itself connected, completes it when there is room", () => {
    const { scene, listener, late } = overflowing()
    late.third()
    expect(late.text("hello")).toEqual(["drop Linux:accept-queue-full"])
    scene.accept(listener)
    scene.accept(listener)
    late.seq -= 5
    late.text("hello")
    expect(scene.read(scene.accept(listener))).toBe("hello")
  })

  test("full until the SYN-ACKs are over: the request ends, the peer's next segment is reset", () => {
    const { scene, listener, late } = overflowing()
    late.third()
    scene.wait(63 * SECOND)
    expect(scene.queues(listener)).toMatchObject({ requests: 0, waiting: 2 })
    expect(late.text("hello")).toEqual(["<RST> RFC9293-3.10.7.2:ACK"])
  })

  test("full and tcpAbortOnOverflow: the third segment is reset", () => {
    const { scene, listener, late } = overflowing({ tcpAbortOnOverflow: true })
    expect(late.third()).toEqual(["<RST> Linux:tcp_abort_on_overflow"])
    expect(scene.took()[0]?.segment.seq).toBe(late.ack)
    expect(scene.counted()).toEqual({ ListenOverflows: 1, ListenDrops: 1, OutRsts: 1, EmbryonicRsts: 1 })
    expect(scene.queues(listener)).toMatchObject({ requests: 0, waiting: 2 })
    expect(late.text("hello")).toEqual(["<RST> RFC9293-3.10.7.2:ACK"])
  })

  test("accepting makes room for the next SYN", () => {
    const { scene, listener } = overflowing()
    const next = new Peer(scene, { address: peerAddress(9) })
    next.syn()
    scene.accept(listener)
    expect(sent(next.syn())).toEqual(["<SYN,ACK>"])
  })

  test("a connection that was reset while it waited still counts until it is accepted", () => {
    const scene = new Scene()
    const listener = scene.listen({ backlog: 0 })
    const [one, two] = peers(scene, 2)
    one?.connect()
    one?.send({ flags: 4 | ACK })
    expect(scene.states()).toEqual([])
    expect(two?.syn()).toEqual(["drop Linux:accept-queue-full"])
    expect(scene.read(scene.accept(listener))).toBe("(end)")
    expect(sent(two?.syn() ?? [])).toEqual(["<SYN,ACK>"])
  })
})

describe("closing a listener", () => {
  test("resets what nobody accepted; requests go in silence; accepted connections stay", () => {
    const scene = new Scene()
    const listener = scene.listen()
    const [accepted, waiting, half] = peers(scene, 3)
    accepted?.connect()
    const socket = scene.accept(listener)
    waiting?.connect()
    half?.syn()
    scene.took()
    scene.counted()
    scene.host.close(listener, scene.now)
    expect(scene.turn()).toEqual(["<RST,ACK> RFC9293-3.10.5:ABORT"])
    expect(scene.took()[0]?.to.address.d).toBe(waiting?.address.d ?? 0)
    expect(scene.states()).toEqual(["ESTABLISHED"])
    expect(scene.counted()).toEqual({ OutRsts: 1 })
    expect(half?.third()).toEqual(["<RST> RFC9293-3.10.7.1:no-connection"])
    accepted?.text("still here")
    expect(scene.read(socket)).toBe("still here")
    // No SYN-ACK of a request that is gone.
    expect(scene.wait(60 * SECOND).filter(({ why }) => why === "RFC6298-5.4:retransmit")).toEqual([])
  })

  test("gives its port back while its connections live, to who may share with them", () => {
    const scene = new Scene()
    const listener = scene.listen({ reuseAddress: true })
    new Peer(scene).connect()
    scene.accept(listener)
    scene.host.close(listener, scene.now)
    scene.turn()
    const again = scene.listen({ reuseAddress: true })
    new Peer(scene, { port: 40_001 }).connect()
    expect(scene.queues(again).waiting).toBe(1)
  })
})

describe("TCP_DEFER_ACCEPT", () => {
  const deferring = (seconds: number, settings: SceneOptions["settings"] = {}) => {
    const scene = new Scene({ settings })
    const listener = scene.listen({ deferAccept: seconds * SECOND })
    const peer = new Peer(scene)
    peer.syn()
    scene.counted()
    return { scene, listener, peer, start: scene.now }
  }

  test("a bare ACK does not wake the application, the first text does", () => {
    const { scene, listener, peer } = deferring(5)
    expect(peer.third()).toEqual(["drop Linux:TCP_DEFER_ACCEPT"])
    expect(scene.counted()).toEqual({ TCPDeferAcceptDrop: 1 })
    expect(scene.queues(listener)).toEqual({ requests: 1, young: 1, waiting: 0 })
    peer.text("GET /")
    expect(scene.heard(listener)).toEqual(["acceptable"])
    expect(scene.read(scene.accept(listener))).toBe("GET /")
  })

  test("a FIN wakes it too", () => {
    const { scene, listener, peer } = deferring(5)
    peer.third()
    peer.send({ flags: ACK | 1 })
    expect(scene.status(scene.accept(listener)).state).toBe("CLOSE-WAIT")
  })

  // Linux's secs_to_retrans and syn_ack_recalc: the time counts in SYN-ACK time-outs; while the ACK
  // waits they pass in silence, but for the last, whose SYN-ACK asks for one more ACK.
  const rows = [
    [1, [1]],
    [2, [3]],
    [3, [3]],
    [4, [7]],
    [7, [7]],
    [8, [15]],
    [30, [31]],
  ] as const
  for (const [seconds, again] of rows) {
    test(`${seconds} s: after the ACK silence, until the SYN-ACK at ${again[0]} s, whose ACK is accepted without text`, () => {
      const { scene, listener, peer, start } = deferring(seconds)
      peer.third()
      const said = scene.wait((again[0] ?? 0) * SECOND)
      expect(said.map(({ at }) => (at - start) / SECOND)).toEqual([...again])
      expect(scene.queues(listener)).toMatchObject({ requests: 1, waiting: 0 })
      expect(peer.third()).toEqual([])
      expect(scene.queues(listener)).toEqual({ requests: 0, young: 0, waiting: 1 })
    })
  }

  test("5 s, and no ACK at all: SYN-ACKs as ever", () => {
    const { scene, start } = deferring(5)
    expect(scene.wait(63 * SECOND).map(({ at }) => (at - start) / SECOND)).toEqual([1, 3, 7, 15, 31])
    expect(scene.states()).toEqual([])
  })

  test("longer than the SYN-ACKs last: the request waits as long as it must", () => {
    const { scene, start, peer, listener } = deferring(100)
    peer.third()
    const said = scene.wait(128 * SECOND)
    // Seven time-outs: 1, 2, 4, ... 64 s. The last one asks once more.
    expect(said.map(({ at }) => (at - start) / SECOND)).toEqual([127])
    expect(scene.queues(listener).requests).toBe(1)
    scene.wait(120 * SECOND)
    expect(scene.queues(listener).requests).toBe(0)
  })

  test("is not asked of a connection that a cookie made", () => {
    const { scene, listener, peer } = deferring(5, { tcpSyncookies: 2 })
    peer.third()
    expect(scene.queues(listener).waiting).toBe(1)
  })
})
