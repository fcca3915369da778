import { describe, expect, test } from "bun:test"
import type { SocketId } from "../../src/host/types.ts"
import { TFO_CLIENT, TFO_SERVER } from "../../src/tcp/fastOpen.ts"
import { FAST_OPEN_KEY, fastOpenCookie } from "../../src/tcp/fastOpenKey.ts"
import { defaultSocketOptions } from "../../src/tcp/tcb.ts"
import { ACK, EMPTY, FIN, RST, SYN, type TcpOptions } from "../../src/wire/tcpSegment.ts"
import {
  granted,
  HOST,
  OFFER,
  octets,
  Peer,
  packetOf,
  peerAddress,
  Scene,
  type SceneOptions,
  SECOND,
  sent,
} from "./scene.ts"

const SERVER = { tcpFastopen: TFO_SERVER }
const ASK: TcpOptions["fastOpen"] = { cookie: EMPTY, experimental: false }

const listening = (settings: SceneOptions["settings"] = SERVER, places = 4) => {
  const scene = new Scene({ settings })
  const listener = scene.listen({ fastOpen: places })
  return { scene, listener }
}

/** The cookie of an address, as the server gives it. */
const cookieOf = (scene: Scene, peer: Peer): NonNullable<TcpOptions["fastOpen"]> => {
  const asking = new Peer(scene, { address: peer.address, port: 39_999 })
  asking.syn({ options: { ...OFFER, fastOpen: ASK } })
  const { fastOpen } = asking.synAck?.segment.options ?? {}
  if (fastOpen === undefined) throw new Error("no cookie")
  scene.batch([asking.after({ flags: RST })])
  scene.counted()
  return fastOpen
}

const fastSyn = (peer: Peer, cookie: TcpOptions["fastOpen"], words = "hello"): ReadonlyArray<string> => {
  const answers = peer.syn({ payload: octets(words), options: { ...OFFER, fastOpen: cookie } })
  peer.seq = (peer.iss + 1 + words.length) >>> 0
  return answers
}

/** Opened by its SYN, the SYN-ACK not acknowledged. */
const opened = (words = "hello") => {
  const { scene, listener } = listening()
  const peer = new Peer(scene)
  fastSyn(peer, cookieOf(scene, peer), words)
  scene.counted()
  return { scene, listener, peer, socket: scene.accept(listener) }
}

const places = (scene: Scene, listener: SocketId): number => {
  const { tcb } = scene.status(listener)
  return tcb._tag === "LISTEN" ? tcb.fastOpens : -1
}

