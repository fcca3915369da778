import { type IpAddress, ipv4, type MacAddress, sameAddress } from "../wire/address.ts"
import { type DhcpMessage, EMPTY_DHCP } from "../wire/dhcp.ts"
import { type ClasslessRoute, type DhcpOptions, dhcpOptions } from "../wire/dhcpOptions.ts"
import type { Micros } from "../wire/time.ts"

/** What a small server gives out: one pool on one link (RFC 2131). */
export interface DhcpPool {
  /** The server's own address on the link. */
  readonly server: IpAddress
  readonly prefixLength: number
  /** First and last address. */
  readonly first: IpAddress
  readonly last: IpAddress
  readonly routers: ReadonlyArray<IpAddress>
  readonly routes: ReadonlyArray<ClasslessRoute>
  readonly dnsServers: ReadonlyArray<IpAddress>
  readonly domainName: string | undefined
  readonly mtu: number | undefined
  /** Seconds. */
  readonly leaseTime: number
  /** Addresses that certain hardware always gets, in the pool or outside of it. */
  readonly reserved: ReadonlyMap<MacAddress, IpAddress>
}

/** An address and who has it. */
export interface DhcpBinding {
  readonly address: IpAddress
  /** The client identifier, or hardware type and address (RFC 2131 section 4.2). Empty: declined, nobody's. */
  readonly client: string
  readonly mac: MacAddress
  readonly hostName: string | undefined
  readonly state: "offered" | "bound" | "declined"
  readonly expiresAt: Micros
}

/** By address. Never more than the pool and the reserved addresses. */
export type DhcpBindings = ReadonlyMap<number, DhcpBinding>

export const NO_BINDINGS: DhcpBindings = new Map()

/** What the server now knows, and what it says. */
export interface DhcpAnswer {
  readonly bindings: DhcpBindings
  readonly reply: DhcpReply | undefined
  readonly why: `${string}:${string}`
}

export interface DhcpReply {
  readonly message: DhcpMessage
  /** Broadcast where undefined: the client may have no address to be reached at (section 4.1). */
  readonly to: IpAddress | undefined
  readonly port: "client" | "server"
}

const SECOND: Micros = 1_000_000
/** An offer is held for the client that long. */
const OFFER_TIME = 60 * SECOND
/** An address that a client found in use is left alone that long. */
const DECLINE_TIME = 600 * SECOND

/** A client's message to the server port. */
export const answer = (pool: DhcpPool, bindings: DhcpBindings, message: DhcpMessage, now: Micros): DhcpAnswer => {
  if (message.op !== "request") return nothing(bindings, "dhcp:not-a-request")
  const { messageType, serverIdentifier } = message.options
  const forUs = serverIdentifier === undefined || sameAddress(serverIdentifier, pool.server)
  const key = keyOf(message)
  switch (messageType) {
    case "DISCOVER": {
      const address = choose(pool, bindings, message, key, now)
      if (address === undefined) return nothing(bindings, "dhcp:pool-empty")
      const held = bind(bindings, message, key, address, "offered", now + OFFER_TIME)
      return { bindings: held, reply: reply(pool, message, "OFFER", address), why: "RFC2131-4.3.1:OFFER" }
    }
    case "REQUEST":
      // The client has chosen another server: what was offered is free again (section 3.1, step 4).
      if (!forUs) return nothing(withoutOffer(bindings, key), "RFC2131-4.3.2:another-server")
      return requested(pool, bindings, message, key, now)
    case "DECLINE": {
      const address = message.options.requestedAddress
      const own = address === undefined ? undefined : bindings.get(address.d)
      if (!forUs || own === undefined || own.client !== key) return nothing(bindings, "RFC2131-4.3.3:not-its-address")
      const declined: DhcpBinding = { ...own, client: "", state: "declined", expiresAt: now + DECLINE_TIME }
      return nothing(new Map(bindings).set(own.address.d, declined), "RFC2131-4.3.3:DECLINE")
    }
    case "RELEASE": {
      const own = bindings.get(message.ciaddr.d)
      if (!forUs || own?.client !== key) return nothing(bindings, "RFC2131-4.3.4:not-its-address")
      return nothing(without(bindings, own.address), "RFC2131-4.3.4:RELEASE")
    }
    case "INFORM":
      return { bindings, reply: reply(pool, message, "ACK", undefined), why: "RFC2131-4.3.5:INFORM" }
    case "OFFER":
    case "ACK":
    case "NAK":
      return nothing(bindings, "dhcp:a-server's-message")
  }
}

/**
 * SELECTING names the server, INIT-REBOOT an address of before, RENEWING and REBINDING the address
 * in use (section 4.3.2). The server is the only one of its link: a free address of the pool that a
 * client remembers is granted without a record, and what cannot be granted is refused, not passed over.
 */
const requested = (
  pool: DhcpPool,
  bindings: DhcpBindings,
  message: DhcpMessage,
  key: string,
  now: Micros,
): DhcpAnswer => {
  const { requestedAddress, serverIdentifier } = message.options
  const address = requestedAddress ?? (message.ciaddr.d === 0 ? undefined : message.ciaddr)
  if (address === undefined) return nothing(bindings, "RFC2131-4.3.2:no-address")
  const holder = live(bindings.get(address.d), now)
  const remembered = holder === undefined && serverIdentifier === undefined && isFor(pool, address, message.chaddr)
  if (holder?.client !== key && !remembered) return refused(pool, bindings, message)
  const bound = bind(bindings, message, key, address, "bound", now + pool.leaseTime * SECOND)
  return { bindings: bound, reply: reply(pool, message, "ACK", address), why: "RFC2131-4.3.2:ACK" }
}

