import { describe, expect, test } from "bun:test"
import type { HostRefusal, SocketId } from "../../src/host/types.ts"
import { defaultUdpOptions, type UdpDatagram, type UdpOptions } from "../../src/host/udp/types.ts"
import { BROADCAST4, type Endpoint, type IpAddress, ipv4, UNSPECIFIED4, UNSPECIFIED6 } from "../../src/wire/address.ts"
import { BROADCAST_MAC } from "../../src/wire/ethernet.ts"
import { FRAGMENTATION_NEEDED, HOST_UNREACHABLE, type IcmpMessage, PORT_UNREACHABLE } from "../../src/wire/icmp.ts"
import { A, B, C, digest, type Node, type NodeOptions, Pair, pattern, SECOND, string, text } from "./lab.ts"
import { icmpFrame, Stranger, udpFrame } from "./stranger.ts"

const GROUP = ipv4(0xefc00001)
const NETWORK = ipv4(0xc61200ff)

const at = (address: IpAddress, port: number): Endpoint => ({ address, port })

const refusal = (result: unknown): string | undefined =>
  typeof result === "object" && result !== null && "errno" in result ? String(result.errno) : undefined

const opened = (node: Node, local: Endpoint | undefined, options: Partial<UdpOptions> = {}): SocketId => {
  const socket = node.host.udp.socket({ ...defaultUdpOptions, ...options })
  const refused = local === undefined ? undefined : node.host.udp.bind(socket, local)
  if (refused !== undefined) throw new Error(`${refused.errno} ${refused.why}`)
  return socket
}

const tryBind = (node: Node, local: Endpoint, options: Partial<UdpOptions> = {}): HostRefusal | undefined =>
  node.host.udp.bind(node.host.udp.socket({ ...defaultUdpOptions, ...options }), local)

const send = (node: Node, socket: SocketId, payload: Uint8Array, to?: Endpoint): string | undefined =>
  refusal(node.host.udp.send(socket, payload, to, node.now))

const received = (node: Node, socket: SocketId): ReadonlyArray<UdpDatagram> => {
  const all: Array<UdpDatagram> = []
  for (;;) {
    const datagram = node.host.udp.receive(socket)
    if (datagram === "empty") return all
    if ("errno" in datagram) throw new Error(datagram.errno)
    all.push(datagram)
  }
}

const texts = (node: Node, socket: SocketId): ReadonlyArray<string> =>
  received(node, socket).map(({ payload }) => string(payload))