describe("a Fast Open server", () => {
  test("gives a cookie of 8 octets to who asks, and makes an ordinary request", () => {
    const { scene, listener } = listening()
    const peer = new Peer(scene)
    expect(peer.syn({ options: { ...OFFER, fastOpen: ASK } })).toEqual(["<SYN,ACK> RFC9293-3.10.7.2:SYN"])
    expect(peer.synAck?.segment.options.fastOpen?.cookie.length).toBe(8)
    expect(peer.synAck?.segment.ack).toBe(peer.iss + 1)
    expect(scene.counted()).toEqual({ TCPFastOpenCookieReqd: 1 })
    expect(scene.queues(listener)).toMatchObject({ requests: 1, waiting: 0 })
  })

  test("gives the same cookie to the same address, another to others", () => {
    const { scene } = listening()
    const hex = (n: number) =>
      Buffer.from(cookieOf(scene, new Peer(scene, { address: peerAddress(n) })).cookie).toString("hex")
    expect(hex(1)).toBe(hex(1))
    expect(hex(2)).not.toBe(hex(1))
  })

  test("answers in the experimental option where that was used", () => {
    const { scene } = listening()
    const peer = new Peer(scene)
    peer.syn({ options: { ...OFFER, fastOpen: { cookie: EMPTY, experimental: true } } })
    expect(peer.synAck?.segment.options.fastOpen?.experimental).toBe(true)
  })

  test("with a valid cookie: the text of the SYN is read before the handshake ends, and acknowledged by the SYN-ACK", () => {
    const { scene, listener } = listening()
    const peer = new Peer(scene)
    const cookie = cookieOf(scene, peer)
    expect(fastSyn(peer, cookie)).toEqual(["<SYN,ACK> RFC7413-4.2.2:SYN-with-cookie"])
    expect(peer.synAck?.segment.ack).toBe(peer.iss + 6)
    expect(peer.synAck?.segment.options.fastOpen).toBeUndefined()
    expect(scene.counted()).toEqual({ TCPFastOpenPassive: 1, PassiveOpens: 1 })
    expect(scene.heard(listener)).toEqual(["acceptable"])
    const socket = scene.accept(listener)
    expect(scene.read(socket)).toBe("hello")
    expect(scene.status(socket).state).toBe("SYN-RECEIVED")
    peer.third()
    expect(scene.status(socket).state).toBe("ESTABLISHED")
    peer.text(" again")
    expect(scene.read(socket)).toBe(" again")
  })

  test("with a valid cookie and no text: open all the same", () => {
    const { scene, listener, socket } = opened("")
    expect(scene.status(socket).state).toBe("SYN-RECEIVED")
    expect(places(scene, listener)).toBe(1)
  })

  test("what it writes leaves before the ACK of its SYN-ACK", () => {
    const { scene, peer, socket } = opened()
    scene.host.write(socket, octets("world"), scene.now)
    expect(scene.turn()).toEqual(["<ACK>+5 RFC9293-3.10.2:send"])
    peer.ack = (peer.ack + 5) >>> 0
    peer.third()
    expect(scene.status(socket)).toMatchObject({ state: "ESTABLISHED", sendQ: 0 })
  })

  test("its SYN-ACK lost: sent again after 1, 3, 7, ... s, still with the ACK of the text; data is not", () => {
    const { scene, peer, socket } = opened()
    const start = scene.now
    scene.host.write(socket, octets("world"), scene.now)
    scene.turn()
    const said = scene.wait(10 * SECOND)
    expect(said.map(({ at, segment }) => [(at - start) / SECOND, segment.flags, segment.ack])).toEqual(
      [1, 3, 7].map((at) => [at, SYN | ACK, peer.iss + 6]),
    )
    expect(scene.counted()).toEqual({ RetransSegs: 3, TCPSynRetrans: 3, TCPTimeouts: 3 })
  })

  // One retransmission more than other requests get, as in Linux.
  test("its SYN-ACK never acknowledged: timed out after 127 s, its place free", () => {
    const { scene, listener, socket } = opened()
    scene.wait(127 * SECOND - 1)
    expect(scene.status(socket).state).toBe("SYN-RECEIVED")
    scene.wait(1)
    expect(scene.status(socket)).toMatchObject({ state: "CLOSED", closed: { reason: "ConnectionTimedOut" } })
    expect(places(scene, listener)).toBe(0)
  })

  test("the SYN again: the SYN-ACK again, the text not twice", () => {
    const { scene, peer, socket } = opened()
    scene.now += SECOND / 2
    expect(fastSyn(peer, cookieOf(scene, peer))).toEqual(["<SYN,ACK> Linux:SYN-again"])
    expect(scene.read(socket)).toBe("hello")
    expect(scene.read(socket)).toBe("(empty)")
  })

  test("an ACK of what was never sent: reset, the connection stays", () => {
    const { scene, peer, socket } = opened()
    peer.ack += 100
    expect(peer.third()).toEqual(["<RST> RFC9293-3.10.7.4:unacceptable-ACK"])
    expect(scene.status(socket).state).toBe("SYN-RECEIVED")
  })

  test("an invalid cookie: an ordinary handshake, with the right cookie, the text not acknowledged", () => {
    const { scene, listener } = listening()
    const peer = new Peer(scene)
    const right = cookieOf(scene, peer)
    const wrong = { cookie: right.cookie.map((octet) => octet ^ 1), experimental: false }
    expect(fastSyn(peer, wrong)).toEqual(["<SYN,ACK> RFC9293-3.10.7.2:SYN"])
    expect(peer.synAck?.segment.ack).toBe(peer.iss + 1)
    expect(peer.synAck?.segment.options.fastOpen).toEqual(right)
    expect(scene.counted()).toEqual({ TCPFastOpenPassiveFail: 1 })
    peer.seq = peer.iss + 1
    peer.text("hello")
    expect(scene.read(scene.accept(listener))).toBe("hello")
  })

  test("the cookie of another address is invalid", () => {
    const { scene } = listening()
    const stolen = cookieOf(scene, new Peer(scene, { address: peerAddress(2) }))
    expect(fastSyn(new Peer(scene), stolen)).toEqual(["<SYN,ACK> RFC9293-3.10.7.2:SYN"])
  })

  test("a SYN with text and without the option: an ordinary handshake", () => {
    const { scene } = listening()
    const peer = new Peer(scene)
    expect(fastSyn(peer, undefined)).toEqual(["<SYN,ACK> RFC9293-3.10.7.2:SYN"])
    expect(scene.counted()).toEqual({})
  })

  test("0x200: no cookie is needed", () => {
    const { scene, listener } = listening({ tcpFastopen: TFO_SERVER | 0x200 })
    expect(fastSyn(new Peer(scene), undefined)).toEqual(["<SYN,ACK> RFC7413-4.2.2:SYN-with-cookie"])
    expect(scene.read(scene.accept(listener))).toBe("hello")
  })

  test("0x400: every listener, for as many as its backlog", () => {
    const { scene, listener } = listening({ tcpFastopen: TFO_SERVER | 0x400, somaxconn: 3 }, 0)
    const { tcb } = scene.status(listener)
    expect(tcb._tag === "LISTEN" && tcb.options.fastOpen).toBe(3)
    const peer = new Peer(scene)
    expect(fastSyn(peer, cookieOf(scene, peer))).toEqual(["<SYN,ACK> RFC7413-4.2.2:SYN-with-cookie"])
  })

  test("0x400 without the server's bit: none", () => {
    const { scene, listener } = listening({ tcpFastopen: TFO_CLIENT | 0x400 }, 0)
    const { tcb } = scene.status(listener)
    expect(tcb._tag === "LISTEN" && tcb.options.fastOpen).toBe(0)
  })

  test("by a cookie of a key that is being given up: open, and the other key's cookie comes with the SYN-ACK", () => {
    const scene = new Scene({ settings: SERVER })
    const fastOpenKey = Uint8Array.from({ length: 2 * FAST_OPEN_KEY }, (_, n) => n)
    scene.listen({ fastOpen: 4, fastOpenKey })
    const [fresh, old] = [0, FAST_OPEN_KEY].map((at) =>
      fastOpenCookie(fastOpenKey.subarray(at, at + FAST_OPEN_KEY), HOST, peerAddress(1)),
    )
    const first = new Peer(scene)
    expect(fastSyn(first, { cookie: old ?? EMPTY, experimental: false })).toEqual([
      "<SYN,ACK> RFC7413-4.2.2:SYN-with-cookie",
    ])
    expect(first.synAck?.segment.options.fastOpen?.cookie).toEqual(fresh)
    expect(scene.counted()).toEqual({ TCPFastOpenPassiveAltKey: 1, TCPFastOpenPassive: 1, PassiveOpens: 1 })
    // A SYN-ACK that is sent again has no cookie.
    const [again] = scene.wait(SECOND)
    expect(again?.segment.options.fastOpen).toBeUndefined()
    const second = new Peer(scene, { port: 40_001 })
    fastSyn(second, { cookie: fresh ?? EMPTY, experimental: false })
    expect(second.synAck?.segment.options.fastOpen).toBeUndefined()
  })

  test("a SYN-ACK that is sent again has no cookie: it may be what some path dropped it for", () => {
    const { scene } = listening()
    const peer = new Peer(scene)
    peer.syn({ options: { ...OFFER, fastOpen: ASK } })
    const [again] = scene.wait(SECOND)
    expect(again?.segment.options.fastOpen).toBeUndefined()
  })

  test("a SYN that asks for a cookie where the queue has no room is not counted as asking", () => {
    const { scene } = listening({ ...SERVER, tcpSyncookies: 2 })
    new Peer(scene).syn({ options: { ...OFFER, fastOpen: ASK } })
    expect(scene.counted()).toEqual({ TCPReqQFullDoCookies: 1, SyncookiesSent: 1 })
  })

  for (const [what, settings, queue] of [
    ["off by tcpFastopen", { tcpFastopen: TFO_CLIENT }, 4],
    ["off by the socket", SERVER, 0],
  ] as const) {
    test(`${what}: the option is not seen`, () => {
      const { scene } = listening(settings, queue)
      const peer = new Peer(scene)
      expect(peer.syn({ options: { ...OFFER, fastOpen: ASK } })).toEqual(["<SYN,ACK> RFC9293-3.10.7.2:SYN"])
      expect(peer.synAck?.segment.options.fastOpen).toBeUndefined()
    })
  }

  test("cookies for SYNs (RFC 4987) come first: no fast open while they are sent", () => {
    const { scene } = listening({ ...SERVER, tcpSyncookies: 2 })
    const peer = new Peer(scene)
    expect(fastSyn(peer, { cookie: new Uint8Array(8), experimental: false })).toEqual([
      "<SYN,ACK> RFC4987-3.6:SYN-cookie",
    ])
    expect(peer.synAck?.segment.options.fastOpen).toBeUndefined()
    expect(peer.synAck?.segment.ack).toBe(peer.iss + 1)
  })

  test("SYN and FIN with a cookie: Linux's profile ignores it", () => {
    const { scene } = listening()
    const peer = new Peer(scene)
    const cookie = cookieOf(scene, peer)
    expect(peer.syn({ flags: SYN | FIN, options: { ...OFFER, fastOpen: cookie } })).toEqual(["drop Linux:SYN-FIN"])
  })
})

