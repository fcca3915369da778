import { ETHERNET_HEADER, ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6 } from "../wire/ethernet.ts"
import { PROTOCOL_TCP, PROTOCOL_UDP } from "../wire/ipv4.ts"
import { IPV6_HEADER, NEXT_HEADER_ICMPV6 } from "../wire/ipv6.ts"
import { DESTINATION_OPTIONS, HOP_BY_HOP, ROUTING } from "../wire/ipv6Extension.ts"
import { type Device, noCounters, type Offload, type ReceivedFrame } from "./device.ts"

/**
 * One device of several that together are one link (the queues of a TAP, the rings of a NIC), each with a stack of
 * its own on a thread of its own. What the kernel's choice of a queue gets wrong is put right here:
 *
 * - What is said about neighbours, routers and addresses, ICMP errors and echo replies, and questions after groups
 *   concern all stacks: they are told to all. A neighbour's own question is answered by whoever hears it.
 * - What answers a connection or a datagram that one of the stacks has begun belongs to that stack. Their port ranges do
 *   not overlap, so that the destination port tells which (the kernel forgets an idle flow's queue after
 *   seconds, and goes by a hash from then on).
 *
 * All else stays where it came: a connection that a peer opened began at the queue of its hash.
 */
export interface SiblingOptions {
  /** Which of the siblings this is, from 0. */
  readonly index: number
  /** First and last port from which each of the siblings opens connections. */
  readonly portRanges: ReadonlyArray<readonly [number, number]>
  /** The siblings' common channel; frames that are not for us are ignored. */
  readonly channel: SiblingChannel
}

/** A frame on its way from one sibling to another, or to all others. */
export interface PassedFrame {
  readonly to: number | "others"
  readonly bytes: Uint8Array
  readonly checksumVouched: boolean
  readonly segmentSize: number
}

export interface SiblingChannel {
  readonly post: (frame: PassedFrame) => void
  /** Called for every frame that another sibling has posted. */
  readonly listen: (onFrame: (frame: PassedFrame) => void) => void
}

/** Frames that wait for this sibling; more are lost, as on any full wire. */
const CAPACITY = 1024

/** Those that only stand before an upper layer; a Fragment header is not among them. */
const EXTENSIONS: ReadonlySet<number> = new Set([HOP_BY_HOP, ROUTING, DESTINATION_OPTIONS])
const MOST_EXTENSIONS = 8
const ARP_LENGTH = 28
const PROTOCOL_ICMP = 1
const PROTOCOL_IGMP = 2
const ARP_REQUEST = 1
/** More fragments to come, or an offset (RFC 791 section 3.1). */
const IS_FRAGMENT = 0x3fff
/** RFC 792 (and 1191): echo reply, unreachable, source quench, time exceeded, parameter problem. */
const ICMP_FOR_ALL: ReadonlySet<number> = new Set([0, 3, 4, 11, 12])
/** RFC 4443 errors are below this. */
const FIRST_ICMPV6_INFORMATIONAL = 128
/** Echo reply, MLD query (RFC 3810), router and neighbour advertisement, redirect (RFC 4861). */
const ICMPV6_FOR_ALL: ReadonlySet<number> = new Set([129, 130, 134, 136, 137])
const NEIGHBOUR_SOLICITATION = 135

/** `concernOf`: the frame concerns nobody but the stack that has received it. */
export const OWN = -1
/** `concernOf`: it concerns all stacks. */
export const ALL = -2

/**
 * Whom a frame concerns: OWN, ALL, or the TCP or UDP port that it is for. Looks at the fields that decide, no more:
 * whatever is wrong with a frame, its own stack says so. Fragments stay together where they came, since only
 * the first of them has ports.
 */
export const concernOf = (bytes: Uint8Array, offset: number, length: number, layer: "ethernet" | "ip"): number => {
  const ip = layer === "ethernet" ? offset + ETHERNET_HEADER : offset
  const end = offset + length
  const type = layer === "ethernet" ? u16(bytes, offset + 12) : etherTypeOf(bytes[ip] ?? 0)
  switch (type) {
    case ETHERTYPE_ARP:
      return ip + ARP_LENGTH <= end ? concernOfArp(bytes, ip) : OWN
    case ETHERTYPE_IPV4: {
      const transport = ip + ((bytes[ip] ?? 0) & 0x0f) * 4
      if (transport + 4 > end || (u16(bytes, ip + 6) & IS_FRAGMENT) !== 0) return OWN
      const protocol = bytes[ip + 9] ?? 0
      if (protocol === PROTOCOL_TCP || protocol === PROTOCOL_UDP) return u16(bytes, transport + 2)
      // Each stack has groups of its own to report.
      if (protocol === PROTOCOL_IGMP) return ALL
      return protocol === PROTOCOL_ICMP && ICMP_FOR_ALL.has(bytes[transport] ?? 0) ? ALL : OWN
    }
    case ETHERTYPE_IPV6:
      return ip + IPV6_HEADER + 4 > end ? OWN : concernOfIpv6(bytes, ip, end)
    default:
      return OWN
  }
}

