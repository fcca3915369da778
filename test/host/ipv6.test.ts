import { describe, expect, test } from "bun:test"
import type { AddressView } from "../../src/host/types.ts"
import { defaultSocketOptions, type SocketOptions } from "../../src/tcp/tcb.ts"
import {
  type IpAddress,
  inZone,
  ipv6,
  type MacAddress,
  UNSPECIFIED4,
  UNSPECIFIED6,
  withoutZone,
} from "../../src/wire/address.ts"
import { formatAddress, parseAddress } from "../../src/wire/addressText.ts"
import { encodeIcmpv6 } from "../../src/wire/icmpv6.ts"
import { ALL_NODES, multicastMac, solicitedNode } from "../../src/wire/multicast.ts"
import type { NdpMessage, RouterAdvertisement } from "../../src/wire/ndp.ts"
import { ACK, SYN } from "../../src/wire/tcpSegment.ts"
import { A, digest, isRefusal, MAC_A, MAC_B, type Node, type NodeOptions, Pair, pattern, SECOND } from "./lab.ts"
import { brief, icmp6Frame, ip6Frame, ndpFrame, type Seen, Stranger, segmentOf, tcp6Frame } from "./stranger.ts"

const ip = (text: string): IpAddress => parseAddress(text) ?? UNSPECIFIED6
const HOST = ip("2001:db8::1")
const PEER = ip("2001:db8::2")
const NEAR = ip("fe80::2")
const NOBODY = UNSPECIFIED6

/** The host's address and a link-local one, in use at once. */
const QUIET: NodeOptions = { address: HOST, prefixLength: 64, iface: { dadTransmits: 0 } }
const AUTO: NodeOptions = { iface: { ipv6: "auto" } }

const stranger = (options: NodeOptions = QUIET): Stranger => {
  const one = new Stranger(options, PEER)
  one.wait(5 * SECOND)
  one.host.drops.length = 0
  return one
}

/** The host knows where we are. */
const met = (options: NodeOptions = QUIET): Stranger => {
  const one = stranger(options)
  one.send(solicit(HOST, PEER))
  return one
}

const solicit = (target: IpAddress, source: IpAddress, sourceMac: MacAddress | undefined = MAC_B): Uint8Array => {
  const destination = solicitedNode(target)
  const message = { _tag: "NeighbourSolicitation", target, sourceMac } as const
  return ndpFrame(message, { source, destination }, multicastMac(destination))
}

/** As somebody who asks whether an address is taken does. */
const detect = (target: IpAddress): Uint8Array => {
  const message = { _tag: "NeighbourSolicitation", target, sourceMac: undefined } as const
  const destination = solicitedNode(target)
  return ndpFrame(message, { source: NOBODY, destination }, multicastMac(destination))
}

const advertise = (target: IpAddress, destination = ALL_NODES, mac: MacAddress = multicastMac(ALL_NODES)) => {
  const isGroup = destination === ALL_NODES
  return ndpFrame(
    { _tag: "NeighbourAdvertisement", target, isRouter: false, solicited: !isGroup, override: true, targetMac: MAC_B },
    { source: PEER, destination },
    mac,
  )
}

const routerSays = (some: Partial<RouterAdvertisement>, hopLimit = 255): Uint8Array => {
  const message: RouterAdvertisement = {
    _tag: "RouterAdvertisement",
    hopLimit: 64,
    managed: false,
    other: false,
    preference: "medium",
    lifetime: 1800,
    reachableTime: 0,
    retransTimer: 0,
    sourceMac: MAC_B,
    mtu: 0,
    prefixes: [],
    resolvers: [],
    ...some,
  }
  return ndpFrame(message, { source: NEAR, destination: ALL_NODES, hopLimit }, multicastMac(ALL_NODES))
}

const PREFIX = {
  prefix: ip("2001:db8:a::"),
  prefixLength: 64,
  onLink: true,
  autonomous: true,
  validLifetime: 7200,
  preferredLifetime: 3600,
}

const ndpOf = (seen: Seen | undefined): NdpMessage => {
  if (seen?.kind !== "icmpv6" || !("_tag" in seen.message)) throw new Error("no Neighbour Discovery")
  return seen.message as NdpMessage
}

const made = (host: Node, origin: AddressView["origin"]): AddressView | undefined =>
  host.host.addresses().find((each) => each.origin === origin)

const shown = (host: Node): ReadonlyArray<string> =>
  host.host.addresses().map(({ address, state }) => `${formatAddress(withoutZone(address))} ${state}`)

