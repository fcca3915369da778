import { type IpAddress, type MacAddress, UNSPECIFIED4 } from "../wire/address.ts"
import { type DhcpMessage, EMPTY_DHCP } from "../wire/dhcp.ts"
import { DHCP_OPTION, type DhcpOptions, dhcpOptions } from "../wire/dhcpOptions.ts"
import type { Micros } from "../wire/time.ts"
import { type DhcpLease, leaseOf } from "./dhcpLease.ts"

/** The client of RFC 2131 section 4.4 (figure 5), one interface's. `deadline`: when `timeout` is due. */
export type DhcpClient =
  | { readonly state: "INIT"; readonly draws: number; readonly deadline: Micros }
  | ({ readonly state: "SELECTING" } & Exchange)
  | ({ readonly state: "REQUESTING"; readonly offered: Offered } & Exchange)
  /** Asks whether an address of before may still be used. */
  | ({ readonly state: "REBOOTING"; readonly address: IpAddress } & Exchange)
  | { readonly state: "BOUND"; readonly lease: DhcpLease; readonly draws: number; readonly deadline: Micros }
  | ({ readonly state: "RENEWING" | "REBINDING"; readonly lease: DhcpLease } & Exchange)

/** One transaction: its xid, its begin, how often it was sent. */
interface Exchange {
  readonly xid: number
  readonly since: Micros
  readonly tries: number
  readonly draws: number
  readonly deadline: Micros
}

/** The offer that was taken: the first one. */
interface Offered {
  readonly address: IpAddress
  readonly server: IpAddress
}

/** What does not change while a client runs. */
export interface DhcpClientContext {
  readonly mac: MacAddress
  readonly hostName: string | undefined
  /** The n-th number drawn, 32 bits: of a keyed hash, so that a run can be repeated. */
  readonly draw: (n: number) => number
}

export type DhcpEffect =
  | {
      readonly _tag: "Send"
      readonly message: DhcpMessage
      /** Broadcast where undefined. */
      readonly to: IpAddress | undefined
      readonly from: IpAddress
      readonly why: `${string}:${string}`
    }
  /** Use the address and what came with it; again with the same address: only its times and the rest have changed. */
  | { readonly _tag: "Configure"; readonly lease: DhcpLease }
  | { readonly _tag: "Deconfigure"; readonly lease: DhcpLease; readonly why: `${string}:${string}` }

export interface DhcpStep {
  readonly client: DhcpClient
  readonly effects: ReadonlyArray<DhcpEffect>
}

const SECOND: Micros = 1_000_000
/** Section 4.1: 4 s, doubled up to 64 s, each a second more or less. */
const FIRST_WAIT = 4 * SECOND
const MOST_DOUBLINGS = 4
/** Tries of a REQUEST before the client begins anew: some 64 s (section 3.1, step 5). */
const REQUEST_TRIES = 4
const REBOOT_TRIES = 2
/** Section 3.1, step 5: a client that has declined waits at least so long. */
const AFTER_DECLINE = 10 * SECOND
/** Section 4.4.5. */
const SHORTEST_RENEWAL = 60 * SECOND

const WANTED = [
  DHCP_OPTION.subnetMask,
  DHCP_OPTION.classlessRoutes,
  DHCP_OPTION.routers,
  DHCP_OPTION.dnsServers,
  DHCP_OPTION.domainName,
  DHCP_OPTION.interfaceMtu,
  DHCP_OPTION.leaseTime,
  DHCP_OPTION.renewalTime,
  DHCP_OPTION.rebindingTime,
]
/** What we take in one datagram: Ethernet's MTU less the headers. */
const MAXIMUM_MESSAGE = 1472

/**
 * Begins; with an address of before, by asking for that (section 3.2). The random wait of section
 * 4.4.1 is left out: it is for buildings whose power comes back, and a stack starts when its user does.
 */
export const start = (context: DhcpClientContext, known: IpAddress | undefined, now: Micros): DhcpStep => {
  if (known === undefined) return discover(context, 0, now)
  const exchange = begin(context, 0, now)
  const client: DhcpClient = { ...exchange, state: "REBOOTING", address: known }
  return { client, effects: [rebootRequest(context, client, now)] }
}

