import { Schema } from "effect"

/** What `ip` shows of a stack, as values that survive JSON: see inspectSchema.ts. */
const count = Schema.NonNegativeInt
const family = Schema.Literal(4, 6)
/** Whole seconds that are left; absent: for ever. */
const lifetime = Schema.optional(count)

/** Where an address means something, as iproute2 has it. */
export const Scope = Schema.Literal("global", "site", "link", "host")
export type Scope = typeof Scope.Type

/** An address of an interface. */
export const InterfaceAddress = Schema.Struct({
  family,
  address: Schema.String,
  prefixLength: count,
  /** IPv4, where the network has one. */
  broadcast: Schema.optional(Schema.String),
  scope: Scope,
  /** Given, made for the link, made from an advertised prefix, or leased. */
  origin: Schema.Literal("static", "link-local", "autoconf", "dynamic"),
  state: Schema.Literal("tentative", "preferred", "deprecated", "duplicated"),
  preferred: lifetime,
  valid: lifetime,
})
export type InterfaceAddress = typeof InterfaceAddress.Type

/** One interface of `ip addr`. */
export const InterfaceRow = Schema.Struct({
  /** From 1, as in the zones of link-local addresses. */
  index: count,
  name: Schema.String,
  layer: Schema.Literal("ethernet", "ip"),
  mtu: count,
  /** Absent where the link has no addresses. */
  mac: Schema.optional(Schema.String),
  addresses: Schema.Array(InterfaceAddress),
})
export type InterfaceRow = typeof InterfaceRow.Type

/** One line of `ip route`. */
export const RouteRow = Schema.Struct({
  family,
  prefix: Schema.String,
  prefixLength: count,
  /** Absent: on the link itself. */
  via: Schema.optional(Schema.String),
  device: Schema.String,
  /** kernel: of an address of ours. ra: advertised by a router. */
  protocol: Schema.Literal("kernel", "static", "dhcp", "ra"),
  metric: count,
  /** IPv4, of an address of ours: which one. */
  source: Schema.optional(Schema.String),
  preference: Schema.optional(Schema.Literal("high", "medium", "low")),
  expires: lifetime,
})
export type RouteRow = typeof RouteRow.Type

/** One line of `ip neigh`. */
export const NeighbourRow = Schema.Struct({
  family,
  address: Schema.String,
  device: Schema.String,
  /** Absent while it is asked for. */
  mac: Schema.optional(Schema.String),
  router: Schema.Boolean,
  state: Schema.Literal("INCOMPLETE", "REACHABLE", "STALE", "DELAY", "PROBE"),
})
export type NeighbourRow = typeof NeighbourRow.Type