describe("a datagram", () => {
  test("arrives whole, with both its ends, TTL and TOS", () => {
    const { a, b, settle } = paired()
    const server = opened(b, at(UNSPECIFIED4, 7))
    const client = opened(a, at(A, 4000), { ttl: 9, tos: 0xb8 })
    expect(send(a, client, text("hello"), at(B, 7))).toBeUndefined()
    settle()
    const [datagram] = received(b, server)
    expect(string(datagram?.payload ?? new Uint8Array())).toBe("hello")
    expect(datagram).toMatchObject({ source: at(A, 4000), destination: at(B, 7), ttl: 9, tos: 0xb8, interface: 0 })
    expect(b.heard(server)).toEqual(["readable"])
    expect([a.counter("UdpOutDatagrams"), b.counter("UdpInDatagrams")]).toEqual([1, 1])
  })

  test("of no octets is one too", () => {
    const { a, b, settle } = paired()
    const server = opened(b, at(B, 7))
    send(a, opened(a, undefined), new Uint8Array(), at(B, 7))
    settle()
    expect(received(b, server).map(({ payload }) => payload.length)).toEqual([0])
  })

  test.each([1471, 1472, 1473, 2952, 2953, 8000, 65506, 65507])("of %i octets arrives as it was sent", (size) => {
    const { a, b, settle } = paired()
    const server = opened(b, at(B, 7))
    const payload = pattern(size, size)
    expect(send(a, opened(a, undefined), payload, at(B, 7))).toBeUndefined()
    settle()
    const [datagram, ...more] = received(b, server)
    expect(digest(datagram?.payload ?? new Uint8Array())).toBe(digest(payload))
    expect(more).toEqual([])
    const fragments = size > 1472 ? Math.ceil((size + 8) / 1480) : 0
    expect([a.counter("IpFragCreates"), b.counter("IpReasmReqds")]).toEqual([fragments, fragments])
    expect([a.counter("IpFragOKs"), b.counter("IpReasmOKs")]).toEqual(fragments > 0 ? [1, 1] : [0, 0])
  })

  test("of 65508 octets is refused: EMSGSIZE", () => {
    const { a } = paired()
    expect(send(a, opened(a, undefined), new Uint8Array(65508), at(B, 7))).toBe("EMSGSIZE")
  })

  test("that may not be fragmented and is longer than the link takes is refused: EMSGSIZE", () => {
    const { a, b, settle } = paired()
    const server = opened(b, at(B, 7))
    const socket = opened(a, undefined, { dontFragment: true })
    expect(send(a, socket, pattern(1473), at(B, 7))).toBe("EMSGSIZE")
    expect(send(a, socket, pattern(1472), at(B, 7))).toBeUndefined()
    settle()
    expect(received(b, server)).toHaveLength(1)
  })

  test("before the neighbour is known: all fragments wait, and all leave", () => {
    const { a, b, settle } = paired()
    const server = opened(b, at(B, 7))
    const socket = opened(a, undefined)
    for (let i = 0; i < 3; i++) send(a, socket, pattern(20_000, i), at(B, 7))
    settle()
    expect(received(b, server).map(({ payload }) => payload.length)).toEqual([20_000, 20_000, 20_000])
  })

  test("with an octet changed on the way: dropped and counted", () => {
    const stranger = new Stranger()
    const server = opened(stranger.host, at(A, 9999))
    const frame = udpFrame(pattern(20))
    frame[frame.length - 1] = (frame.at(-1) ?? 0) ^ 1
    expect(stranger.send(frame)).toEqual([])
    expect(received(stranger.host, server)).toEqual([])
    expect(stranger.host.drops).toEqual(["udp:bad-checksum"])
    expect([stranger.host.counter("UdpInCsumErrors"), stranger.host.counter("UdpInErrors")]).toEqual([1, 1])
  })

  test("without a checksum over IPv4: taken (RFC 768)", () => {
    const stranger = new Stranger()
    const server = opened(stranger.host, at(A, 9999))
    const frame = udpFrame(pattern(20))
    frame.fill(0, 14 + 20 + 6, 14 + 20 + 8)
    stranger.send(frame)
    expect(received(stranger.host, server)).toHaveLength(1)
  })

  test("to ourselves arrives, at the end of the batch", () => {
    const { a, settle } = paired()
    const server = opened(a, at(UNSPECIFIED4, 7))
    const client = opened(a, undefined)
    send(a, client, pattern(5000), at(A, 7))
    expect(received(a, server)).toEqual([])
    settle()
    const [datagram] = received(a, server)
    expect(digest(datagram?.payload ?? new Uint8Array())).toBe(digest(pattern(5000)))
    expect(datagram?.source.address).toEqual(A)
  })

  test("two of ours that answer each other for ever do not stop the batch", () => {
    const { a } = paired()
    const left = opened(a, at(A, 1))
    const right = opened(a, at(A, 2))
    send(a, left, text("x"), at(A, 2))
    for (let turns = 0; turns < 100; turns++) {
      a.turn()
      for (const [from, to] of [[left, 2] as const, [right, 1] as const]) {
        for (const _ of received(a, from)) send(a, from, text("x"), at(A, to))
      }
    }
    expect(a.counter("UdpOutDatagrams")).toBeGreaterThan(50)
    expect(a.host.nextDeadline()).toBe(0)
  })
})