describe("the Fast Open queue", () => {
  /** Two places, and cookies for as many peers as asked for, taken while there was room. */
  const queue = (count: number) => {
    const { scene, listener } = listening(SERVER, 2)
    const peers = Array.from({ length: count }, (_, n) => new Peer(scene, { address: peerAddress(n + 1) }))
    const cookies = peers.map((peer) => cookieOf(scene, peer))
    const open = (n: number): string => {
      const peer = peers[n]
      if (peer === undefined) throw new Error("no such peer")
      const [answer = ""] = fastSyn(peer, cookies[n])
      return answer.endsWith("SYN-with-cookie") ? "fast" : answer.endsWith("3.10.7.2:SYN") ? "ordinary" : answer
    }
    return { scene, listener, peers, open }
  }

  test("full: an ordinary handshake without a cookie, and counted", () => {
    const { scene, open } = queue(3)
    expect([open(0), open(1)]).toEqual(["fast", "fast"])
    scene.counted()
    expect(open(2)).toBe("ordinary")
    expect(scene.counted()).toEqual({ TCPFastOpenListenOverflow: 1 })
  })

  test("a place comes free with the ACK of the SYN-ACK", () => {
    const { scene, listener, peers, open } = queue(3)
    open(0)
    open(1)
    peers[0]?.third()
    expect(places(scene, listener)).toBe(1)
    expect(open(2)).toBe("fast")
  })

  test("a reset keeps its place for 60 s", () => {
    const { scene, listener, peers, open } = queue(4)
    open(0)
    open(1)
    // Accepted first: Linux keeps the place only then, and counts the others as the accept queue's.
    scene.accept(listener)
    peers[0]?.send({ flags: RST })
    expect(open(2)).toBe("ordinary")
    scene.now += 60 * SECOND - 1
    expect(open(3)).toBe("ordinary")
    scene.now += 1
    scene.wait(0)
    const late = new Peer(scene, { address: peerAddress(3), port: 41_000 })
    const cookie = cookieOf(scene, late)
    expect(fastSyn(late, cookie)).toEqual(["<SYN,ACK> RFC7413-4.2.2:SYN-with-cookie"])
  })

  test("closing the listener resets what was opened by its SYN and not accepted", () => {
    const { scene, listener, open } = queue(1)
    open(0)
    scene.host.close(listener, scene.now)
    expect(sent(scene.turn())).toEqual(["<RST,ACK>"])
    expect(scene.states()).toEqual([])
  })
})