describe("an interface comes up", () => {
  test("with IPv4 alone: not a frame", () => {
    expect(new Stranger().wait(100 * SECOND)).toEqual([])
  })

  test("its addresses: the groups are reported, each is asked for once, then used (RFC 4862 section 5.4)", () => {
    const one = new Stranger({ address: HOST, prefixLength: 64 })
    const seen = one.wait(5 * SECOND)
    const asked = seen.flatMap(([, each]) => (brief(each) === "NeighbourSolicitation" ? [ndpOf(each)] : []))
    const linkLocal = made(one.host, "link-local")?.address ?? NOBODY
    expect(asked.map((each) => ("target" in each ? formatAddress(each.target) : "")).sort()).toEqual(
      [HOST, withoutZone(linkLocal)].map(formatAddress).sort(),
    )
    for (const [at, each] of seen) {
      if (each.kind !== "icmpv6" || brief(each) !== "NeighbourSolicitation") continue
      expect(at).toBeLessThanOrEqual(SECOND)
      expect(formatAddress(each.from)).toBe("::")
      expect(each.mac).toBe(multicastMac(each.to))
    }
    const reports = seen.filter(([, each]) => brief(each) === "icmpv6 143")
    expect(reports.length).toBeGreaterThanOrEqual(2)
    for (const [, each] of reports)
      if (each.kind === "icmpv6") expect([each.hopLimit, formatAddress(each.to)]).toEqual([1, "ff02::16"])
    expect(shown(one.host)).toEqual([`2001:db8::1 preferred`, `${formatAddress(withoutZone(linkLocal))} preferred`])
    // RFC 7217: nothing of the link address is in it.
    expect(linkLocal.d).not.toBe(MAC_A % 2 ** 32)
  })

  test("the same link and secret: the same link-local address; another secret: another", () => {
    const of = (secret: number) =>
      formatAddress(made(stranger({ ...QUIET, secret }).host, "link-local")?.address ?? NOBODY)
    expect(of(1)).toBe(of(1))
    expect(of(1)).not.toBe(of(2))
  })

  test.each([
    ["its owner's advertisement", () => advertise(HOST)],
    ["another one who asks for it too", () => detect(HOST)],
  ])("an address that is taken, by %s: not used, not answered for", (_, frame) => {
    const one = new Stranger({ address: HOST, prefixLength: 64 })
    one.answers()
    one.send(frame())
    one.wait(10 * SECOND)
    expect(shown(one.host)[0]).toBe("2001:db8::1 duplicated")
    expect(one.send(solicit(HOST, PEER))).toEqual([])
    expect(one.host.tryConnect(PEER, 7, {}, undefined)).toMatchObject({ errno: "ENETUNREACH" })
  })

  test("somebody asks where a tentative address is: silence (RFC 4862 section 5.4.3)", () => {
    const one = new Stranger({ address: HOST, prefixLength: 64 })
    one.answers()
    expect(one.send(solicit(HOST, PEER)).map(brief)).toEqual([])
    one.wait(5 * SECOND)
    expect(shown(one.host)[0]).toBe("2001:db8::1 preferred")
  })

  test("its link-local address is taken: another one, a second later (RFC 7217 section 6)", () => {
    const one = new Stranger(AUTO)
    one.answers()
    const first = made(one.host, "link-local")?.address ?? NOBODY
    one.send(advertise(withoutZone(first)))
    one.wait(5 * SECOND)
    const second = made(one.host, "link-local")
    expect(second?.state).toBe("preferred")
    expect(formatAddress(second?.address ?? NOBODY)).not.toBe(formatAddress(first))
  })

  test("its own question, thrown back by the link: no duplicate", () => {
    const one = new Stranger({ address: HOST, prefixLength: 64 })
    one.answers()
    const frame = detect(HOST)
    frame.set([0x02, 0, 0, 0, 0, 0x0a], 6)
    one.send(frame)
    one.wait(5 * SECOND)
    expect(shown(one.host)[0]).toBe("2001:db8::1 preferred")
  })
})