describe("which socket a datagram is for", () => {
  const cases: ReadonlyArray<
    readonly [
      title: string,
      sockets: ReadonlyArray<{
        readonly local: Endpoint
        readonly peer?: Endpoint
        readonly options?: Partial<UdpOptions>
      }>,
      winner: number,
    ]
  > = [
    ["an exact address before any", [{ local: at(A, 9999) }, { local: at(UNSPECIFIED4, 9999) }], 0],
    ["any address, where no other is", [{ local: at(UNSPECIFIED4, 9999) }, { local: at(A, 9998) }], 0],
    ["a peer before everybody", [{ local: at(A, 9999), peer: at(B, 5353) }, { local: at(A, 9999) }], 0],
    ["everybody, where the peer is another", [{ local: at(A, 9999), peer: at(B, 5354) }, { local: at(A, 9999) }], 1],
    ["of equals the youngest", [{ local: at(A, 9999) }, { local: at(A, 9999) }], 1],
  ]
  test.each(cases)("%s", (_, sockets, winner) => {
    const stranger = new Stranger()
    stranger.introduce()
    const ids = sockets.map(({ local, peer, options }) => {
      const id = opened(stranger.host, local, { reuseAddress: true, ...options })
      if (peer !== undefined) expect(stranger.host.host.udp.connect(id, peer)).toBeUndefined()
      return id
    })
    stranger.send(udpFrame(text("x")))
    expect(ids.map((id) => texts(stranger.host, id).length)).toEqual(
      sockets.map((_, index) => (index === winner ? 1 : 0)),
    )
  })

  test("SO_REUSEPORT: each flow to one of them, always the same, and every one has some", () => {
    const { a, b, settle } = paired()
    meet(a, settle)
    const servers = Array.from({ length: 4 }, () => opened(b, at(B, 7), { reusePort: true }))
    const clients = Array.from({ length: 64 }, () => opened(a, undefined))
    const round = (): ReadonlyArray<ReadonlyArray<number>> => {
      for (const client of clients) send(a, client, text("x"), at(B, 7))
      settle()
      return servers.map((id) => received(b, id).map(({ source }) => source.port))
    }
    const first = round()
    expect(first.flat()).toHaveLength(64)
    expect(Math.min(...first.map(({ length }) => length))).toBeGreaterThan(0)
    expect(round()).toEqual(first)
  })

  test("none: port unreachable, and counted", () => {
    const { a, b, settle } = paired()
    send(a, opened(a, undefined), text("x"), at(B, 7))
    settle()
    expect(b.counter("UdpNoPorts")).toBe(1)
  })

  test("one that is closed: none any more", () => {
    const { a, b, settle } = paired()
    const server = opened(b, at(B, 7))
    b.close(server)
    send(a, opened(a, undefined), text("x"), at(B, 7))
    settle()
    expect(b.counter("UdpNoPorts")).toBe(1)
    expect(b.host.udp.sockets()).toEqual([])
    expect(tryBind(b, at(B, 7))).toBeUndefined()
  })
})

