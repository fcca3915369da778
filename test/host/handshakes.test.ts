import { describe, expect, test } from "bun:test"
import type { SocketId } from "../../src/host/types.ts"
import { TFO_CLIENT, TFO_SERVER } from "../../src/tcp/fastOpen.ts"
import type { TcpSettings } from "../../src/tcp/settings.ts"
import { defaultSocketOptions, isSynchronized, type Synchronized } from "../../src/tcp/tcb.ts"
import { type IpAddress, ipv4, ipv6 } from "../../src/wire/address.ts"
import { ACK, EMPTY, RST, type Segment, SYN } from "../../src/wire/tcpSegment.ts"
import { A6, B, B6, digest, MAC_B, type Node, Pair, pattern, text, VERSIONS } from "./lab.ts"
import { ndpFrame, Stranger, segmentOf, type TcpFields, tcp6Frame, tcpFrame } from "./stranger.ts"

/** Handshakes of which the server keeps no state, or which carry text: over either IP version. */

const openTcb = (node: Node, socket: SocketId): Synchronized => {
  const tcb = node.host.status(socket)?.tcb
  if (tcb === undefined || !isSynchronized(tcb)) throw new Error("not open")
  return tcb
}

/** A host that listens at port 7, and segments to it by hand from either of two addresses of its network. */
const byHand = (version: "IPv4" | "IPv6", settings: Partial<TcpSettings>, options = {}) => {
  const is4 = version === "IPv4"
  const six = { address: A6, prefixLength: 64, iface: { dadTransmits: 0 }, settings }
  const stranger = new Stranger(is4 ? { settings } : six, is4 ? B : B6)
  const addressOf = (n: number): IpAddress => (is4 ? ipv4(0xc6120002 + n) : ipv6(0x20010db8, 0, 0, 2 + n))
  for (const source of [addressOf(0), addressOf(1)]) {
    const asked = { _tag: "NeighbourSolicitation", target: A6, sourceMac: MAC_B } as const
    if (is4) stranger.introduce(MAC_B, source)
    else stranger.send(ndpFrame(asked, { source, destination: A6 }))
  }
  const listener = stranger.host.listen(7, options)
  const send = (fields: TcpFields, n = 0): ReadonlyArray<Segment> => {
    const source = addressOf(n)
    const frame = is4 ? tcpFrame({ ...fields, source }) : tcp6Frame({ ...fields, source, destination: A6 })
    const seen = stranger.send(frame)
    return seen.filter(({ kind }) => kind === "tcp").map(segmentOf)
  }
  return { host: stranger.host, listener, send }
}