describe("a neighbour asks", () => {
  test("for our address: an advertisement to it alone, solicited, overriding", () => {
    const [reply, ...rest] = stranger().send(solicit(HOST, PEER))
    expect(rest).toEqual([])
    if (reply?.kind !== "icmpv6") throw new Error("no reply")
    expect(reply).toMatchObject({ mac: MAC_B, hopLimit: 255 })
    expect(formatAddress(reply.to)).toBe("2001:db8::2")
    expect(reply.message).toMatchObject({
      target: HOST,
      solicited: true,
      override: true,
      isRouter: false,
      targetMac: MAC_A,
    })
  })

  test("whether our address is taken: an advertisement to all (RFC 4861 section 7.2.4)", () => {
    const [reply] = stranger().send(detect(HOST))
    if (reply?.kind !== "icmpv6") throw new Error("no reply")
    expect(formatAddress(reply.to)).toBe("ff02::1")
    expect(reply.message).toMatchObject({ target: HOST, solicited: false, override: true })
  })

  test("for an address that is nobody's: silence", () => {
    expect(stranger().send(solicit(ip("2001:db8::99"), PEER))).toEqual([])
  })

  test("flood: a solicitation from each of 5000 neighbours: no more are kept than there is room for", () => {
    const one = stranger()
    for (let n = 1; n <= 5000; n++) one.put(solicit(HOST, ipv6(0x20010db8, 0, 0, 0x10000 + n)))
    one.answers()
    expect(one.host.host.neighbours().length).toBeLessThanOrEqual(1024)
    expect(one.send(solicit(HOST, PEER)).map(brief)).toEqual(["NeighbourAdvertisement"])
  })

  test("flood: packets from 5000 unknown neighbours, none of whom answers: bounded, and in time forgotten", () => {
    const one = stranger()
    for (let n = 1; n <= 5000; n++) one.put(ping(ipv6(0x20010db8, 0, 0, 0x10000 + n), HOST))
    one.answers()
    expect(one.host.host.neighbours().length).toBeLessThanOrEqual(1024)
    one.wait(10 * SECOND)
    expect(one.host.host.neighbours()).toEqual([])
  })
})

const ping = (source: IpAddress, destination: IpAddress, mac: MacAddress = MAC_A): Uint8Array =>
  icmp6Frame({ _tag: "EchoRequest", identifier: 7, sequence: 1, payload: pattern(32) }, { source, destination }, mac)

describe("a bogus advertisement", () => {
  test("about an address that nobody asked for: not learnt", () => {
    const one = stranger()
    one.send(advertise(ip("2001:db8::99"), HOST, MAC_A))
    expect(one.host.host.neighbours()).toEqual([])
  })

  test("about our own address: dropped, the address stays ours", () => {
    const one = stranger()
    one.send(advertise(HOST))
    expect(one.host.drops).toContain("ndp:our-address-is-claimed")
    expect(one.send(solicit(HOST, PEER)).map(brief)).toEqual(["NeighbourAdvertisement"])
  })

  test.each([
    ["of a router, hop limit 254", routerSays({ prefixes: [PREFIX] }, 254), "ndp:bad-hop-limit"],
    [
      "of a router, for a host that was told its addresses",
      routerSays({ prefixes: [PREFIX] }),
      "ndp:advertisements-not-wanted",
    ],
  ])("%s: dropped", (_, frame, why) => {
    const one = stranger()
    one.send(frame)
    expect(one.host.drops).toEqual([why])
    expect(one.host.host.routes().filter(({ origin }) => origin === "advertised")).toEqual([])
  })
})

