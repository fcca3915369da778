import { describe, expect, test } from "bun:test"
import {
  arrives,
  conflict,
  type DhcpClient,
  type DhcpClientContext,
  type DhcpEffect,
  release,
  start,
  timeout,
} from "../../src/ip/dhcpClient.ts"
import { answer, type DhcpBindings, type DhcpPool, NO_BINDINGS } from "../../src/ip/dhcpServer.ts"
import type { MacAddress } from "../../src/wire/address.ts"
import { formatAddress } from "../../src/wire/addressText.ts"
import { type DhcpMessage, decodeDhcp, EMPTY_DHCP, encodeDhcp } from "../../src/wire/dhcp.ts"
import { type DhcpMessageType, type DhcpOptions, dhcpOptions } from "../../src/wire/dhcpOptions.ts"
import { isDrop } from "../../src/wire/drop.ts"
import { OFF } from "../../src/wire/time.ts"
import { ip } from "../wire/support.ts"

const SECOND = 1_000_000
const MAC = 0x02_00_00_00_00_07 as MacAddress
const OTHER = 0x02_00_00_00_00_08 as MacAddress

/** Draws that add nothing to the waits: a second is taken off, a second is added. */
const context: DhcpClientContext = { mac: MAC, hostName: "host", draw: () => SECOND }

const pool: DhcpPool = {
  server: ip("198.18.0.1"),
  prefixLength: 24,
  first: ip("198.18.0.10"),
  last: ip("198.18.0.12"),
  routers: [ip("198.18.0.1")],
  routes: [],
  dnsServers: [ip("198.18.0.1")],
  domainName: "example",
  mtu: undefined,
  leaseTime: 1000,
  reserved: new Map(),
}

/** As on the wire: what cannot be encoded is lost here. */
const carried = (message: DhcpMessage): DhcpMessage => {
  const decoded = decodeDhcp(encodeDhcp(message))
  if (isDrop(decoded)) throw new Error(decoded)
  return decoded
}

/** "DISCOVER to all", "REQUEST to 198.18.0.1 for 198.18.0.10", "configure 198.18.0.10", ... */
const shown = (effect: DhcpEffect): string => {
  switch (effect._tag) {
    case "Send": {
      const { options, ciaddr } = effect.message
      const wanted = options.requestedAddress ?? (ciaddr.d === 0 ? undefined : ciaddr)
      const forIt = wanted === undefined ? "" : ` for ${formatAddress(wanted)}`
      return `${options.messageType} to ${effect.to === undefined ? "all" : formatAddress(effect.to)}${forIt}`
    }
    case "Configure":
      return `configure ${formatAddress(effect.lease.address)}/${effect.lease.prefixLength}`
    case "Deconfigure":
      return `deconfigure, ${effect.why}`
  }
}

const sent = (effects: ReadonlyArray<DhcpEffect>): DhcpMessage => {
  const send = effects.find((effect) => effect._tag === "Send")
  if (send === undefined) throw new Error("nothing was sent")
  return carried(send.message)
}

const serverSays = (
  type: DhcpMessageType,
  xid: number,
  given: Partial<DhcpOptions> = {},
  yiaddr = "198.18.0.10",
): DhcpMessage => ({
  ...EMPTY_DHCP,
  op: "reply",
  xid,
  chaddr: MAC,
  yiaddr: type === "NAK" ? ip("0.0.0.0") : ip(yiaddr),
  options: dhcpOptions(type, {
    serverIdentifier: ip("198.18.0.1"),
    leaseTime: 1000,
    subnetMask: ip("255.255.255.0"),
    ...given,
  }),
})

const xidOf = (client: DhcpClient): number => ("xid" in client ? client.xid : 0)

/** A client that has the lease of 1000 s, taken at 0. */
const bound = (): DhcpClient => {
  const selecting = start(context, undefined, 0).client
  const requesting = arrives(context, selecting, serverSays("OFFER", xidOf(selecting)), 0).client
  const { client } = arrives(context, requesting, serverSays("ACK", xidOf(requesting)), 0)
  expect(client.state).toBe("BOUND")
  return client
}