/** A message of a server that came to the client port. */
export const arrives = (
  context: DhcpClientContext,
  client: DhcpClient,
  message: DhcpMessage,
  now: Micros,
): DhcpStep => {
  const { options } = message
  if (message.op !== "reply" || message.chaddr !== context.mac) return ignored(client)
  if (!("xid" in client) || message.xid !== client.xid) return ignored(client)
  switch (client.state) {
    case "SELECTING": {
      const server = options.serverIdentifier
      if (options.messageType !== "OFFER" || server === undefined || message.yiaddr.d === 0) return ignored(client)
      const offered: Offered = { address: message.yiaddr, server }
      const next = { ...client, state: "REQUESTING" as const, offered, tries: 1 }
      return again(context, next, now, request(context, next, now))
    }
    case "REQUESTING":
      if (options.serverIdentifier?.d !== client.offered.server.d) return ignored(client)
      return settled(context, client, message, undefined, now)
    case "REBOOTING":
      return settled(context, client, message, undefined, now)
    case "RENEWING":
    case "REBINDING":
      return settled(context, client, message, client.lease, now)
  }
}

/** The client's deadline has come. */
export const timeout = (context: DhcpClientContext, client: DhcpClient, now: Micros): DhcpStep => {
  switch (client.state) {
    case "INIT":
      return discover(context, client.draws, now)
    case "SELECTING":
      return again(context, { ...client, tries: client.tries + 1 }, now, discovery(context, client, now))
    case "REQUESTING": {
      if (client.tries >= REQUEST_TRIES) return discover(context, client.draws, now)
      const next = { ...client, tries: client.tries + 1 }
      return again(context, next, now, request(context, next, now))
    }
    case "REBOOTING": {
      if (client.tries >= REBOOT_TRIES) return discover(context, client.draws, now)
      const next = { ...client, tries: client.tries + 1 }
      return again(context, next, now, rebootRequest(context, next, now))
    }
    case "BOUND":
      return extend(context, "RENEWING", client.lease, begin(context, client.draws, now), now)
    case "RENEWING":
    case "REBINDING": {
      const { lease } = client
      if (now >= lease.expiresAt) {
        const { client: next, effects } = discover(context, client.draws, now)
        const lost = { _tag: "Deconfigure", lease, why: "RFC2131-4.4.5:lease-expired" } as const
        return { client: next, effects: [lost, ...effects] }
      }
      const state = now >= lease.rebindAt ? "REBINDING" : "RENEWING"
      return extend(context, state, lease, { ...client, tries: client.tries + 1 }, now)
    }
  }
}

/** Somebody else has the address (section 3.1, step 5): decline it, and begin anew later. */
export const conflict = (context: DhcpClientContext, client: DhcpClient, now: Micros): DhcpStep => {
  if (!("lease" in client)) return ignored(client)
  const { lease } = client
  const options = dhcpOptions("DECLINE", {
    requestedAddress: lease.address,
    serverIdentifier: lease.server,
    clientIdentifier: identifier(context),
  })
  const message = { ...EMPTY_DHCP, xid: context.draw(client.draws), chaddr: context.mac, options }
  return {
    client: { state: "INIT", draws: client.draws + 1, deadline: now + AFTER_DECLINE },
    effects: [
      { _tag: "Deconfigure", lease, why: "RFC2131-4.4.1:address-in-use" },
      { _tag: "Send", message, to: undefined, from: UNSPECIFIED4, why: "RFC2131-4.4.1:DECLINE" },
    ],
  }
}

/** The stack ends: the address is given back (section 4.4.6). The client is not used afterwards. */
export const release = (context: DhcpClientContext, client: DhcpClient): ReadonlyArray<DhcpEffect> => {
  if (!("lease" in client)) return []
  const { lease } = client
  const options = dhcpOptions("RELEASE", { serverIdentifier: lease.server, clientIdentifier: identifier(context) })
  const xid = context.draw(client.draws)
  const message = { ...EMPTY_DHCP, xid, chaddr: context.mac, ciaddr: lease.address, options }
  return [
    { _tag: "Send", message, to: lease.server, from: lease.address, why: "RFC2131-4.4.6:RELEASE" },
    { _tag: "Deconfigure", lease, why: "RFC2131-4.4.6:RELEASE" },
  ]
}

const ignored = (client: DhcpClient): DhcpStep => ({ client, effects: [] })

const begin = (context: DhcpClientContext, draws: number, now: Micros): Exchange => ({
  xid: context.draw(draws),
  since: now,
  tries: 1,
  draws: draws + 1,
  deadline: now + wait(context, 1, draws),
})

const discover = (context: DhcpClientContext, draws: number, now: Micros): DhcpStep => {
  const client: DhcpClient = { state: "SELECTING", ...begin(context, draws, now) }
  return { client, effects: [discovery(context, client, now)] }
}

/** Sent once more, with the next wait. */
const again = (
  context: DhcpClientContext,
  client: Extract<DhcpClient, { state: "SELECTING" | "REQUESTING" | "REBOOTING" }>,
  now: Micros,
  send: DhcpEffect,
): DhcpStep => ({
  client: { ...client, draws: client.draws + 1, deadline: now + wait(context, client.tries, client.draws) },
  effects: [send],
})