describe("routers", () => {
  test("asked for once the link-local address is sure, again and again (RFC 7559)", () => {
    const seen = new Stranger(AUTO).wait(50 * SECOND)
    const times = seen.filter(([, each]) => brief(each) === "RouterSolicitation").map(([at]) => at / SECOND)
    expect(times.length).toBe(4)
    const gaps = times.slice(1).map((at, index) => at - (times[index] ?? 0))
    for (const [index, gap] of gaps.entries()) {
      expect(gap).toBeGreaterThanOrEqual(4 * 2 ** index * 0.8)
      expect(gap).toBeLessThanOrEqual(4 * 2 ** index * 1.4)
    }
  })

  test("a prefix: an address, once nobody else claims it; the asking ends", () => {
    const one = stranger(AUTO)
    one.send(routerSays({ prefixes: [PREFIX], resolvers: [{ address: ip("2001:db8:a::53"), lifetime: 60 }] }))
    expect(made(one.host, "autoconf")?.state).toBe("tentative")
    const seen = one.wait(60 * SECOND).map(([, each]) => brief(each))
    expect(seen.filter((each) => each === "RouterSolicitation")).toEqual([])
    const address = made(one.host, "autoconf")
    expect(address?.state).toBe("preferred")
    expect(formatAddress(address?.address ?? NOBODY)).toStartWith("2001:db8:a:0:")
    one.wait(3600 * SECOND)
    expect(made(one.host, "autoconf")?.state).toBe("deprecated")
    expect(one.host.host.resolvers()).toEqual([])
    one.wait(3600 * SECOND)
    expect(made(one.host, "autoconf")).toBeUndefined()
    expect(one.host.host.routes().filter(({ origin }) => origin === "advertised")).toEqual([])
  })

  test("a way out: packets for others go to the router, until it says that it is none", () => {
    const one = stranger(AUTO)
    one.send(routerSays({ prefixes: [PREFIX] }))
    one.wait(5 * SECOND)
    one.host.connect(ip("2001:db8:ffff::1"), 80)
    const [syn] = one.answers()
    expect(syn).toMatchObject({ kind: "tcp", mac: MAC_B })
    one.send(routerSays({ lifetime: 0 }))
    expect(one.host.tryConnect(ip("2001:db8:ffff::1"), 80)).toMatchObject({ errno: "ENETUNREACH" })
  })

  const redirect = (source: IpAddress, target: IpAddress, hopLimit = 255): Uint8Array =>
    ndpFrame(
      { _tag: "Redirect", target, destination: ip("2001:db8:ffff::1"), targetMac: 0x02_00_00_00_00_0c as MacAddress },
      { source, destination: withoutZone(linkLocal), hopLimit },
    )
  let linkLocal = NOBODY
  test.each([
    ["of the first hop, to another router: believed", NEAR, ip("fe80::3"), 255, 0x02_00_00_00_00_0c],
    [
      "of the first hop, to the destination itself: it is on the link",
      NEAR,
      ip("2001:db8:ffff::1"),
      255,
      0x02_00_00_00_00_0c,
    ],
    ["with hop limit 254: not believed", NEAR, ip("fe80::3"), 254, MAC_B],
    ["of another neighbour: not believed", ip("fe80::99"), ip("fe80::3"), 255, MAC_B],
  ])("a redirect %s", (_, source, target, hopLimit, mac) => {
    const one = stranger(AUTO)
    one.send(routerSays({ prefixes: [PREFIX] }))
    one.wait(5 * SECOND)
    linkLocal = made(one.host, "link-local")?.address ?? NOBODY
    one.send(redirect(source, target, hopLimit))
    one.host.connect(ip("2001:db8:ffff::1"), 80)
    expect(one.answers().filter(({ kind }) => kind === "tcp")).toMatchObject([{ mac }])
  })
})

describe("attacks over IPv6", () => {
  test("land: a SYN from our own address and port: dropped; no answer, no block", () => {
    const one = met()
    one.host.host.listen({ address: UNSPECIFIED6, port: 7, backlog: 5, options: defaultSocketOptions }, one.now)
    const frame = tcp6Frame({ source: HOST, destination: HOST, sourcePort: 7, flags: SYN })
    for (let n = 0; n < 100; n++) expect(one.send(frame)).toEqual([])
    expect(one.host.states()).toEqual([])
    expect(one.host.drops).toContain("ipv6:bad-source")
  })

  test("smurf: an echo request to all nodes, in the name of a victim beyond the link: silence", () => {
    expect(met().send(ping(ip("2001:db8:9::9"), ALL_NODES, multicastMac(ALL_NODES)))).toEqual([])
  })

  test.each([
    ["a multicast source", ip("ff02::1"), HOST, "ipv6:bad-source"],
    ["loopback as the source", ip("::1"), HOST, "ipv6:bad-source"],
    ["a mapped source", ip("::ffff:198.18.0.2"), HOST, "ipv6:bad-source"],
    ["loopback as the destination", PEER, ip("::1"), "ipv6:bad-destination"],
    ["a mapped destination", PEER, ip("::ffff:198.18.0.1"), "ipv6:bad-destination"],
    ["a group of the interface's own scope", PEER, ip("ff01::1"), "ipv6:bad-destination"],
    ["somebody else's address", PEER, ip("2001:db8::77"), "ipv6:not-for-us"],
  ])("%s: dropped", (_, source, destination, why) => {
    const one = met()
    expect(one.send(ping(source, destination))).toEqual([])
    expect(one.host.drops).toEqual([why])
  })

  test("to us alone, in a frame to a group of the link: dropped", () => {
    const one = met()
    expect(one.send(ping(PEER, HOST, multicastMac(ALL_NODES)))).toEqual([])
    expect(one.host.drops).toEqual(["ipv6:unicast-in-link-multicast"])
  })

  test("TCP to all nodes: no answer", () => {
    const one = met()
    const mac = multicastMac(ALL_NODES)
    expect(one.send(tcp6Frame({ source: PEER, destination: ALL_NODES, flags: SYN, mac }))).toEqual([])
  })

  test("IPv4 alone configured: IPv6 is not spoken", () => {
    const one = new Stranger()
    expect(one.send(solicit(HOST, PEER))).toEqual([])
    expect(one.host.drops).toEqual(["ipv6:off"])
  })
})

