import { describe, expect, test } from "bun:test"
import type { SocketId } from "../../src/host/types.ts"
import { defaultUdpOptions, type UdpDatagram, type UdpOptions } from "../../src/host/udp/types.ts"
import { type Endpoint, type IpAddress, ipv4, ipv6, UNSPECIFIED4, UNSPECIFIED6 } from "../../src/wire/address.ts"
import { A, A6, B, B6, digest, type Node, type NodeOptions, Pair, pattern, SECOND, string, text } from "./lab.ts"

const GROUP = ipv6(0xff050000, 0, 0, 0x1234)

const at = (address: IpAddress, port: number): Endpoint => ({ address, port })

/** Both have both versions, their addresses in use. */
const paired = (mtu = 1500): Pair => {
  const dual = (four: IpAddress, six: IpAddress): NodeOptions => ({
    mtu,
    address: four,
    iface: {
      dadTransmits: 0,
      addresses: [
        { address: four, prefixLength: 24 },
        { address: six, prefixLength: 64 },
      ],
    },
  })
  const pair = new Pair(dual(A, A6), dual(B, B6))
  pair.wait(5 * SECOND)
  return pair
}

const opened = (node: Node, local: Endpoint | undefined, options: Partial<UdpOptions> = {}): SocketId => {
  const socket = node.host.udp.socket({ ...defaultUdpOptions, ...options })
  const refused = local === undefined ? undefined : node.host.udp.bind(socket, local)
  if (refused !== undefined) throw new Error(`${refused.errno} ${refused.why}`)
  return socket
}

const send = (node: Node, socket: SocketId, payload: Uint8Array, to: Endpoint) =>
  node.host.udp.send(socket, payload, to, node.now)

const received = (node: Node, socket: SocketId): ReadonlyArray<UdpDatagram> => {
  const all: Array<UdpDatagram> = []
  for (;;) {
    const datagram = node.host.udp.receive(socket)
    if (datagram === "empty") return all
    if ("errno" in datagram) throw new Error(datagram.errno)
    all.push(datagram)
  }
}

describe("a datagram over IPv6", () => {
  test.each([0, 1451, 1452, 1453, 8000, 65_526, 65_527])("of %i octets arrives as it was sent", (size) => {
    const pair = paired()
    const server = opened(pair.b, at(B6, 7))
    const payload = pattern(size, size)
    expect(send(pair.a, opened(pair.a, undefined), payload, at(B6, 7))).toBeUndefined()
    pair.settle()
    const [datagram, ...more] = received(pair.b, server)
    expect([digest(datagram?.payload ?? text("none")), more]).toEqual([digest(payload), []])
    const fragments = size > 1452 ? Math.ceil((size + 8) / 1448) : 0
    expect([pair.a.counter("Ip6FragCreates"), pair.b.counter("Ip6ReasmReqds")]).toEqual([fragments, fragments])
  })

  test("of 65528 octets, or with IPV6_DONTFRAG longer than the path takes: EMSGSIZE", () => {
    const { a } = paired()
    expect(send(a, opened(a, undefined), pattern(65_528), at(B6, 7))?.errno).toBe("EMSGSIZE")
    expect(send(a, opened(a, undefined, { dontFragment: true }), pattern(1453), at(B6, 7))?.errno).toBe("EMSGSIZE")
  })

  test("to a port that nobody has: the error that ICMPv6 brings", () => {
    const pair = paired()
    const socket = opened(pair.a, undefined)
    send(pair.a, socket, text("x"), at(B6, 9))
    pair.settle()
    expect(pair.a.host.udp.takeError(socket)).toMatchObject({ problem: "PortUnreachable", errno: "ECONNREFUSED" })
    expect([pair.b.counter("Icmp6OutDestUnreachs"), pair.a.counter("Icmp6InDestUnreachs")]).toEqual([1, 1])
  })

  test("to a link-local address without a zone: EINVAL; on the socket's own link: sent", () => {
    const pair = paired()
    const near = pair.b.host.addresses().find(({ origin }) => origin === "link-local")?.address ?? UNSPECIFIED6
    const server = opened(pair.b, at(UNSPECIFIED6, 7))
    const bare = ipv6(near.a, near.b, near.c, near.d)
    expect(send(pair.a, opened(pair.a, undefined), text("x"), at(bare, 7))?.errno).toBe("EINVAL")
    expect(send(pair.a, opened(pair.a, undefined, { boundInterface: 0 }), text("x"), at(bare, 7))).toBeUndefined()
    pair.settle()
    expect(received(pair.b, server)).toMatchObject([{ source: { address: { zone: 1 } } }])
  })
})

describe("a socket on ::", () => {
  test("hears and answers both versions, each by its own addresses", () => {
    const pair = paired()
    const server = opened(pair.b, at(UNSPECIFIED6, 7))
    for (const [own, other] of [
      [A, B],
      [A6, B6],
    ] as const) {
      const client = opened(pair.a, undefined)
      send(pair.a, client, text("ping"), at(other, 7))
      pair.settle()
      const [datagram] = received(pair.b, server)
      expect(datagram?.source.address).toEqual(own)
      expect(send(pair.b, server, text("pong"), datagram?.source ?? at(own, 0))).toBeUndefined()
      pair.settle()
      expect(received(pair.a, client).map(({ payload }) => string(payload))).toEqual(["pong"])
    }
  })

  test("a socket of IPv4 alone comes first; with IPV6_V6ONLY none of IPv4", () => {
    const pair = paired()
    const both = opened(pair.b, at(UNSPECIFIED6, 7), { reuseAddress: true })
    const four = opened(pair.b, at(UNSPECIFIED4, 7), { reuseAddress: true })
    const six = opened(pair.b, at(UNSPECIFIED6, 8), { ipv6Only: true })
    send(pair.a, opened(pair.a, undefined), text("x"), at(B, 7))
    send(pair.a, opened(pair.a, undefined), text("x"), at(B, 8))
    pair.settle()
    expect([both, four, six].map((socket) => received(pair.b, socket).length)).toEqual([0, 1, 0])
    expect(send(pair.b, six, text("x"), at(A, 9))?.errno).toBe("EAFNOSUPPORT")
  })
})

describe("groups", () => {
  test.each([GROUP, ipv4(0xefc00001)])("members alone hear them, and the link is told", (group) => {
    const pair = paired()
    const member = opened(pair.b, at(UNSPECIFIED6, 7))
    const sender = opened(pair.a, undefined)
    const heard = (): number => {
      send(pair.a, sender, text("x"), at(group, 7))
      pair.settle()
      return received(pair.b, member).length
    }
    expect(heard()).toBe(0)
    expect(pair.b.host.udp.join(member, group, 0, pair.now)).toBeUndefined()
    pair.wait(3 * SECOND)
    expect(heard()).toBe(1)
    pair.b.host.close(member, pair.now)
    expect(pair.b.counter("Icmp6OutMLDv2Reports")).toBeGreaterThan(0)
  })
})