describe("bind", () => {
  test.each<[string, Endpoint, Partial<UdpOptions>, string | undefined]>([
    ["the same address and port", at(A, 7), {}, "EADDRINUSE"],
    ["any address, the same port", at(UNSPECIFIED4, 7), {}, "EADDRINUSE"],
    ["any address of both families", at(UNSPECIFIED6, 7), {}, "EADDRINUSE"],
    ["SO_REUSEADDR on one side only", at(A, 7), { reuseAddress: true }, "EADDRINUSE"],
    ["another port", at(A, 8), {}, undefined],
    ["somebody else's address", at(C, 8), {}, "EADDRNOTAVAIL"],
    ["somebody else's address, IP_FREEBIND", at(C, 8), { freeBind: true }, undefined],
    ["a group", at(GROUP, 8), {}, undefined],
    ["the network's broadcast address", at(NETWORK, 8), {}, undefined],
    ["no port", at(A, 65536), {}, "EINVAL"],
  ])("while A:7 is bound: %s", (_, local, options, errno) => {
    const { a } = paired()
    opened(a, at(A, 7))
    expect(tryBind(a, local, options)?.errno).toBe(errno as never)
  })

  test("both with SO_REUSEADDR, or both with SO_REUSEPORT: shared", () => {
    const { a } = paired()
    opened(a, at(A, 7), { reuseAddress: true })
    expect(tryBind(a, at(A, 7), { reuseAddress: true })).toBeUndefined()
    opened(a, at(A, 8), { reusePort: true })
    expect(tryBind(a, at(A, 8), { reusePort: true })).toBeUndefined()
    expect(tryBind(a, at(A, 8), { reuseAddress: true })?.errno).toBe("EADDRINUSE")
  })

  test("below ipUnprivilegedPortStart: EACCES", () => {
    const { a } = paired({ settings: { ipUnprivilegedPortStart: 1024 } })
    expect(tryBind(a, at(A, 1023))?.errno).toBe("EACCES")
    expect(tryBind(a, at(A, 1024))).toBeUndefined()
  })

  test("twice: EINVAL", () => {
    const { a } = paired()
    expect(refusal(a.host.udp.bind(opened(a, at(A, 7)), at(A, 8)))).toBe("EINVAL")
  })

  test("port 0: free ones of the range, each once, in no order; then EADDRINUSE", () => {
    const { a } = paired({ settings: { ipLocalPortRange: [40_000, 40_099] } })
    const ports = Array.from({ length: 100 }, () => a.host.udp.status(opened(a, at(A, 0)))?.local.port ?? 0)
    expect([...ports].sort((x, y) => x - y)).toEqual(Array.from({ length: 100 }, (_, index) => 40_000 + index))
    const steps = ports.slice(1, 50).filter((port, index) => port === (ports[index] ?? 0) + 1)
    expect(steps.length).toBeLessThan(10)
    expect(tryBind(a, at(A, 0))?.errno).toBe("EADDRINUSE")
  })

  test("port 0 begins anywhere each time, and elsewhere for another secret (RFC 6056 section 3.3.1)", () => {
    const bound = (secret: number) => {
      const { a } = new Pair({ secret })
      return Array.from({ length: 20 }, () => a.host.udp.status(opened(a, at(A, 0)))?.local.port ?? 0)
    }
    const ports = bound(5)
    const steps = ports.slice(1).map((port, index) => port - (ports[index] ?? 0))
    expect(Math.min(...steps.map(Math.abs))).toBeGreaterThan(1)
    expect(bound(5)).toEqual(ports)
    expect(bound(6).filter((port) => ports.includes(port)).length).toBeLessThan(3)
  })

  test("TCP's ports and UDP's are not the same", () => {
    const { a } = paired()
    a.listen(7)
    expect(tryBind(a, at(A, 7))).toBeUndefined()
  })
})

describe("a socket with a peer", () => {
  test("speaks as the route's address, hears only the peer, and hears all again without", () => {
    const stranger = new Stranger()
    stranger.introduce()
    const socket = opened(stranger.host, at(UNSPECIFIED4, 9999))
    const { udp } = stranger.host.host
    udp.connect(socket, at(B, 5354))
    expect(udp.status(socket)).toMatchObject({ local: at(A, 9999), remote: at(B, 5354) })
    const [answer] = stranger.send(udpFrame(text("x")))
    expect(answer).toMatchObject({ kind: "icmp", icmp: { _tag: "DestinationUnreachable" } })
    udp.connect(socket, at(B, 5353))
    stranger.send(udpFrame(text("peer")))
    udp.connect(socket, undefined)
    expect(udp.status(socket)).toMatchObject({ local: at(UNSPECIFIED4, 9999), remote: undefined })
    stranger.send(udpFrame(text("anybody")))
    expect(texts(stranger.host, socket)).toEqual(["peer", "anybody"])
  })

  test("that nobody answers for: told ECONNREFUSED with the destination and who said so", () => {
    const { a, settle } = paired()
    const socket = opened(a, undefined)
    a.host.udp.connect(socket, at(B, 7))
    send(a, socket, text("x"))
    settle()
    expect(a.heard(socket)).toEqual(["error"])
    expect(a.host.udp.takeError(socket)).toMatchObject({
      problem: "PortUnreachable",
      errno: "ECONNREFUSED",
      isHard: true,
      from: B,
      destination: at(B, 7),
    })
    expect(a.host.udp.takeError(socket)).toBeUndefined()
  })

  test("behind a neighbour that does not answer: told so after the last solicitation", () => {
    const pair = new Pair()
    const socket = opened(pair.a, undefined)
    send(pair.a, socket, pattern(5000), at(C, 7))
    pair.wait(4 * SECOND)
    expect(pair.a.host.udp.takeError(socket)).toMatchObject({
      problem: "HostUnreachable",
      from: A,
      destination: at(C, 7),
    })
  })
})