describe("ICMPv6 errors (RFC 4443 section 2.4)", () => {
  const packet = (nextHeader: number, body: ReadonlyArray<number>, destination = HOST, source = PEER) =>
    ip6Frame(
      { source, destination, nextHeader },
      body.length,
      (out, at) => out.set(body, at),
      destination === HOST ? MAC_A : multicastMac(destination),
    )
  const unknownOption = (type: number) => [59, 0, type, 4, 0, 0, 0, 0]

  test.each([
    ["an unknown next header: code 1, where it was named", packet(253, [1, 2]), 1, 6],
    ["the same behind options", packet(60, [253, 0, 1, 4, 0, 0, 0, 0, 9]), 1, 40],
    ["ICMP of IPv4", packet(1, [8, 0, 0, 0, 0, 0, 0, 0]), 1, 6],
    ["an unknown option, action 10", packet(60, unknownOption(0x9e)), 2, 42],
    ["an unknown option, action 11", packet(60, unknownOption(0xde)), 2, 42],
    ["a jumbogram", packet(0, [59, 0, 0xc2, 4, 0, 1, 0, 0]), 2, 42],
    ["a routing header of type 0", packet(43, [59, 0, 0, 1, 0, 0, 0, 0]), 0, 42],
    ["action 10, to all nodes", packet(60, unknownOption(0x9e), ALL_NODES), 2, 42],
  ])("%s", (_, frame, code, pointer) => {
    const [seen] = met().send(frame)
    if (seen?.kind !== "icmpv6") throw new Error("no error")
    expect(seen.message).toMatchObject({ _tag: "ParameterProblem", code, pointer })
    expect(formatAddress(seen.to)).toBe("2001:db8::2")
    if (seen.message._tag === "ParameterProblem") expect([...seen.message.quoted]).toEqual([...frame.subarray(14)])
  })

  const error = (type: number) => {
    const message = { _tag: "Other", type, code: 0, payload: new Uint8Array(60) } as const
    const out = new Uint8Array(64)
    encodeIcmpv6(out, 0, message, PEER, HOST)
    return [...out]
  }
  test.each([
    ["action 11, to all nodes", packet(60, unknownOption(0xde), ALL_NODES)],
    ["action 01", packet(60, unknownOption(0x5e))],
    ["an unknown next header, to all nodes", packet(253, [1, 2], ALL_NODES)],
    ["an unknown option before an error", packet(60, [58, 0, 0x1e, 4, 0, 0, 0, 0, ...error(1)])],
    ["an error of an unknown type", packet(58, error(100))],
    ["from nobody", packet(253, [1, 2], HOST, NOBODY)],
    ["no next header", packet(59, [1, 2])],
  ])("silence about %s", (_, frame) => {
    expect(met().send(frame)).toEqual([])
  })

  test("a flood of what must be told of: 50 at once, 1000 a second", () => {
    const one = met()
    const burst = () => {
      for (let n = 0; n < 200; n++) one.put(packet(253, [1]))
      return one.answers().length
    }
    expect(burst()).toBe(50)
    one.wait(10_000)
    expect(burst()).toBe(10)
    expect(one.host.drops).toContain("icmp:rate-limit")
  })

  test("an echo request: its reply, octet for octet", () => {
    const [reply] = met().send(ping(PEER, HOST))
    if (reply?.kind !== "icmpv6" || reply.message._tag !== "EchoReply") throw new Error("no reply")
    expect(reply.message).toMatchObject({ identifier: 7, sequence: 1 })
    expect([...reply.message.payload]).toEqual([...pattern(32)])
  })
})

