import { ETHERNET_HEADER, ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6 } from "../wire/ethernet.ts"
import { PROTOCOL_TCP, PROTOCOL_UDP } from "../wire/ipv4.ts"
import { type Device, noCounters, type Offload, type ReceivedFrame } from "./device.ts"

/**
 * One device of several that together are one link (the queues of a TAP, the rings of a NIC), each with a stack of
 * its own on a thread of its own. What the kernel's choice of a queue gets wrong is put right here:
 *
 * - An answer about a neighbour, and an ICMP error, concern all stacks: they are told to all.
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

const PROTOCOL_ICMP = 1
const PROTOCOL_ICMPV6 = 58
const ARP_REPLY = 2
const IPV6_HEADER = 40
/** RFC 792 (and 1191): unreachable, source quench, time exceeded, parameter problem. */
const ICMP_ERRORS: ReadonlySet<number> = new Set([3, 4, 11, 12])
/** RFC 4443 errors are below this; a neighbour advertisement (RFC 4861) is 136. */
const FIRST_ICMPV6_INFORMATIONAL = 128
const NEIGHBOUR_ADVERTISEMENT = 136

/** `concernOf`: the frame concerns nobody but the stack that has received it. */
export const OWN = -1
/** `concernOf`: it concerns all stacks. */
export const ALL = -2

/**
 * Whom a frame concerns: OWN, ALL, or the TCP or UDP port that it is for. Looks at the fields that decide, no more:
 * whatever is wrong with a frame, its own stack says so.
 */
export const concernOf = (bytes: Uint8Array, offset: number, length: number, layer: "ethernet" | "ip"): number => {
  const ip = layer === "ethernet" ? offset + ETHERNET_HEADER : offset
  const end = offset + length
  const type = layer === "ethernet" ? u16(bytes, offset + 12) : etherTypeOf(bytes[ip] ?? 0)
  switch (type) {
    case ETHERTYPE_ARP:
      return ip + 8 <= end && u16(bytes, ip + 6) === ARP_REPLY ? ALL : OWN
    case ETHERTYPE_IPV4: {
      const transport = ip + ((bytes[ip] ?? 0) & 0x0f) * 4
      if (transport + 4 > end || (u16(bytes, ip + 6) & 0x1fff) !== 0) return OWN
      const protocol = bytes[ip + 9] ?? 0
      if (protocol === PROTOCOL_TCP || protocol === PROTOCOL_UDP) return u16(bytes, transport + 2)
      return protocol === PROTOCOL_ICMP && ICMP_ERRORS.has(bytes[transport] ?? 0) ? ALL : OWN
    }
    case ETHERTYPE_IPV6: {
      const transport = ip + IPV6_HEADER
      if (transport + 4 > end) return OWN
      const next = bytes[ip + 6] ?? 0
      if (next === PROTOCOL_TCP || next === PROTOCOL_UDP) return u16(bytes, transport + 2)
      const icmp = bytes[transport] ?? 0
      const error = icmp < FIRST_ICMPV6_INFORMATIONAL || icmp === NEIGHBOUR_ADVERTISEMENT
      return next === PROTOCOL_ICMPV6 && error ? ALL : OWN
    }
    default:
      return OWN
  }
}

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