describe("what cannot be sent", () => {
  test.each<[string, Endpoint | undefined, Partial<UdpOptions>, string]>([
    ["without a destination", undefined, {}, "EDESTADDRREQ"],
    ["to port 0", at(B, 0), {}, "EINVAL"],
    ["to 0.0.0.0", at(UNSPECIFIED4, 7), {}, "EINVAL"],
    ["where no route leads", at(ipv4(0x08080808), 7), {}, "ENETUNREACH"],
    ["to everybody without SO_BROADCAST", at(BROADCAST4, 7), {}, "EACCES"],
    ["to everybody on the network without SO_BROADCAST", at(NETWORK, 7), {}, "EACCES"],
  ])("%s: refused", (_, to, options, errno) => {
    const { a } = paired()
    expect(send(a, opened(a, undefined, options), text("x"), to)).toBe(errno)
    expect(a.counter("UdpOutDatagrams")).toBe(0)
  })

  test("to the other family: EAFNOSUPPORT", () => {
    const { a } = paired()
    expect(send(a, opened(a, at(A, 7)), text("x"), at(UNSPECIFIED6, 7))).toBe("EAFNOSUPPORT")
  })
})

describe("broadcast and multicast", () => {
  test.each([BROADCAST4, NETWORK])("to everybody: one copy for each socket of the port, our own among them", (to) => {
    const { a, b, settle } = paired()
    const hearing = [0, 1].map(() => opened(b, at(UNSPECIFIED4, 7), { reuseAddress: true }))
    const elsewhere = opened(b, at(B, 7), { reuseAddress: true })
    const own = opened(a, at(UNSPECIFIED4, 7))
    send(a, opened(a, undefined, { broadcast: true }), text("all"), at(to, 7))
    settle()
    expect(hearing.map((id) => texts(b, id))).toEqual([["all"], ["all"]])
    // It is bound to an address that nobody spoke to.
    expect(texts(b, elsewhere)).toEqual([])
    expect(texts(a, own)).toEqual(["all"])
  })

  test("to everybody, in fragments", () => {
    const { a, b, settle } = paired()
    const hearing = opened(b, at(UNSPECIFIED4, 7))
    send(a, opened(a, undefined, { broadcast: true }), pattern(4000), at(NETWORK, 7))
    settle()
    expect(received(b, hearing).map(({ payload }) => digest(payload))).toEqual([digest(pattern(4000))])
  })

  test("a group: those that have joined, with a TTL of 1, until they leave", () => {
    const { a, b, settle } = paired()
    const member = opened(b, at(UNSPECIFIED4, 7), { reuseAddress: true })
    const stranger = opened(b, at(UNSPECIFIED4, 7), { reuseAddress: true })
    const sender = opened(a, undefined)
    const round = (): ReadonlyArray<ReadonlyArray<UdpDatagram>> => {
      expect(send(a, sender, text("group"), at(GROUP, 7))).toBeUndefined()
      settle()
      return [received(b, member), received(b, stranger)]
    }
    expect(b.host.udp.join(member, GROUP, undefined, 0)).toBeUndefined()
    expect(round()).toMatchObject([[{ ttl: 1, destination: at(GROUP, 7), source: { address: A } }], []])
    expect(refusal(b.host.udp.join(member, GROUP, undefined, 0))).toBe("EADDRINUSE")
    expect(b.host.udp.leave(member, GROUP, undefined, 0)).toBeUndefined()
    expect(round()).toEqual([[], []])
    expect(b.drops).toContain("ipv4:not-for-us")
    expect(refusal(b.host.udp.leave(member, GROUP, undefined, 0))).toBe("EADDRNOTAVAIL")
  })

  test("a group of which we are members ourselves: our copy comes with IP_MULTICAST_LOOP only", () => {
    for (const multicastLoop of [true, false]) {
      const { a, settle } = paired()
      const member = opened(a, at(UNSPECIFIED4, 7))
      a.host.udp.join(member, GROUP, undefined, 0)
      send(a, opened(a, undefined, { multicastLoop }), text("x"), at(GROUP, 7))
      settle()
      expect(texts(a, member)).toEqual(multicastLoop ? ["x"] : [])
    }
  })

  test("an address that is no group, a twenty-first group, an interface that is none: refused", () => {
    const { a } = paired()
    const socket = opened(a, undefined)
    expect(refusal(a.host.udp.join(socket, B, undefined, 0))).toBe("EINVAL")
    expect(refusal(a.host.udp.join(socket, GROUP, 3, 0))).toBe("ENODEV")
    for (let i = 0; i < 20; i++) expect(a.host.udp.join(socket, ipv4(0xefc00100 + i), undefined, 0)).toBeUndefined()
    expect(refusal(a.host.udp.join(socket, GROUP, undefined, 0))).toBe("ENOBUFS")
  })

  test("to everybody on a port that nobody has: silence (RFC 1122 section 3.2.2)", () => {
    const stranger = new Stranger()
    stranger.introduce()
    expect(stranger.send(udpFrame(text("x"), { destination: NETWORK }, BROADCAST_MAC))).toEqual([])
  })
})

