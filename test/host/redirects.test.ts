import { describe, expect, test } from "bun:test"
import { type IpAddress, type MacAddress, UNSPECIFIED4 } from "../../src/wire/address.ts"
import { parseAddress } from "../../src/wire/addressText.ts"
import { ARP_REPLY } from "../../src/wire/arp.ts"
import { REDIRECT } from "../../src/wire/icmp.ts"
import { SYN } from "../../src/wire/tcpSegment.ts"
import { A, B, MAC_A, MAC_B, SECOND } from "./lab.ts"
import { arpFrame, icmpFrame, type Seen, Stranger, tcpFrame } from "./stranger.ts"

const ip = (text: string): IpAddress => parseAddress(text) ?? UNSPECIFIED4
const FAR = ip("192.0.2.1")
const OTHER = ip("192.0.2.2")
const BETTER = ip("198.18.0.9")
const MAC_BETTER = 0x02_00_00_00_00_09 as MacAddress

/** A host whose way out is B, and that knows B and the better router. */
const host = (): Stranger => {
  const stranger = new Stranger({
    more: { routes: [{ prefix: UNSPECIFIED4, prefixLength: 0, via: B, interface: 0 }] },
  })
  stranger.introduce()
  stranger.introduce(MAC_BETTER, BETTER)
  stranger.host.drops.length = 0
  return stranger
}

/** Where a SYN to an address goes. */
const wayTo = (stranger: Stranger, address: IpAddress): ReadonlyArray<MacAddress | string> => {
  stranger.host.connect(address, 80)
  return stranger.answers().map((seen: Seen) => (seen.kind === "tcp" ? seen.mac : seen.kind))
}

const redirect = (
  source: IpAddress,
  gateway: IpAddress,
  about: { source?: IpAddress; destination?: IpAddress } = {},
) => {
  const quoted = tcpFrame({ source: A, destination: FAR, ...about, flags: SYN }).slice(14, 42)
  return icmpFrame({ _tag: "Other", type: REDIRECT, code: 1, rest: gateway.d, payload: quoted }, { source })
}

describe("a redirect over IPv4 (RFC 1122 section 3.2.2.2)", () => {
  test("of the first hop, to a router of our network: that destination goes there, others do not", () => {
    const stranger = host()
    expect(stranger.send(redirect(B, BETTER))).toEqual([])
    expect(wayTo(stranger, FAR)).toEqual([MAC_BETTER])
    expect(wayTo(stranger, OTHER)).toEqual([MAC_B])
  })

  test.each<[string, Uint8Array, string]>([
    ["of somebody who is not the first hop", redirect(ip("198.18.0.7"), BETTER), "redirect-not-from-the-first-hop"],
    [
      "about a packet that is not ours",
      redirect(B, BETTER, { source: ip("198.18.0.3") }),
      "redirect-not-from-the-first-hop",
    ],
    [
      "about a neighbour of ours",
      redirect(B, BETTER, { destination: ip("198.18.0.4") }),
      "redirect-not-from-the-first-hop",
    ],
    ["to a router of another network", redirect(B, ip("10.0.0.1")), "gateway-not-on-the-network"],
    ["to ourselves", redirect(B, A), "gateway-not-on-the-network"],
    ["to everybody", redirect(B, ip("198.18.0.255")), "gateway-not-on-the-network"],
  ])("%s: not believed", (_, frame, why) => {
    const stranger = host()
    expect(stranger.send(frame)).toEqual([])
    expect(stranger.host.drops).toEqual([`RFC1122-3.2.2.2:${why}`])
    expect(wayTo(stranger, FAR)).toEqual([MAC_B])
  })

  test("a router does not believe any (RFC 1812 section 5.2.7.2)", () => {
    const stranger = host()
    stranger.host.host.configure({ ipForward: true })
    stranger.send(redirect(B, BETTER))
    expect(stranger.host.drops).toEqual(["icmp:redirect-for-a-router"])
  })

  test("the better router falls silent: the old way again (section 3.3.1.4)", () => {
    const stranger = host()
    stranger.send(redirect(B, BETTER))
    expect(wayTo(stranger, FAR)).toEqual([MAC_BETTER])
    // It is asked while SYNs go there again; B answers whatever it is asked.
    for (let second = 0; second < 60; second++) {
      for (const [, seen] of stranger.wait(SECOND)) {
        if (seen.kind !== "arp" || seen.arp.targetAddress.d !== B.d) continue
        stranger.put(arpFrame({ operation: ARP_REPLY, senderMac: MAC_B, senderAddress: B, targetMac: MAC_A }))
      }
    }
    const sent = stranger.wait(60 * SECOND).flatMap(([, seen]) => (seen.kind === "tcp" ? [seen.mac] : []))
    expect(sent).not.toContain(MAC_BETTER)
    stranger.introduce()
    expect(wayTo(stranger, FAR)).toContain(MAC_B)
  })
})