const wait = (context: DhcpClientContext, tries: number, draws: number): Micros =>
  FIRST_WAIT * 2 ** Math.min(tries - 1, MOST_DOUBLINGS) + (context.draw(draws) % (2 * SECOND)) - SECOND

/** RENEWING asks the server of the lease, REBINDING everybody (section 4.4.5): half of the time that is left, a minute at least. */
const extend = (
  context: DhcpClientContext,
  state: "RENEWING" | "REBINDING",
  lease: DhcpLease,
  exchange: Exchange,
  now: Micros,
): DhcpStep => {
  const until = state === "RENEWING" ? lease.rebindAt : lease.expiresAt
  const deadline = Math.min(until, now + Math.max(SHORTEST_RENEWAL, (until - now) / 2))
  const { xid, since, tries, draws } = exchange
  const client: DhcpClient = { state, lease, xid, since, tries, draws, deadline }
  const options = asking("REQUEST", context, {})
  const message = { ...head(context, client, now), ciaddr: lease.address, options }
  const to = state === "RENEWING" ? lease.server : undefined
  return {
    client,
    effects: [{ _tag: "Send", message, to, from: lease.address, why: `RFC2131-4.4.5:${state}` }],
  }
}

/** An ACK gives the lease (anew), a NAK takes it away. */
const settled = (
  context: DhcpClientContext,
  client: Extract<DhcpClient, Exchange>,
  message: DhcpMessage,
  before: DhcpLease | undefined,
  now: Micros,
): DhcpStep => {
  const { messageType } = message.options
  if (messageType === "NAK") {
    const { client: next, effects } = discover(context, client.draws, now)
    if (before === undefined) return { client: next, effects }
    const lost = { _tag: "Deconfigure", lease: before, why: "RFC2131-4.4.5:NAK" } as const
    return { client: next, effects: [lost, ...effects] }
  }
  if (messageType !== "ACK") return ignored(client)
  const lease = leaseOf(message, before?.server, client.since)
  if (lease === undefined) return ignored(client)
  const bound: DhcpClient = { state: "BOUND", lease, draws: client.draws, deadline: lease.renewAt }
  const effects: Array<DhcpEffect> = []
  if (before !== undefined && before.address.d !== lease.address.d) {
    effects.push({ _tag: "Deconfigure", lease: before, why: "RFC2131-4.4.5:another-address" })
  }
  effects.push({ _tag: "Configure", lease })
  return { client: bound, effects }
}

const discovery = (context: DhcpClientContext, client: Exchange, now: Micros): DhcpEffect =>
  toAll(head(context, client, now), asking("DISCOVER", context, {}), "RFC2131-4.4.1:DISCOVER")

const request = (context: DhcpClientContext, client: Exchange & { offered: Offered }, now: Micros): DhcpEffect => {
  const { address, server } = client.offered
  const options = asking("REQUEST", context, { requestedAddress: address, serverIdentifier: server })
  return toAll(head(context, client, now), options, "RFC2131-4.4.1:REQUEST")
}

const rebootRequest = (
  context: DhcpClientContext,
  client: Exchange & { address: IpAddress },
  now: Micros,
): DhcpEffect => {
  const options = asking("REQUEST", context, { requestedAddress: client.address })
  return toAll(head(context, client, now), options, "RFC2131-4.4.2:INIT-REBOOT")
}

const head = (context: DhcpClientContext, { xid, since }: Exchange, now: Micros): typeof EMPTY_DHCP => ({
  ...EMPTY_DHCP,
  xid,
  // Without an address we take broadcasts only (section 4.1).
  broadcast: true,
  chaddr: context.mac,
  secs: Math.min(0xffff, Math.floor((now - since) / SECOND)),
})

const asking = (
  type: "DISCOVER" | "REQUEST",
  context: DhcpClientContext,
  given: Partial<Omit<DhcpOptions, "messageType">>,
): DhcpOptions =>
  dhcpOptions(type, {
    hostName: context.hostName,
    clientIdentifier: identifier(context),
    parameterRequestList: WANTED,
    maximumMessageSize: MAXIMUM_MESSAGE,
    ...given,
  })

const toAll = (message: typeof EMPTY_DHCP, options: DhcpOptions, why: `${string}:${string}`): DhcpEffect => ({
  _tag: "Send",
  message: { ...message, options },
  to: undefined,
  from: UNSPECIFIED4,
  why,
})

/** Hardware type and address (RFC 2132 section 9.14). */
const identifier = ({ mac }: DhcpClientContext): Uint8Array =>
  Uint8Array.from([1, ...[40, 32, 24, 16, 8, 0].map((shift) => Math.floor(mac / 2 ** shift) & 0xff)])