describe("a receive queue", () => {
  test("that is full loses the newest, and says how many", () => {
    const { a, b, settle } = paired()
    meet(a, settle)
    const server = opened(b, at(B, 7), { receiveBuffer: 10_000 })
    const client = opened(a, undefined)
    for (let i = 0; i < 20; i++) send(a, client, pattern(1000, i), at(B, 7))
    settle()
    const waiting = received(b, server)
    // 1000 octets and 512 of overhead each.
    expect(waiting.map(({ payload }) => digest(payload))).toEqual(
      Array.from({ length: 6 }, (_, index) => digest(pattern(1000, index))),
    )
    expect(b.host.udp.status(server)).toMatchObject({ drops: 14, recvQ: 0 })
    expect([b.counter("UdpRcvbufErrors"), b.counter("UdpInErrors"), b.counter("UdpInDatagrams")]).toEqual([14, 14, 6])
  })

  test("empty datagrams fill it too", () => {
    const { a, b, settle } = paired()
    meet(a, settle)
    const server = opened(b, at(B, 7), { receiveBuffer: 5120 })
    const client = opened(a, undefined)
    for (let i = 0; i < 100; i++) send(a, client, new Uint8Array(), at(B, 7))
    settle()
    expect(received(b, server)).toHaveLength(10)
  })

  test("takes one datagram that is larger than it", () => {
    const { a, b, settle } = paired()
    const server = opened(b, at(B, 7), { receiveBuffer: 1000 })
    send(a, opened(a, undefined), pattern(60_000), at(B, 7))
    settle()
    expect(received(b, server)).toHaveLength(1)
  })
})