/** Fires the client's timers up to `until`, nobody answering: "@4 DISCOVER to all", ... */
const alone = (
  client: DhcpClient,
  until: number,
): { readonly said: ReadonlyArray<string>; readonly client: DhcpClient } => {
  const said: Array<string> = []
  let now = client
  while (now.deadline <= until) {
    const at = now.deadline
    const step = timeout(context, now, at)
    now = step.client
    said.push(...step.effects.map((effect) => `@${at / SECOND} ${shown(effect)}`))
  }
  return { said, client: now }
}

describe("DHCP client", () => {
  test("INIT, start: a DISCOVER to all, from 0.0.0.0, that asks for what a host needs", () => {
    const { client, effects } = start(context, undefined, 0)
    expect(client.state).toBe("SELECTING")
    expect(effects.map(shown)).toEqual(["DISCOVER to all"])
    const { options, ciaddr, chaddr } = sent(effects)
    expect([ciaddr.d, chaddr]).toEqual([0, MAC])
    expect(options.parameterRequestList).toContain(121)
    expect(options.hostName).toBe("host")
  })

  test("SELECTING, nobody answers: the DISCOVER again after 4, 8, 16, 32, 64, 64 s", () => {
    const { said } = alone(start(context, undefined, 0).client, 200 * SECOND)
    expect(said).toEqual([4, 12, 28, 60, 124, 188].map((at) => `@${at} DISCOVER to all`))
  })

  test("SELECTING, offers of two servers: the first is asked for, the second passed over", () => {
    const { client } = start(context, undefined, 0)
    const first = arrives(context, client, serverSays("OFFER", xidOf(client)), 0)
    expect(first.effects.map(shown)).toEqual(["REQUEST to all for 198.18.0.10"])
    expect(sent(first.effects).options.serverIdentifier).toEqual(ip("198.18.0.1"))
    const other = serverSays("OFFER", xidOf(client), { serverIdentifier: ip("198.18.0.2") }, "198.18.0.99")
    expect(arrives(context, first.client, other, 0)).toEqual({ client: first.client, effects: [] })
  })

  test("REQUESTING, no answer: four tries, then a new DISCOVER", () => {
    const { client } = start(context, undefined, 0)
    const requesting = arrives(context, client, serverSays("OFFER", xidOf(client)), 0).client
    expect(alone(requesting, 61 * SECOND).said).toEqual([
      "@4 REQUEST to all for 198.18.0.10",
      "@12 REQUEST to all for 198.18.0.10",
      "@28 REQUEST to all for 198.18.0.10",
      "@60 DISCOVER to all",
    ])
  })

  const strangers: ReadonlyArray<readonly [string, (xid: number) => DhcpMessage]> = [
    ["another transaction", (xid) => serverSays("ACK", xid + 1)],
    ["another client's hardware address", (xid) => ({ ...serverSays("ACK", xid), chaddr: OTHER })],
    ["a request", (xid) => ({ ...serverSays("ACK", xid), op: "request" })],
    ["a server that was not chosen", (xid) => serverSays("ACK", xid, { serverIdentifier: ip("198.18.0.9") })],
    ["no lease time", (xid) => serverSays("ACK", xid, { leaseTime: undefined })],
    ["no address", (xid) => serverSays("ACK", xid, {}, "0.0.0.0")],
  ]
  test.each(strangers)("REQUESTING, an ACK with %s: ignored", (_, made) => {
    const { client } = start(context, undefined, 0)
    const requesting = arrives(context, client, serverSays("OFFER", xidOf(client)), 0).client
    expect(arrives(context, requesting, made(xidOf(requesting)), 0)).toEqual({ client: requesting, effects: [] })
  })

  test("REQUESTING, ACK: BOUND, configured, T1 and T2 at a half and seven eighths", () => {
    const client = bound()
    expect(client).toMatchObject({
      state: "BOUND",
      deadline: 500 * SECOND,
      lease: { renewAt: 500 * SECOND, rebindAt: 875 * SECOND, expiresAt: 1000 * SECOND, prefixLength: 24 },
    })
  })

  test("REQUESTING, ACK with an endless lease: no timer", () => {
    const { client } = start(context, undefined, 0)
    const requesting = arrives(context, client, serverSays("OFFER", xidOf(client)), 0).client
    const ack = serverSays("ACK", xidOf(requesting), { leaseTime: 0xffffffff })
    expect(arrives(context, requesting, ack, 0).client.deadline).toBe(OFF)
  })

  test("REQUESTING, NAK: begins anew", () => {
    const { client } = start(context, undefined, 0)
    const requesting = arrives(context, client, serverSays("OFFER", xidOf(client)), 0).client
    const { effects } = arrives(context, requesting, serverSays("NAK", xidOf(requesting)), 0)
    expect(effects.map(shown)).toEqual(["DISCOVER to all"])
  })

  test("BOUND, nobody answers: asks its server from T1 on, everybody from T2 on, gives up at the end", () => {
    const { said } = alone(bound(), 1000 * SECOND)
    expect(said).toEqual([
      "@500 REQUEST to 198.18.0.1 for 198.18.0.10",
      "@687.5 REQUEST to 198.18.0.1 for 198.18.0.10",
      "@781.25 REQUEST to 198.18.0.1 for 198.18.0.10",
      "@841.25 REQUEST to 198.18.0.1 for 198.18.0.10",
      "@875 REQUEST to all for 198.18.0.10",
      "@937.5 REQUEST to all for 198.18.0.10",
      "@997.5 REQUEST to all for 198.18.0.10",
      "@1000 deconfigure, RFC2131-4.4.5:lease-expired",
      "@1000 DISCOVER to all",
    ])
  })

  test("RENEWING, ACK: the lease counts from the request", () => {
    const renewing = timeout(context, bound(), 500 * SECOND).client
    const { client, effects } = arrives(context, renewing, serverSays("ACK", xidOf(renewing)), 503 * SECOND)
    expect(effects.map(shown)).toEqual(["configure 198.18.0.10/24"])
    expect(client).toMatchObject({ state: "BOUND", lease: { expiresAt: 1500 * SECOND } })
  })

  test("RENEWING, NAK: the address goes at once", () => {
    const renewing = timeout(context, bound(), 500 * SECOND).client
    const { effects } = arrives(context, renewing, serverSays("NAK", xidOf(renewing)), 500 * SECOND)
    expect(effects.map(shown)).toEqual(["deconfigure, RFC2131-4.4.5:NAK", "DISCOVER to all"])
  })

  test("BOUND, the address is in use: declined, and ten seconds of silence", () => {
    const { client, effects } = conflict(context, bound(), SECOND)
    expect(effects.map(shown)).toEqual(["deconfigure, RFC2131-4.4.1:address-in-use", "DECLINE to all for 198.18.0.10"])
    expect(client).toMatchObject({ state: "INIT", deadline: 11 * SECOND })
    expect(timeout(context, client, 11 * SECOND).effects.map(shown)).toEqual(["DISCOVER to all"])
  })

  test("BOUND, release: the server is told", () => {
    expect(release(context, bound()).map(shown)).toEqual([
      "RELEASE to 198.18.0.1 for 198.18.0.10",
      "deconfigure, RFC2131-4.4.6:RELEASE",
    ])
  })

  test("an address of before: asked for first, then as if there were none", () => {
    const { client, effects } = start(context, ip("198.18.0.11"), 0)
    expect(effects.map(shown)).toEqual(["REQUEST to all for 198.18.0.11"])
    expect(sent(effects).options.serverIdentifier).toBeUndefined()
    expect(alone(client, 12 * SECOND).said).toEqual(["@4 REQUEST to all for 198.18.0.11", "@12 DISCOVER to all"])
  })
})