describe("a router says that a segment was too big", () => {
  const opened = () => {
    const one = met()
    const id = one.host.connect(PEER, 80)
    const [syn] = one.answers()
    const { seq } = segmentOf(syn)
    const ports = syn?.kind === "tcp" ? Number(syn.ports.split(">")[0]) : 0
    const ends = { source: PEER, destination: HOST, sourcePort: 80, destinationPort: ports }
    one.send(tcp6Frame({ ...ends, seq: 500, ack: seq + 1, flags: SYN | ACK, options: { mss: 1440 } }))
    one.host.write(id, pattern(4000))
    const sent = one.answers().map(segmentOf)
    return { one, ports, sent }
  }
  const tooBig = (ports: number, seq: number, mtu: number): Uint8Array => {
    const quoted = tcp6Frame({
      source: HOST,
      destination: PEER,
      sourcePort: ports,
      destinationPort: 80,
      seq,
      flags: ACK,
    })
    const message = { _tag: "PacketTooBig", mtu, quoted: quoted.subarray(14) } as const
    return icmp6Frame(message, { source: ip("2001:db8:f::1"), destination: HOST })
  }
  /** What a further connection to the peer announces and sends. */
  const nextMss = (one: Stranger): number | undefined => {
    one.host.connect(PEER, 81)
    const syn = one.answers().find((each) => each.kind === "tcp" && each.ports.endsWith(">81"))
    return segmentOf(syn).options.mss
  }

  test("one in flight: new connections keep below it, for ten minutes (RFC 8201)", () => {
    const { one, ports, sent } = opened()
    one.send(tooBig(ports, sent[0]?.seq ?? 0, 1400))
    expect(nextMss(one)).toBe(1340)
    one.wait(601 * SECOND)
    one.send(solicit(HOST, PEER))
    expect(nextMss(one)).toBe(1440)
  })

  test.each([
    ["a sequence number that is not in flight (RFC 5927)", 1_000_000, 1400],
    ["less than any link carries", 0, 1279],
    ["more than the link carries", 0, 1600],
  ])("%s: not believed", (_, offset, mtu) => {
    const { one, ports, sent } = opened()
    one.send(tooBig(ports, ((sent[0]?.seq ?? 0) + offset) >>> 0, mtu))
    expect(nextMss(one)).toBe(1440)
  })

  test("about a connection that there is not: not believed", () => {
    const { one, sent } = opened()
    one.send(tooBig(9, sent[0]?.seq ?? 0, 1400))
    expect(nextMss(one)).toBe(1440)
  })
})