describe("an ICMP error", () => {
  const errorAbout = (stranger: Stranger, code: number, nextHopMtu = 0): IcmpMessage => {
    const sent = stranger.host.frames?.at(-1)?.subarray(14) ?? new Uint8Array()
    return { _tag: "DestinationUnreachable", code, nextHopMtu, quoted: sent }
  }
  const asked = (options: Partial<UdpOptions> = {}, size = 100) => {
    const stranger = new Stranger()
    stranger.introduce()
    stranger.host.frames = []
    const socket = opened(stranger.host, at(UNSPECIFIED4, 4000), options)
    stranger.host.host.udp.send(socket, pattern(size), at(B, 7), stranger.now)
    stranger.host.turn()
    return { stranger, socket, udp: stranger.host.host.udp }
  }

  test("reaches a socket without a peer as well, with its code", () => {
    const { stranger, socket, udp } = asked()
    stranger.send(icmpFrame(errorAbout(stranger, HOST_UNREACHABLE)))
    expect(udp.takeError(socket)).toMatchObject({ problem: "HostUnreachable", isHard: false, type: 3, code: 1 })
  })

  test("about somebody else's datagram: nobody hears it", () => {
    const { stranger, socket, udp } = asked()
    const message = errorAbout(stranger, PORT_UNREACHABLE)
    if (!("quoted" in message)) throw new Error("no quote")
    const quoted = message.quoted.slice()
    quoted[15] = 77
    stranger.send(icmpFrame({ ...message, quoted }))
    expect(udp.takeError(socket)).toBeUndefined()
  })

  test("sixty-five and more that nobody asks for: the oldest give way", () => {
    const { stranger, socket, udp } = asked()
    for (let i = 0; i < 100; i++)
      stranger.send(icmpFrame(errorAbout(stranger, i < 50 ? HOST_UNREACHABLE : PORT_UNREACHABLE)))
    const all: Array<string> = []
    for (let error = udp.takeError(socket); error !== undefined; error = udp.takeError(socket)) all.push(error.problem)
    expect([all.length, all[0], all.at(-1)]).toEqual([64, "HostUnreachable", "PortUnreachable"])
  })

  test("that the path takes less: EMSGSIZE from then on with DF, shorter fragments without, the link's MTU after ten minutes", () => {
    const { stranger, socket, udp } = asked({ dontFragment: true }, 1400)
    stranger.send(icmpFrame(errorAbout(stranger, FRAGMENTATION_NEEDED, 1000)))
    expect(udp.takeError(socket)).toMatchObject({ problem: "MessageTooBig", errno: "EMSGSIZE", mtu: 1000 })
    const trial = (size: number): string | undefined => send(stranger.host, socket, pattern(size), at(B, 7))
    expect([trial(972), trial(973)]).toEqual([undefined, "EMSGSIZE"])
    udp.setOptions(socket, { dontFragment: false })
    stranger.host.turn()
    stranger.host.frames = []
    expect(trial(1400)).toBeUndefined()
    stranger.host.turn()
    expect(stranger.host.frames.map(({ length }) => length - 14)).toEqual([996, 452])
    udp.setOptions(socket, { dontFragment: true })
    stranger.now += 601 * SECOND
    expect(trial(1472)).toBeUndefined()
  })

  test("that the path takes less than any link may: 552 are believed", () => {
    const { stranger, socket } = asked({ dontFragment: true }, 1400)
    stranger.send(icmpFrame(errorAbout(stranger, FRAGMENTATION_NEEDED, 68)))
    expect(send(stranger.host, socket, pattern(552 - 28), at(B, 7))).toBeUndefined()
    expect(send(stranger.host, socket, pattern(552 - 27), at(B, 7))).toBe("EMSGSIZE")
  })
})

describe("identifications", () => {
  test("one after the other to the same host, elsewhere to another, and not from 0 (RFC 7739)", () => {
    const stranger = new Stranger()
    stranger.introduce()
    stranger.introduce(undefined, C)
    stranger.host.frames = []
    const socket = opened(stranger.host, undefined)
    for (const to of [B, B, C, B]) send(stranger.host, socket, text("x"), at(to, 7))
    stranger.host.turn()
    const ids = stranger.host.frames.map((frame) => ((frame[18] ?? 0) << 8) | (frame[19] ?? 0))
    const [first = 0, second, elsewhere, third] = ids
    expect([second, third]).toEqual([(first + 1) & 0xffff, (first + 2) & 0xffff])
    expect(elsewhere).not.toBe((first + 2) & 0xffff)
  })
})

/** The two learn each other's link addresses: three datagrams at most would wait for them. */
const meet = (node: Node, settle: () => void): void => {
  const echo = node.host.echo.open(0, 0)
  if (typeof echo !== "number") throw new Error(echo.errno)
  const rest = { ttl: 0, tos: 0, dontFragment: false, source: undefined }
  node.host.echo.send(echo, { to: B, sequence: 1, payload: new Uint8Array(), ...rest }, node.now)
  settle()
  expect(node.host.echo.receive(echo)).toMatchObject({ _tag: "Reply", from: B, sequence: 1 })
  node.close(echo)
}

interface Paired {
  readonly a: Node
  readonly b: Node
  readonly settle: () => void
}

const paired = (a: NodeOptions = {}, b: NodeOptions = {}): Paired => {
  const pair = new Pair(a, b)
  return { a: pair.a, b: pair.b, settle: () => pair.settle() }
}