/** Section 4.3.1: the reserved address, the one the client has or had, the one it asks for, a free one. */
const choose = (
  pool: DhcpPool,
  bindings: DhcpBindings,
  message: DhcpMessage,
  key: string,
  now: Micros,
): IpAddress | undefined => {
  const reserved = pool.reserved.get(message.chaddr)
  if (reserved !== undefined) return reserved
  for (const binding of bindings.values()) if (binding.client === key) return binding.address
  const isFree = (address: IpAddress): boolean =>
    isFor(pool, address, message.chaddr) && live(bindings.get(address.d), now) === undefined
  const { requestedAddress } = message.options
  if (requestedAddress !== undefined && isFree(requestedAddress)) return requestedAddress
  // Addresses that nobody has had come first: a client that returns finds its own.
  let used: IpAddress | undefined
  for (let word = pool.first.d; word <= pool.last.d; word++) {
    const address = ipv4(word)
    if (!isFree(address)) continue
    if (!bindings.has(word)) return address
    used ??= address
  }
  return used
}

/** In the pool and reserved for nobody else, or reserved for this hardware. */
const isFor = (pool: DhcpPool, address: IpAddress, mac: MacAddress): boolean => {
  for (const [owner, reserved] of pool.reserved) if (sameAddress(reserved, address)) return owner === mac
  return address.d >= pool.first.d && address.d <= pool.last.d && !sameAddress(address, pool.server)
}

const live = (binding: DhcpBinding | undefined, now: Micros): DhcpBinding | undefined =>
  binding !== undefined && binding.expiresAt > now ? binding : undefined

const bind = (
  bindings: DhcpBindings,
  { chaddr, options }: DhcpMessage,
  client: string,
  address: IpAddress,
  state: "offered" | "bound",
  expiresAt: Micros,
): DhcpBindings => {
  const before = bindings.get(address.d)
  // An offer to one who has the address already must not shorten the lease.
  if (state === "offered" && before?.client === client && before.expiresAt > expiresAt) return bindings
  const binding: DhcpBinding = { address, client, mac: chaddr, hostName: options.hostName, state, expiresAt }
  return new Map(withoutOthers(bindings, client, address)).set(address.d, binding)
}

/** A client has one address. */
const withoutOthers = (bindings: DhcpBindings, client: string, address: IpAddress): DhcpBindings =>
  new Map([...bindings].filter(([word, binding]) => binding.client !== client || word === address.d))

const withoutOffer = (bindings: DhcpBindings, client: string): DhcpBindings =>
  new Map([...bindings].filter(([, binding]) => binding.client !== client || binding.state !== "offered"))

const without = (bindings: DhcpBindings, address: IpAddress): DhcpBindings =>
  new Map([...bindings].filter(([word]) => word !== address.d))

const nothing = (bindings: DhcpBindings, why: DhcpAnswer["why"]): DhcpAnswer => ({ bindings, reply: undefined, why })

const refused = (pool: DhcpPool, bindings: DhcpBindings, message: DhcpMessage): DhcpAnswer => {
  const options = dhcpOptions("NAK", { serverIdentifier: pool.server, message: "address not available" })
  // A relay passes a NAK on as a broadcast (section 4.3.2).
  const nak: DhcpMessage = { ...answerTo(message), broadcast: message.broadcast || message.giaddr.d !== 0, options }
  const to = message.giaddr.d === 0 ? undefined : message.giaddr
  return {
    bindings,
    reply: { message: nak, to, port: to === undefined ? "client" : "server" },
    why: "RFC2131-4.3.2:NAK",
  }
}

/** Table 3. Without an address: what an INFORM asks for. */
const reply = (
  pool: DhcpPool,
  message: DhcpMessage,
  type: "OFFER" | "ACK",
  address: IpAddress | undefined,
): DhcpReply => {
  const options = dhcpOptions(type, { ...optionsOf(pool), ...(address === undefined ? {} : timesOf(pool)) })
  const out: DhcpMessage = {
    ...answerTo(message),
    ciaddr: message.ciaddr,
    yiaddr: address ?? EMPTY_DHCP.yiaddr,
    options,
  }
  if (message.giaddr.d !== 0) return { message: out, to: message.giaddr, port: "server" }
  // Where the client cannot be reached yet we broadcast: to send to `yiaddr` would need its link address in the cache.
  return { message: out, to: message.ciaddr.d === 0 ? undefined : message.ciaddr, port: "client" }
}

const answerTo = ({ xid, broadcast, giaddr, chaddr }: DhcpMessage): Omit<DhcpMessage, "options"> => ({
  ...EMPTY_DHCP,
  op: "reply",
  xid,
  broadcast,
  giaddr,
  chaddr,
})

const optionsOf = (pool: DhcpPool): Partial<Omit<DhcpOptions, "messageType">> => ({
  serverIdentifier: pool.server,
  subnetMask: maskOf(pool.prefixLength),
  broadcastAddress: ipv4((pool.server.d | ~maskOf(pool.prefixLength).d) >>> 0),
  routers: pool.routers,
  classlessRoutes: pool.routes,
  dnsServers: pool.dnsServers,
  domainName: pool.domainName,
  interfaceMtu: pool.mtu,
})

const timesOf = ({ leaseTime }: DhcpPool): Partial<Omit<DhcpOptions, "messageType">> => ({
  leaseTime,
  renewalTime: Math.floor(leaseTime / 2),
  rebindingTime: Math.floor(leaseTime * 0.875),
})

const maskOf = (length: number): IpAddress => ipv4(length === 0 ? 0 : (0xffffffff << (32 - length)) >>> 0)

const keyOf = ({ chaddr, options }: DhcpMessage): string =>
  options.clientIdentifier === undefined ? `1:${chaddr}` : `id:${options.clientIdentifier.join(".")}`
