import { describe, expect, test } from "bun:test"
import type { SocketId } from "../../src/host/types.ts"
import { defaultUdpOptions } from "../../src/host/udp/types.ts"
import { type IpAddress, ipv6, withoutZone } from "../../src/wire/address.ts"
import { formatAddress } from "../../src/wire/addressText.ts"
import { encodeIcmpv6 } from "../../src/wire/icmpv6.ts"
import { ALL_NODES, multicastMac } from "../../src/wire/multicast.ts"
import { SECOND } from "./lab.ts"
import { ip6Frame, type Seen, Stranger } from "./stranger.ts"

const HOST = ipv6(0x20010db8, 0, 0, 1)
const NEAR = ipv6(0xfe800000, 0, 0, 2)
const GROUP = ipv6(0xff0e0000, 0, 0, 5)
/** A Router Alert of MLD, and padding. */
const ALERT = Uint8Array.of(58, 0, 5, 2, 0, 0, 1, 0)

/** A general query, of version 1 where it is no longer than that. */
const query = (version: 1 | 2, before: Uint8Array = ALERT, source: IpAddress = NEAR): Uint8Array => {
  const payload = new Uint8Array(version === 1 ? 20 : 24)
  payload.set([0x03, 0xe8])
  const out = new Uint8Array(4 + payload.length)
  encodeIcmpv6(out, 0, { _tag: "Other", type: 130, code: 0, payload }, source, ALL_NODES)
  const header = { source, destination: ALL_NODES, nextHeader: before.length > 0 ? 0 : 58, hopLimit: 1 }
  const octets = new Uint8Array([...before, ...out])
  return ip6Frame(header, octets.length, (to, at) => to.set(octets, at), multicastMac(ALL_NODES))
}

/** A host that listens to a group, and has said so. */
const listening = (): { readonly stranger: Stranger; readonly socket: SocketId } => {
  const stranger = new Stranger({ address: HOST, prefixLength: 64, iface: { dadTransmits: 0 } })
  const { host } = stranger
  const socket = host.host.udp.socket({ ...defaultUdpOptions })
  host.host.udp.join(socket, GROUP, 0, stranger.now)
  stranger.wait(5 * SECOND)
  host.drops.length = 0
  return { stranger, socket }
}

/** Types of what is said about groups within ten seconds, and to whom. */
const said = (stranger: Stranger): ReadonlyArray<string> =>
  stranger
    .wait(10 * SECOND)
    .flatMap(([, seen]: readonly [number, Seen]) =>
      seen.kind === "icmpv6" && "type" in seen.message
        ? [`${seen.message.type} to ${formatAddress(withoutZone(seen.to))}`]
        : [],
    )

describe("a router asks who listens", () => {
  test("of version 2: one report of all groups, to all such routers", () => {
    const { stranger } = listening()
    stranger.put(query(2))
    expect([...new Set(said(stranger))]).toEqual(["143 to ff02::16"])
  })

  test("of version 1 (RFC 2710): a report to each group, and a done when one is left, for 260 s", () => {
    const { stranger, socket } = listening()
    stranger.put(query(1))
    const reports = said(stranger)
    expect(reports).toContain("131 to ff0e::5")
    expect(reports.every((each) => each.startsWith("131 to ff"))).toBe(true)
    stranger.wait(200 * SECOND)
    stranger.host.host.udp.leave(socket, GROUP, 0, stranger.now)
    expect(said(stranger)).toEqual(["132 to ff02::2", "132 to ff02::2"])
    stranger.wait(60 * SECOND)
    stranger.put(query(2))
    expect([...new Set(said(stranger))]).toEqual(["143 to ff02::16"])
  })

  test.each([
    ["without a Router Alert", query(2, new Uint8Array(0)), "mld:no-router-alert"],
    ["with one of another kind", query(2, Uint8Array.of(58, 0, 5, 2, 0, 1, 1, 0)), "mld:no-router-alert"],
    ["from a global address", query(2, ALERT, ipv6(0x20010db8, 0, 0, 2)), "mld:bad-source"],
  ])("%s: not believed (RFC 3810 section 6.2)", (_, frame, why) => {
    const { stranger } = listening()
    stranger.put(frame)
    expect(said(stranger)).toEqual([])
    expect(stranger.host.drops).toEqual([why])
  })
})