describe("DHCP server", () => {
  const from = (
    mac: MacAddress,
    type: DhcpMessageType,
    given: Partial<DhcpOptions> = {},
    ciaddr = "0.0.0.0",
  ): DhcpMessage => ({
    ...EMPTY_DHCP,
    xid: 7,
    chaddr: mac,
    ciaddr: ip(ciaddr),
    options: dhcpOptions(type, given),
  })
  const said = (made: ReturnType<typeof answer>): string => {
    if (made.reply === undefined) return `silence, ${made.why}`
    const { message, to } = made.reply
    return `${message.options.messageType} ${formatAddress(message.yiaddr)} to ${to === undefined ? "all" : formatAddress(to)}`
  }
  const ours = { serverIdentifier: pool.server }
  const held = (mac: MacAddress, address: string, at = 0): DhcpBindings => {
    const offered = answer(pool, NO_BINDINGS, from(mac, "DISCOVER", { requestedAddress: ip(address) }), at).bindings
    return answer(pool, offered, from(mac, "REQUEST", { ...ours, requestedAddress: ip(address) }), at).bindings
  }

  const rows: ReadonlyArray<readonly [string, DhcpBindings, DhcpMessage, number, string]> = [
    ["empty, DISCOVER", NO_BINDINGS, from(MAC, "DISCOVER"), 0, "OFFER 198.18.0.10 to all"],
    [
      "empty, DISCOVER that asks for a free one",
      NO_BINDINGS,
      from(MAC, "DISCOVER", { requestedAddress: ip("198.18.0.12") }),
      0,
      "OFFER 198.18.0.12 to all",
    ],
    [
      "empty, DISCOVER that asks for one outside",
      NO_BINDINGS,
      from(MAC, "DISCOVER", { requestedAddress: ip("198.18.0.77") }),
      0,
      "OFFER 198.18.0.10 to all",
    ],
    [
      "leased to another, DISCOVER that asks for it",
      held(OTHER, "198.18.0.10"),
      from(MAC, "DISCOVER", { requestedAddress: ip("198.18.0.10") }),
      0,
      "OFFER 198.18.0.11 to all",
    ],
    ["leased to it, DISCOVER", held(MAC, "198.18.0.12"), from(MAC, "DISCOVER"), 0, "OFFER 198.18.0.12 to all"],
    [
      "lease ended, DISCOVER of the same client",
      held(MAC, "198.18.0.12"),
      from(MAC, "DISCOVER"),
      2000 * SECOND,
      "OFFER 198.18.0.12 to all",
    ],
    [
      "leased to another and ended, DISCOVER: what nobody had comes first",
      held(OTHER, "198.18.0.10"),
      from(MAC, "DISCOVER"),
      2000 * SECOND,
      "OFFER 198.18.0.11 to all",
    ],
    [
      "empty, REQUEST of an offer never made",
      NO_BINDINGS,
      from(MAC, "REQUEST", { ...ours, requestedAddress: ip("198.18.0.10") }),
      0,
      "NAK 0.0.0.0 to all",
    ],
    [
      "empty, REQUEST of an address of before",
      NO_BINDINGS,
      from(MAC, "REQUEST", { requestedAddress: ip("198.18.0.11") }),
      0,
      "ACK 198.18.0.11 to all",
    ],
    [
      "empty, REQUEST of an address of another network",
      NO_BINDINGS,
      from(MAC, "REQUEST", { requestedAddress: ip("192.0.2.11") }),
      0,
      "NAK 0.0.0.0 to all",
    ],
    [
      "leased to another, REQUEST of an address of before",
      held(OTHER, "198.18.0.11"),
      from(MAC, "REQUEST", { requestedAddress: ip("198.18.0.11") }),
      0,
      "NAK 0.0.0.0 to all",
    ],
    [
      "leased to it, renewed",
      held(MAC, "198.18.0.11"),
      from(MAC, "REQUEST", {}, "198.18.0.11"),
      500 * SECOND,
      "ACK 198.18.0.11 to 198.18.0.11",
    ],
    [
      "empty, REQUEST of another server",
      NO_BINDINGS,
      from(MAC, "REQUEST", { serverIdentifier: ip("198.18.0.9"), requestedAddress: ip("198.18.0.10") }),
      0,
      "silence, RFC2131-4.3.2:another-server",
    ],
    ["empty, REQUEST of nothing", NO_BINDINGS, from(MAC, "REQUEST"), 0, "silence, RFC2131-4.3.2:no-address"],
    [
      "leased to another, RELEASE",
      held(OTHER, "198.18.0.10"),
      from(MAC, "RELEASE", ours, "198.18.0.10"),
      0,
      "silence, RFC2131-4.3.4:not-its-address",
    ],
    [
      "leased to it, RELEASE",
      held(MAC, "198.18.0.10"),
      from(MAC, "RELEASE", ours, "198.18.0.10"),
      0,
      "silence, RFC2131-4.3.4:RELEASE",
    ],
    [
      "leased to it, DECLINE",
      held(MAC, "198.18.0.10"),
      from(MAC, "DECLINE", { ...ours, requestedAddress: ip("198.18.0.10") }),
      0,
      "silence, RFC2131-4.3.3:DECLINE",
    ],
    ["empty, INFORM", NO_BINDINGS, from(MAC, "INFORM", {}, "198.18.0.50"), 0, "ACK 0.0.0.0 to 198.18.0.50"],
    ["empty, a reply", NO_BINDINGS, { ...from(MAC, "ACK"), op: "reply" }, 0, "silence, dhcp:not-a-request"],
  ]
  test.each(rows)("%s", (_, bindings, message, now, outcome) => {
    expect(said(answer(pool, bindings, message, now))).toBe(outcome)
  })

  test("a DECLINE: the address is left alone for ten minutes", () => {
    const message = from(MAC, "DECLINE", { ...ours, requestedAddress: ip("198.18.0.10") })
    const { bindings } = answer(pool, held(MAC, "198.18.0.10"), message, 0)
    expect(said(answer(pool, bindings, from(OTHER, "DISCOVER", { requestedAddress: ip("198.18.0.10") }), SECOND))).toBe(
      "OFFER 198.18.0.11 to all",
    )
    expect(
      said(answer(pool, bindings, from(OTHER, "REQUEST", { requestedAddress: ip("198.18.0.10") }), 601 * SECOND)),
    ).toBe("ACK 198.18.0.10 to all")
  })

  test("all addresses taken: silence; the table never outgrows the pool", () => {
    let bindings = NO_BINDINGS
    for (let n = 0; n < 50; n++)
      bindings = answer(pool, bindings, from((MAC + n) as MacAddress, "DISCOVER"), 0).bindings
    expect(bindings.size).toBe(3)
    expect(said(answer(pool, bindings, from(0x0200_0000_1000 as MacAddress, "DISCOVER"), 0))).toBe(
      "silence, dhcp:pool-empty",
    )
    // Offers that nobody took are free again after a minute.
    expect(said(answer(pool, bindings, from(0x0200_0000_1000 as MacAddress, "DISCOVER"), 61 * SECOND))).toBe(
      "OFFER 198.18.0.10 to all",
    )
  })

  test("a reserved address: its owner's only", () => {
    const keeping: DhcpPool = { ...pool, reserved: new Map([[OTHER, ip("198.18.0.10")]]) }
    expect(said(answer(keeping, NO_BINDINGS, from(MAC, "DISCOVER"), 0))).toBe("OFFER 198.18.0.11 to all")
    expect(said(answer(keeping, NO_BINDINGS, from(OTHER, "DISCOVER"), 0))).toBe("OFFER 198.18.0.10 to all")
  })

  test("through a relay: the answer goes to the relay's server port", () => {
    const { reply } = answer(pool, NO_BINDINGS, { ...from(MAC, "DISCOVER"), giaddr: ip("198.19.0.1") }, 0)
    expect(reply).toMatchObject({ to: ip("198.19.0.1"), port: "server" })
  })
})

test("client and server: DISCOVER, OFFER, REQUEST, ACK, and the renewal half-way", () => {
  let bindings = NO_BINDINGS
  const ask = (effects: ReadonlyArray<DhcpEffect>, now: number): DhcpMessage => {
    const made = answer(pool, bindings, sent(effects), now)
    bindings = made.bindings
    if (made.reply === undefined) throw new Error(made.why)
    return carried(made.reply.message)
  }
  let step = start(context, undefined, 0)
  step = arrives(context, step.client, ask(step.effects, 0), 0)
  step = arrives(context, step.client, ask(step.effects, 0), 0)
  expect(step.effects.map(shown)).toEqual(["configure 198.18.0.10/24"])
  expect(step.client).toMatchObject({
    lease: { routes: [{ prefixLength: 0, via: ip("198.18.0.1") }], domainName: "example" },
  })
  const at = step.client.deadline
  step = timeout(context, step.client, at)
  step = arrives(context, step.client, ask(step.effects, at), at)
  expect(step.client).toMatchObject({ state: "BOUND", lease: { expiresAt: 1500 * SECOND } })
  expect([...bindings.values()]).toMatchObject([{ state: "bound", expiresAt: 1500 * SECOND, hostName: "host" }])
})