for (const { version, a, b } of VERSIONS) {
  const pairOf = (client: Partial<TcpSettings>, server: Partial<TcpSettings>) =>
    new Pair({ ...a, settings: client }, { ...b, settings: server })

  describe(`SYN cookies over ${version}`, () => {
    const ALWAYS = { tcpSyncookies: 2 } as const

    test("what the client has offered comes back with its ACK", () => {
      const pair = pairOf({}, ALWAYS)
      const { client, server } = pair.open()
      expect([pair.b.counter("SyncookiesSent"), pair.b.counter("SyncookiesRecv")]).toEqual([1, 1])
      const { link, snd } = openTcb(pair.b, server)
      const { agreed } = openTcb(pair.a, client).link
      expect(link.agreed).toMatchObject({ sndScale: agreed.rcvScale, timestamps: true, sack: true })
      // The client's MSS is one of those that a cookie has room for; the timestamps take 12 of it.
      expect(snd.mss).toBe(version === "IPv4" ? 1448 : 1428)
      const data = pattern(50_000)
      pair.a.write(client, data)
      pair.settle()
      expect(digest(pair.b.readBytes(server))).toBe(digest(data))
    })

    test("the cookie of one address is none for another: reset, and counted", () => {
      const { host, listener, send } = byHand(version, ALWAYS)
      const [synAck] = send({ sourcePort: 1, seq: 100, flags: SYN })
      const ack = { sourcePort: 1, seq: 101, ack: ((synAck?.seq ?? 0) + 1) >>> 0, flags: ACK }
      expect(send(ack, 1).map(({ flags }) => flags)).toEqual([RST])
      expect(host.counter("SyncookiesFailed")).toBe(1)
      expect(send(ack)).toEqual([])
      expect(host.accept(listener)).toBeDefined()
    })

    test("a thousand SYNs from nobody: all answered, few kept", () => {
      const { host, send } = byHand(version, { tcpSyncookies: 1 }, { backlog: 16 })
      for (let port = 1000; port < 2000; port++) expect(send({ sourcePort: port, flags: SYN }).length).toBe(1)
      expect(host.states().length).toBeLessThanOrEqual(17)
      expect(host.counter("SyncookiesSent")).toBeGreaterThan(900)
    })
  })

  describe(`Fast Open over ${version}`, () => {
    const dial = (pair: Pair, words: string): SocketId => {
      const remote = { address: b.address, port: 7 }
      const call = { remote, local: {}, options: defaultSocketOptions, fastOpen: text(words) }
      const socket = pair.a.host.connect(call, pair.now)
      if (typeof socket !== "number") throw new Error(`refused: ${socket.why}`)
      return socket
    }

    test("the first SYN asks for a cookie, the second has it and its text", () => {
      const pair = pairOf({ tcpFastopen: TFO_CLIENT }, { tcpFastopen: TFO_SERVER })
      const listener = pair.b.listen(7, { fastOpen: 4 })
      dial(pair, "first")
      pair.settle()
      expect(pair.b.read(pair.b.accept(listener))).toBe("first")
      expect([pair.b.counter("TCPFastOpenCookieReqd"), pair.a.counter("TCPFastOpenActive")]).toEqual([1, 0])
      dial(pair, "second")
      // The neighbours know each other: one turn of each brings the SYN, and what it carries.
      pair.a.turn()
      pair.b.turn()
      expect(pair.b.read(pair.b.accept(listener))).toBe("second")
      pair.settle()
      expect([pair.a.counter("TCPFastOpenActive"), pair.b.counter("TCPFastOpenPassive")]).toEqual([1, 1])
    })

    test("a cookie is of 8 octets, the same for an address each time, and no other's", () => {
      const { host, send } = byHand(version, { tcpFastopen: TFO_SERVER }, { fastOpen: 4 })
      const asked = { cookie: EMPTY, experimental: false }
      const granted = (n: number, sourcePort: number) => {
        const [synAck] = send({ sourcePort, flags: SYN, options: { mss: 1220, fastOpen: asked } }, n)
        const { fastOpen } = synAck?.options ?? {}
        if (fastOpen === undefined) throw new Error("no cookie")
        return fastOpen
      }
      const own = granted(0, 1)
      expect(own.cookie.length).toBe(8)
      expect(granted(0, 2)).toEqual(own)
      expect(granted(1, 1).cookie).not.toEqual(own.cookie)
      // Brought by another, it is refused: an ordinary handshake, the text not acknowledged.
      const stolen = { sourcePort: 3, seq: 9, flags: SYN, options: { mss: 1220, fastOpen: own }, payload: text("mine") }
      expect(send(stolen, 1).map(({ ack }) => ack)).toEqual([10])
      expect(host.counter("TCPFastOpenPassiveFail")).toBe(1)
      expect(send(stolen, 0).map(({ ack }) => ack)).toEqual([14])
      expect(host.counter("TCPFastOpenPassive")).toBe(1)
    })

    test("a server that has none of it: the text follows the handshake", () => {
      const pair = pairOf({ tcpFastopen: TFO_CLIENT }, { tcpFastopen: 0 })
      const listener = pair.b.listen(7, { fastOpen: 4 })
      for (const words of ["once", "twice"]) {
        dial(pair, words)
        pair.settle()
        expect(pair.b.read(pair.b.accept(listener))).toBe(words)
      }
      expect(pair.a.counter("TCPFastOpenActive")).toBe(0)
    })
  })
}