describe("TCP over IPv6 between two hosts", () => {
  const dual = (n: number): NodeOptions => ({
    address: ip(`2001:db8::${n}`),
    prefixLength: 64,
    iface: { dadTransmits: 0 },
    secret: n,
  })
  const listen = (node: Node, address: IpAddress, port: number, options: Partial<SocketOptions> = {}) =>
    node.host.listen({ address, port, backlog: 5, options: { ...defaultSocketOptions, ...options } }, node.now)

  test("a megabyte both ways: the same digests, no retransmission, an MSS of 1440", () => {
    const pair = new Pair(dual(1), dual(2))
    const listener = listen(pair.b, UNSPECIFIED6, 7)
    if (typeof listener !== "number") throw new Error("refused")
    const [client, server] = pair.connected(listener, 7)
    const data = pattern(1_000_000)
    const got: Array<Uint8Array> = []
    const back: Array<Uint8Array> = []
    let sent = 0
    let returned = 0
    pair.tick = () => {
      if (sent < data.length) sent += pair.a.write(client, data.subarray(sent, sent + 65_536))
      if (returned < data.length) returned += pair.b.write(server, data.subarray(returned, returned + 65_536))
      got.push(pair.b.readBytes(server))
      back.push(pair.a.readBytes(client))
    }
    pair.wait(20 * SECOND)
    expect(digest(new Uint8Array(Buffer.concat(got)))).toBe(digest(data))
    expect(digest(new Uint8Array(Buffer.concat(back)))).toBe(digest(data))
    expect(pair.a.counter("RetransSegs") + pair.b.counter("RetransSegs")).toBe(0)
    const status = pair.a.host.status(client)
    expect(status !== undefined && "snd" in status.tcb ? status.tcb.snd.mss : 0).toBe(1440 - 12)
  })

  test("to ourselves, by a global and by the link-local address", () => {
    const pair = new Pair(dual(1), dual(2))
    const listener = listen(pair.a, UNSPECIFIED6, 7)
    if (typeof listener !== "number") throw new Error("refused")
    for (const address of [ip("2001:db8::1"), made(pair.a, "link-local")?.address ?? NOBODY]) {
      const client = pair.a.connect(address, 7)
      pair.settle()
      const server = pair.a.accept(listener)
      pair.a.write(client, "to myself")
      pair.settle()
      expect(pair.a.read(server)).toBe("to myself")
    }
  })

  test("by link-local addresses: the zone is needed to name one (RFC 4007), and kept", () => {
    const pair = new Pair(dual(1), dual(2))
    const listener = listen(pair.b, UNSPECIFIED6, 7)
    if (typeof listener !== "number") throw new Error("refused")
    const theirs = made(pair.b, "link-local")?.address ?? NOBODY
    expect(pair.a.tryConnect(withoutZone(theirs), 7)).toMatchObject({ errno: "EINVAL" })
    const client = pair.a.connect(inZone(withoutZone(theirs), 1), 7)
    pair.settle()
    const server = pair.b.accept(listener)
    expect(pair.b.host.status(server)?.remote?.address).toEqual(made(pair.a, "link-local")?.address ?? NOBODY)
    pair.a.write(client, "near")
    pair.settle()
    expect(pair.b.read(server)).toBe("near")
  })

  test("all packets of a connection have one flow label; another connection has another (RFC 6437)", () => {
    const one = met()
    const labels = new Set<number>()
    const host = one.host.host
    for (const port of [80, 81]) {
      one.host.connect(PEER, port)
      host.flush(one.now)
      for (const effect of host.take()) if (effect._tag === "SendSegment") labels.add(effect.flowLabel ?? 0)
    }
    expect(labels.size).toBe(2)
    expect(labels.has(0)).toBe(false)
  })

  test("a segment to a port where nobody listens: reset", () => {
    const one = met()
    expect(
      one.send(tcp6Frame({ source: PEER, destination: HOST, destinationPort: 81, flags: SYN })).map(brief),
    ).toEqual(["<RST,ACK>"])
  })

  const both: NodeOptions = {
    address: A,
    iface: {
      addresses: [
        { address: A, prefixLength: 24 },
        { address: HOST, prefixLength: 64 },
      ],
      dadTransmits: 0,
    },
  }
  const binds: ReadonlyArray<readonly [string, string, boolean, string, boolean, boolean]> = [
    // first, only IPv6, second, only IPv6, conflict (Linux's ipv6_rcv_saddr_equal)
    ["any IPv6, any IPv4", "::", false, "0.0.0.0", false, true],
    ["any IPv4, any IPv6", "0.0.0.0", false, "::", false, true],
    ["any IPv6 alone, any IPv4", "::", true, "0.0.0.0", false, false],
    ["any IPv4, any IPv6 alone", "0.0.0.0", false, "::", true, false],
    ["any IPv6, one of IPv4", "::", false, "198.18.0.1", false, true],
    ["any IPv6 alone, one of IPv4", "::", true, "198.18.0.1", false, false],
    ["one of IPv6, any IPv4", "2001:db8::1", false, "0.0.0.0", false, false],
    ["one of IPv6, any IPv6", "2001:db8::1", false, "::", false, true],
    ["one of IPv6, one of IPv4", "2001:db8::1", false, "198.18.0.1", false, false],
    ["a mapped one, the same of IPv4", "::ffff:198.18.0.1", false, "198.18.0.1", false, true],
    ["any IPv6, any IPv6 alone", "::", false, "::", true, true],
  ]
  test.each(binds)("binds: %s", (_, first, firstOnly, second, secondOnly, conflict) => {
    const { host } = new Stranger(both)
    expect(typeof listen(host, ip(first), 7, { ipv6Only: firstOnly })).toBe("number")
    const result = listen(host, ip(second), 7, { ipv6Only: secondOnly })
    expect(isRefusal(result) ? result.errno : "bound").toBe(conflict ? "EADDRINUSE" : "bound")
  })

  test("a mapped address with IPV6_V6ONLY: EINVAL; bindv6only is the default of a socket", () => {
    const { host } = new Stranger(both)
    expect(listen(host, ip("::ffff:198.18.0.1"), 7, { ipv6Only: true })).toMatchObject({ errno: "EINVAL" })
    const other = new Stranger({ ...both, settings: { bindv6only: true } }).host
    expect(typeof listen(other, UNSPECIFIED6, 7)).toBe("number")
    expect(typeof listen(other, UNSPECIFIED4, 7)).toBe("number")
  })

  test("a listener of any IPv6 address takes a connection over IPv4, which is shown as IPv4", () => {
    const pair = new Pair(both, { address: ip("198.18.0.2") })
    const listener = listen(pair.a, UNSPECIFIED6, 7)
    if (typeof listener !== "number") throw new Error("refused")
    pair.b.connect(A, 7)
    pair.settle()
    const server = pair.a.accept(listener)
    expect(pair.a.host.status(server)?.local.address).toEqual(A)
    const { tcb } = pair.a.host.status(server) ?? {}
    expect(tcb !== undefined && "snd" in tcb ? tcb.snd.mss : 0).toBe(1448)
  })

  test("of two listeners, any IPv4 and any IPv6 alone by SO_REUSEPORT: each has its own version", () => {
    const pair = new Pair(both, { address: ip("198.18.0.2") })
    const six = listen(pair.a, UNSPECIFIED6, 7, { reusePort: true })
    const four = listen(pair.a, UNSPECIFIED4, 7, { reusePort: true })
    if (typeof six !== "number" || typeof four !== "number") throw new Error("refused")
    pair.b.connect(A, 7)
    pair.settle()
    expect(pair.a.host.accept(six)).toBeUndefined()
    expect(pair.a.host.accept(four)).toBeDefined()
  })

  test("connects to all nodes, to a broadcast address: refused", () => {
    const { host } = new Stranger(both)
    for (const address of [ALL_NODES, ip("198.18.0.255"), ip("255.255.255.255"), ip("224.0.0.1")]) {
      expect(host.tryConnect(inZone(address, 1), 7)).toMatchObject({ errno: "ENETUNREACH" })
    }
  })
})

