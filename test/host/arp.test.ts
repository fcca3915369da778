import { describe, expect, test } from "bun:test"
import type { MacAddress } from "../../src/wire/address.ts"
import { ARP_REPLY, ARP_REQUEST } from "../../src/wire/arp.ts"
import { BROADCAST_MAC, NO_MAC } from "../../src/wire/ethernet.ts"
import { SYN } from "../../src/wire/tcpSegment.ts"
import { A, B, C, MAC_A, MAC_B, Pair, SECOND } from "./lab.ts"
import { addressOf, arpFrame, brief, icmpFrame, type Seen, Stranger, tcpFrame } from "./stranger.ts"

const MAC_C = 0x02_00_00_00_00_63 as MacAddress
const ping = (source = B) =>
  icmpFrame({ _tag: "EchoRequest", identifier: 1, sequence: 1, payload: new Uint8Array(8) }, { source })

const timesOf = (seen: ReadonlyArray<readonly [number, Seen]>, what: string): ReadonlyArray<number> =>
  seen.filter(([, one]) => brief(one) === what).map(([at]) => at)

describe("a request for an address", () => {
  test("ours: a reply to who asked, alone", () => {
    const stranger = new Stranger()
    const seen = stranger.send(arpFrame({ operation: ARP_REQUEST }))
    expect(seen.map(brief)).toEqual(["arp reply"])
    const [reply] = seen
    if (reply?.kind !== "arp") throw new Error("no reply")
    expect(reply.to).toBe(MAC_B)
    expect(reply.arp).toEqual({
      operation: ARP_REPLY,
      senderMac: MAC_A,
      senderAddress: A,
      targetMac: MAC_B,
      targetAddress: B,
    })
  })

  test("somebody else's: silence", () => {
    expect(new Stranger().send(arpFrame({ operation: ARP_REQUEST, targetAddress: C }))).toEqual([])
  })

  test("ours, sent to us alone (a check that we are there): a reply", () => {
    const frame = arpFrame({ operation: ARP_REQUEST, to: MAC_A })
    expect(new Stranger().send(frame).map(brief)).toEqual(["arp reply"])
  })

  test("ours, from 0.0.0.0 (RFC 5227's probe): a reply, and nothing learnt", () => {
    const stranger = new Stranger()
    const frame = arpFrame({ operation: ARP_REQUEST, senderAddress: addressOf(0) })
    const zero = { ...addressOf(0), d: 0 }
    expect(stranger.send(frame).map(brief)).toEqual(["arp reply"])
    const probe = arpFrame({ operation: ARP_REQUEST, senderAddress: zero })
    expect(stranger.send(probe).map(brief)).toEqual(["arp reply"])
  })

  test("ours, answered: the asker is known, our answer to its packet needs no request of ours", () => {
    const stranger = new Stranger()
    stranger.introduce()
    expect(stranger.send(ping()).map(brief)).toEqual(["icmp EchoReply"])
  })

  test.each([
    ["a group's address as the sender's", 0x01_00_5e_00_00_01 as MacAddress],
    ["broadcast as the sender", BROADCAST_MAC],
    ["no address as the sender's", NO_MAC],
  ])("ours, with %s: not answered, not learnt", (_, senderMac) => {
    const stranger = new Stranger()
    const frame = arpFrame({ operation: ARP_REQUEST, senderMac })
    expect(stranger.send(frame)).toEqual([])
    expect(stranger.host.drops).toContain("arp:bad-sender")
  })
})