/**
 * Whoever hears a request answers it. But a probe for an address and the announcement of one (RFC 5227) may
 * be in conflict with what all have.
 */
const concernOfArp = (bytes: Uint8Array, at: number): number => {
  const sender = u32(bytes, at + 14)
  const isOrdinary = u16(bytes, at + 6) === ARP_REQUEST && sender !== 0 && sender !== u32(bytes, at + 24)
  return isOrdinary ? OWN : ALL
}

const concernOfIpv6 = (bytes: Uint8Array, ip: number, end: number): number => {
  let protocol = bytes[ip + 6] ?? 0
  let transport = ip + IPV6_HEADER
  // An MLD query stands behind a Router Alert (RFC 3810 section 5).
  for (let headers = 0; EXTENSIONS.has(protocol); headers++) {
    if (headers === MOST_EXTENSIONS) return OWN
    protocol = bytes[transport] ?? 0
    transport += ((bytes[transport + 1] ?? 0) + 1) * 8
    if (transport + 4 > end) return OWN
  }
  if (protocol === PROTOCOL_TCP || protocol === PROTOCOL_UDP) return u16(bytes, transport + 2)
  if (protocol !== NEXT_HEADER_ICMPV6) return OWN
  const type = bytes[transport] ?? 0
  if (type < FIRST_ICMPV6_INFORMATIONAL || ICMPV6_FOR_ALL.has(type)) return ALL
  // From nobody it asks whether an address is taken, which all may be asking too (RFC 4862 section 5.4.3).
  return type === NEIGHBOUR_SOLICITATION && isUnspecified6(bytes, ip + 8) ? ALL : OWN
}

const isUnspecified6 = (bytes: Uint8Array, at: number): boolean => {
  for (let word = 0; word < 4; word++) if (u32(bytes, at + word * 4) !== 0) return false
  return true
}

const u32 = (bytes: Uint8Array, at: number): number => u16(bytes, at) * 0x10000 + u16(bytes, at + 2)
const u16 = (bytes: Uint8Array, at: number): number => ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)
const etherTypeOf = (first: number): number => (first >> 4 === 6 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4)

/**
 * `device` as one of several. Its `close` ends this view alone: whoever has opened the device closes it, so that its
 * queue stays attached, and the hash the same, until the last of the siblings has done.
 */
export const sibling = (device: Device, { index, portRanges, channel }: SiblingOptions): Device => {
  const { name, mac, capabilities } = device
  const passed: Array<PassedFrame> = []
  const frame: ReceivedFrame = {
    bytes: new Uint8Array(0),
    offset: 0,
    length: 0,
    checksumVouched: false,
    segmentSize: 0,
  }
  const counters = noCounters()
  let onReady: (() => void) | undefined
  let closed = false

  const fire = (): void => {
    const call = onReady
    onReady = undefined
    call?.()
  }

  channel.listen((arrived) => {
    if (closed || (arrived.to !== index && arrived.to !== "others")) return
    if (passed.length >= CAPACITY) {
      counters.rxDropped++
      return
    }
    passed.push(arrived)
    fire()
  })

  const pass = (to: PassedFrame["to"], { bytes, offset, length, checksumVouched, segmentSize }: ReceivedFrame): void =>
    channel.post({ to, bytes: bytes.slice(offset, offset + length), checksumVouched, segmentSize })

  const ownerOf = (port: number): number => {
    for (let owner = 0; owner < portRanges.length; owner++) {
      const range = portRanges[owner]
      if (range !== undefined && port >= range[0] && port <= range[1]) return owner
    }
    return index
  }

  let visitor: (frame: ReceivedFrame) => void = () => {}
  const sort = (received: ReceivedFrame): void => {
    const concern = concernOf(received.bytes, received.offset, received.length, capabilities.layer)
    if (concern === ALL) pass("others", received)
    else if (concern !== OWN) {
      const owner = ownerOf(concern)
      if (owner !== index) return pass(owner, received)
    }
    visitor(received)
  }

  return {
    name,
    mac,
    capabilities,
    get counters() {
      const own = device.counters
      return { ...own, rxDropped: own.rxDropped + counters.rxDropped }
    },
    receive(visit, budget) {
      if (closed) return 0
      let visited = 0
      while (visited < budget && passed.length > 0) {
        const next = passed.shift()
        if (next === undefined) break
        frame.bytes = next.bytes
        frame.length = next.bytes.length
        frame.checksumVouched = next.checksumVouched
        frame.segmentSize = next.segmentSize
        visited++
        visit(frame)
      }
      visitor = visit
      return visited + device.receive(sort, budget - visited)
    },
    reserve: (length) => (closed ? undefined : device.reserve(length)),
    commit: (length: number, offload: Offload) => {
      if (!closed) device.commit(length, offload)
    },
    flush: () => {
      if (!closed) device.flush()
    },
    wake(call) {
      if (closed) return
      onReady = call
      device.wake(fire)
      if (passed.length > 0) setImmediate(fire)
    },
    failure: () => device.failure(),
    close() {
      if (closed) return
      device.flush()
      closed = true
      onReady = undefined
      passed.length = 0
    },
  }
}