describe("addresses and routes of a host that runs", () => {
  test("an address comes, is asked for, used, and goes", () => {
    const one = stranger()
    const { host } = one.host
    const added = ip("2001:db8::5")
    expect(host.addAddress(0, { address: added, prefixLength: 64 }, one.now)).toBeUndefined()
    expect(host.addAddress(0, { address: added, prefixLength: 64 }, one.now)).toMatchObject({ errno: "EEXIST" })
    expect(host.addAddress(9, { address: added, prefixLength: 64 }, one.now)).toMatchObject({ errno: "ENODEV" })
    one.wait(3 * SECOND)
    expect(one.send(solicit(added, PEER)).map(brief)).toEqual(["NeighbourAdvertisement"])
    expect(host.removeAddress(0, added, one.now)).toBeUndefined()
    expect(host.removeAddress(0, added, one.now)).toMatchObject({ errno: "EADDRNOTAVAIL" })
    one.wait(3 * SECOND)
    expect(one.send(solicit(added, PEER))).toEqual([])
  })

  test("a lease: preferred, deprecated, gone; extended in time it stays", () => {
    const one = stranger()
    const { host } = one.host
    const address = ip("198.18.0.50")
    const lease = {
      preferredUntil: one.now + 10 * SECOND,
      validUntil: one.now + 20 * SECOND,
      origin: "dynamic",
    } as const
    host.addAddress(0, { address, prefixLength: 24, ...lease }, one.now)
    one.wait(11 * SECOND)
    expect(made(one.host, "dynamic")?.state).toBe("deprecated")
    host.extendAddress(0, address, one.now + 10 * SECOND, one.now + 10 * SECOND, one.now)
    one.wait(9.5 * SECOND)
    expect(made(one.host, "dynamic")).toBeDefined()
    one.wait(SECOND)
    expect(made(one.host, "dynamic")).toBeUndefined()
    expect(host.routes().some(({ prefix }) => prefix.family === 4)).toBe(false)
  })

  test("an IPv4 address with arpProbe: asked for three times, announced twice (RFC 5227)", () => {
    const one = new Stranger({ iface: { arpProbe: true } })
    const seen = one.wait(20 * SECOND).flatMap(([, each]) => (each.kind === "arp" ? [each.arp] : []))
    expect(seen.map(({ senderAddress }) => formatAddress(senderAddress))).toEqual([
      "0.0.0.0",
      "0.0.0.0",
      "0.0.0.0",
      "198.18.0.1",
      "198.18.0.1",
    ])
    expect(shown(one.host)).toEqual(["198.18.0.1 preferred"])
  })

  test("routes: the longest prefix, then the smallest metric; removed, the next best", () => {
    const one = stranger()
    const { host } = one.host
    const route = (via: string, metric: number) => ({
      prefix: ip("2001:db8:9::"),
      prefixLength: 48,
      via: ip(via),
      interface: 0,
      metric,
    })
    expect(host.addRoute(route("2001:db8::8", 20))).toBeUndefined()
    expect(host.addRoute(route("2001:db8::9", 10))).toBeUndefined()
    expect(host.addRoute(route("2001:db8::9", 10))).toMatchObject({ errno: "EEXIST" })
    const asked = () => {
      one.host.connect(ip("2001:db8:9::1"), 80)
      const target = one.answers().flatMap((each) => (each.kind === "icmpv6" ? [ndpOf(each)] : []))[0]
      return target !== undefined && "target" in target ? formatAddress(target.target) : "nobody"
    }
    expect(asked()).toBe("2001:db8::9")
    expect(host.removeRoute(route("2001:db8::9", 10))).toBeUndefined()
    expect(host.removeRoute(route("2001:db8::9", 10))).toMatchObject({ errno: "ENOENT" })
    expect(asked()).toBe("2001:db8::8")
  })

  test("a prefix longer than the address: EINVAL; IPv6 where it is off: EINVAL", () => {
    const { host, now } = new Stranger().host
    expect(host.addAddress(0, { address: A, prefixLength: 33 }, now)).toMatchObject({ errno: "EINVAL" })
    expect(host.addAddress(0, { address: HOST, prefixLength: 64 }, now)).toMatchObject({ errno: "EINVAL" })
  })
})