describe("a neighbour whose link address is not known", () => {
  test("a packet for it: a request to everyone, the packet after the reply", () => {
    const stranger = new Stranger()
    const [request, ...rest] = stranger.send(ping())
    expect(rest).toEqual([])
    if (request?.kind !== "arp") throw new Error("no request")
    expect(request.to).toBe(BROADCAST_MAC)
    expect(request.arp).toMatchObject({ operation: ARP_REQUEST, senderAddress: A, targetAddress: B, targetMac: NO_MAC })
    expect(stranger.send(arpFrame({ operation: ARP_REPLY })).map(brief)).toEqual(["icmp EchoReply"])
  })

  test("many packets for it: the last three wait, the others are lost", () => {
    const stranger = new Stranger()
    for (let i = 0; i < 10; i++) stranger.send(ping())
    expect(stranger.host.drops.filter((why) => why === "neighbour:queue-full")).toHaveLength(7)
    const seen = stranger.send(arpFrame({ operation: ARP_REPLY })).map(brief)
    expect(seen).toEqual(["icmp EchoReply", "icmp EchoReply", "icmp EchoReply"])
  })

  test("no reply: asked three times, a second apart, given up after 3 s; then asked anew", () => {
    const stranger = new Stranger()
    stranger.put(ping())
    const seen = stranger.wait(10 * SECOND)
    expect(timesOf(seen, "arp request")).toEqual([0, SECOND, 2 * SECOND])
    expect(stranger.host.drops).toEqual(["neighbour:no-answer"])
    expect(stranger.host.host.nextDeadline()).toBe(-1)
    expect(stranger.send(ping()).map(brief)).toEqual(["arp request"])
  })

  test("a connection to nobody: HostUnreachable when ARP gives up, as Linux's EHOSTUNREACH after 3 s", () => {
    const stranger = new Stranger()
    const socket = stranger.host.connect(C, 7)
    stranger.wait(4 * SECOND)
    expect(stranger.host.reason(socket)).toBe("HostUnreachable")
  })

  test("a reply from a stranger that nobody asked: not kept", () => {
    const stranger = new Stranger()
    stranger.send(arpFrame({ operation: ARP_REPLY }))
    expect(stranger.send(ping()).map(brief)).toEqual(["arp request"])
  })
})

describe("a neighbour that is known", () => {
  /** Reachable since now. */
  const known = (): Stranger => {
    const stranger = new Stranger()
    stranger.send(ping())
    stranger.send(arpFrame({ operation: ARP_REPLY }))
    return stranger
  }

  test("for 30 s: used without a word", () => {
    const stranger = known()
    stranger.wait(29 * SECOND)
    stranger.put(ping())
    expect(timesOf(stranger.wait(20 * SECOND), "arp request")).toEqual([])
  })

  test("unused for longer: used at once, asked alone after 5 s, and again each second", () => {
    const stranger = known()
    stranger.wait(40 * SECOND)
    stranger.put(ping())
    const seen = stranger.wait(20 * SECOND)
    expect(timesOf(seen, "icmp EchoReply")).toEqual([0])
    expect(timesOf(seen, "arp request")).toEqual([5 * SECOND, 6 * SECOND, 7 * SECOND])
    const requests = seen.flatMap(([, one]) => (one.kind === "arp" ? [one.to] : []))
    expect(requests).toEqual([MAC_B, MAC_B, MAC_B])
    // No answer: it is forgotten, the next packet asks everyone.
    expect(stranger.send(ping()).map((one) => (one.kind === "arp" ? one.to : brief(one)))).toEqual([BROADCAST_MAC])
  })

  test("acknowledges data all the while: never asked (RFC 4861 section 7.3.1)", () => {
    const pair = new Pair()
    const listener = pair.b.listen(7)
    const socket = pair.a.connect(B, 7)
    pair.settle()
    const accepted = pair.b.accept(listener)
    const frames: Array<Uint8Array> = []
    pair.a.frames = frames
    for (let second = 0; second < 120; second++) {
      pair.a.write(socket, new Uint8Array(10))
      pair.wait(SECOND)
      pair.b.readBytes(accepted)
    }
    const requests = frames.filter((frame) => frame[12] === 0x08 && frame[13] === 0x06 && frame[21] === ARP_REQUEST)
    expect(pair.a.counter("OutSegs")).toBeGreaterThan(100)
    expect(requests).toEqual([])
  })

  test("asked and answering: quiet for another 30 s", () => {
    const stranger = known()
    stranger.wait(40 * SECOND)
    stranger.put(ping())
    stranger.wait(5 * SECOND)
    stranger.send(arpFrame({ operation: ARP_REPLY }))
    stranger.wait(25 * SECOND)
    stranger.put(ping())
    expect(timesOf(stranger.wait(20 * SECOND), "arp request")).toEqual([])
  })

  test("announces a new link address (gratuitous ARP): packets go there", () => {
    const stranger = known()
    stranger.send(arpFrame({ operation: ARP_REQUEST, senderMac: MAC_C, targetAddress: B }))
    const [echo] = stranger.send(ping())
    expect(echo).toMatchObject({ kind: "icmp", mac: MAC_C })
    const [reset] = stranger.send(tcpFrame({ flags: SYN }))
    expect(reset).toMatchObject({ kind: "tcp", mac: MAC_C })
  })

  test("a gratuitous ARP of an address that we do not know: not kept", () => {
    const stranger = new Stranger()
    stranger.send(arpFrame({ operation: ARP_REQUEST, senderAddress: C, targetAddress: C, senderMac: MAC_C }))
    expect(stranger.send(ping(C)).map(brief)).toEqual(["arp request"])
  })
})