/** Our host as the client, its server made by hand. */
describe("a Fast Open client", () => {
  const remote = { address: peerAddress(1), port: 7 }
  const COOKIE = { cookie: new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]), experimental: false }
  /** Connects with data for the SYN; the SYN as it left. */
  const dial = (scene: Scene, words: string) => {
    const options = defaultSocketOptions
    const socket = granted(scene.host.connect({ remote, local: {}, options, fastOpen: octets(words) }, scene.now))
    scene.turn()
    const [syn] = scene.took()
    if (syn === undefined) throw new Error("no SYN")
    return { socket, syn }
  }
  /** Answers a SYN. */
  const answer = (scene: Scene, syn: ReturnType<typeof dial>["syn"], ack: number, fastOpen: TcpOptions["fastOpen"]) => {
    const { packet } = handMade(scene, syn)
    const options = { mss: 1460, tsVal: 1, tsEcr: syn.segment.options.tsVal, fastOpen }
    return scene.batch([packet({ flags: SYN | ACK, seq: 9000, ack, options })])
  }
  const handMade = (scene: Scene, syn: ReturnType<typeof dial>["syn"]) => {
    const peer = new Peer(scene, { address: remote.address, port: remote.port, to: syn.from })
    return { packet: peer.packet.bind(peer) }
  }
  const client = () => new Scene({ settings: { tcpFastopen: TFO_CLIENT } })
  /** A client that has the server's cookie. */
  const knowing = () => {
    const scene = client()
    const { socket, syn } = dial(scene, "first")
    answer(scene, syn, syn.segment.seq + 1, COOKIE)
    scene.host.abort(socket, scene.now)
    scene.turn()
    scene.took()
    scene.counted()
    return scene
  }

  test("without a cookie asks for one; the data follows the handshake", () => {
    const scene = client()
    const { syn } = dial(scene, "hello")
    expect([syn.segment.payload.length, syn.segment.options.fastOpen?.cookie.length]).toEqual([0, 0])
    expect(answer(scene, syn, syn.segment.seq + 1, COOKIE)).toEqual(["<ACK>+5 RFC9293-3.10.2:send"])
  })

  test("with a cookie: data in the SYN, nothing more when it is acknowledged", () => {
    const scene = knowing()
    const { socket, syn } = dial(scene, "hello")
    expect(syn.segment.options.fastOpen).toEqual(COOKIE)
    expect(new TextDecoder().decode(syn.segment.payload)).toBe("hello")
    expect(answer(scene, syn, syn.segment.seq + 6, undefined)).toEqual(["<ACK> RFC9293-3.10.7.3:SYN-acknowledged"])
    expect(scene.status(socket)).toMatchObject({ state: "ESTABLISHED", sendQ: 0 })
    expect(scene.counted()).toMatchObject({ TCPFastOpenActive: 1 })
  })

  test("data that the server did not take leaves again at once", () => {
    const scene = knowing()
    const { socket, syn } = dial(scene, "hello")
    const answers = answer(scene, syn, syn.segment.seq + 1, undefined)
    expect(sent(answers)).toEqual(["<ACK>+5"])
    expect(scene.took()[0]?.segment.seq).toBe((syn.segment.seq + 1) >>> 0)
    expect(scene.status(socket).state).toBe("ESTABLISHED")
    expect(scene.counted()).toMatchObject({ TCPFastOpenActiveFail: 1 })
  })

  test("data of which the server took a part: the rest leaves", () => {
    const scene = knowing()
    const { syn } = dial(scene, "hello")
    expect(sent(answer(scene, syn, syn.segment.seq + 4, undefined))).toEqual(["<ACK>+2"])
  })

  test("a SYN-ACK for more than the SYN had: reset", () => {
    const scene = knowing()
    const { syn } = dial(scene, "hello")
    expect(answer(scene, syn, syn.segment.seq + 7, undefined)).toEqual(["<RST> RFC9293-3.10.7.3:unacceptable-ACK"])
  })

  test("its SYN lost: the next one is plain, without option and data", () => {
    const scene = knowing()
    dial(scene, "hello")
    const [again] = scene.wait(SECOND)
    expect([again?.segment.flags, again?.segment.payload.length, again?.segment.options.fastOpen]).toEqual([
      SYN,
      0,
      undefined,
    ])
  })

  test("its SYN lost, the plain one answered: the data follows", () => {
    const scene = knowing()
    const { syn } = dial(scene, "hello")
    scene.wait(SECOND)
    expect(sent(answer(scene, syn, syn.segment.seq + 1, undefined))).toEqual(["<ACK>+5"])
  })

  test("data beyond one segment: what fits goes with the SYN, the rest after the handshake", () => {
    const scene = knowing()
    const { syn } = dial(scene, "x".repeat(3000))
    const { length } = syn.segment.payload
    expect(length).toBeGreaterThan(1400)
    expect(length + 40).toBeLessThanOrEqual(1460)
    answer(scene, syn, syn.segment.seq + 1 + length, undefined)
    expect(scene.took().reduce((sum, { segment }) => sum + segment.payload.length, 0)).toBe(3000 - length)
  })

  test("a cookie in the SYN-ACK is kept, also when the data was refused", () => {
    const scene = knowing()
    const fresh = { cookie: new Uint8Array(8).fill(9), experimental: false }
    const first = dial(scene, "hello")
    answer(scene, first.syn, first.syn.segment.seq + 1, fresh)
    scene.took()
    expect(dial(scene, "x").syn.segment.options.fastOpen).toEqual(fresh)
  })

  test("off by tcpFastopen: no option; the data follows the handshake", () => {
    const scene = new Scene({ settings: { tcpFastopen: TFO_SERVER } })
    const { syn } = dial(scene, "hello")
    expect(syn.segment.options.fastOpen).toBeUndefined()
    expect(sent(answer(scene, syn, syn.segment.seq + 1, undefined))).toEqual(["<ACK>+5"])
  })

  test("against our own server: one round trip less the second time", () => {
    const server = new Scene({ settings: SERVER, host: remote.address, secret: 2 })
    const listener = server.listen({ port: 7, fastOpen: 4 })
    const scene = client()
    const exchange = (words: string): ReadonlyArray<string> => {
      const { syn } = dial(scene, words)
      server.batch([packetOf(syn)])
      const early = server.host.accept(listener)
      const got = early === undefined ? "" : server.read(early)
      const [synAck] = server.took()
      if (synAck === undefined) throw new Error("no SYN-ACK")
      scene.batch([packetOf(synAck)])
      for (const said of scene.took()) server.put(packetOf(said))
      server.turn()
      server.took()
      const late = early ?? server.accept(listener)
      return [got, got === "" ? server.read(late) : ""]
    }
    expect(exchange("one")).toEqual(["", "one"])
    expect(exchange("two")).toEqual(["two", ""])
  })
})