describe("somebody claims our own address", () => {
  test.each([
    ["a gratuitous request", ARP_REQUEST],
    ["a gratuitous reply", ARP_REPLY],
  ])("%s: dropped, told once in ten seconds that it is ours (RFC 5227), connections go on", (_, operation) => {
    const pair = new Pair()
    const { client, server } = pair.open()
    const stranger = new Stranger()
    const claim = () => stranger.send(arpFrame({ operation, senderAddress: A, targetAddress: A }))
    const announcement = { senderMac: MAC_A, senderAddress: A, targetAddress: A, operation: ARP_REQUEST }
    expect(claim()).toMatchObject([{ kind: "arp", to: BROADCAST_MAC, arp: announcement }])
    expect(stranger.host.drops).toEqual(["arp:our-address-is-claimed"])
    stranger.wait(9 * SECOND)
    expect(claim()).toEqual([])
    stranger.wait(SECOND)
    expect(claim()).toHaveLength(1)
    pair.a.write(client, "still here")
    pair.settle()
    expect(pair.b.read(server)).toBe("still here")
  })
})

describe("a flood", () => {
  test("requests from ten thousand addresses: all answered, the cache stays small, old friends can come back", () => {
    const stranger = new Stranger({ prefixLength: 8 })
    for (let i = 0; i < 10_000; i++) {
      const senderAddress = addressOf(1000 + i)
      const seen = stranger.send(arpFrame({ operation: ARP_REQUEST, senderAddress }))
      expect(seen).toHaveLength(1)
    }
    // The last ones are known still, the first ones are not.
    expect(stranger.send(ping(addressOf(10_999))).map(brief)).toEqual(["icmp EchoReply"])
    expect(stranger.send(ping(addressOf(1000))).map(brief)).toEqual(["arp request"])
  })

  test("packets from ten thousand spoofed sources: no more resolutions under way than the cache holds", () => {
    const stranger = new Stranger({ prefixLength: 8 })
    for (let i = 0; i < 10_000; i++) stranger.send(ping(addressOf(1000 + i)))
    const asked = stranger.wait(0.5 * SECOND).length
    expect(asked).toBe(0)
    const again = stranger.wait(SECOND).filter(([, one]) => one.kind === "arp")
    expect(again.length).toBeLessThanOrEqual(1024)
  })
})

describe("frames that are not for us", () => {
  test("another unicast address: dropped", () => {
    const stranger = new Stranger()
    expect(stranger.send(tcpFrame({ flags: SYN, mac: MAC_C }))).toEqual([])
    expect(stranger.host.drops).toEqual(["ethernet:not-for-us"])
  })

  test("a unicast packet in a broadcast frame (RFC 1122 section 3.3.6): dropped", () => {
    const stranger = new Stranger()
    expect(stranger.send(tcpFrame({ flags: SYN, mac: BROADCAST_MAC }))).toEqual([])
    expect(stranger.host.drops).toEqual(["ipv4:unicast-in-link-broadcast"])
  })
})
