import { type IpAddress, sameAddress } from "../../src/wire/address.ts"
import { decodeArp } from "../../src/wire/arp.ts"
import { getU16 } from "../../src/wire/bytes.ts"
import { decodeEthernet, ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, isGroupMac } from "../../src/wire/ethernet.ts"
import { decodeIcmp } from "../../src/wire/icmp.ts"
import type { IpPacket } from "../../src/wire/ip.ts"
import { decodeIpv4, isFragment, PROTOCOL_ICMP, PROTOCOL_TCP } from "../../src/wire/ipv4.ts"
import { decodeTcp } from "../../src/wire/tcp.ts"
import { RST, type Segment } from "../../src/wire/tcpSegment.ts"
import { A, MAC_A } from "../host/lab.ts"
import { judge6 } from "./oracle6.ts"

/** What is wrong with what the host sent after `input`; undefined: nothing. */
export const judge = (
  input: Uint8Array,
  frames: ReadonlyArray<Uint8Array>,
  owns: (address: IpAddress) => boolean,
): string | undefined => {
  const cause = read(input)
  for (const frame of frames) {
    const isIpv6 = ((frame[12] ?? 0) << 8) + (frame[13] ?? 0) === ETHERTYPE_IPV6
    const fault = isIpv6 ? judge6(input, frame, owns) : judgeOne(cause, read(frame))
    if (fault !== undefined) return fault
  }
  return undefined
}

interface Read {
  readonly group: boolean
  readonly own: boolean
  readonly what:
    | { readonly kind: "arp" }
    | { readonly kind: "segment"; readonly ip: IpPacket; readonly segment: Segment }
    | {
        readonly kind: "icmp"
        readonly ip: IpPacket
        readonly error: boolean
        readonly tag: string
        /** What it tells of, from its IP header on. */
        readonly quoted: Uint8Array | undefined
      }
    | { readonly kind: "ip"; readonly ip: IpPacket }
    | { readonly kind: "bad"; readonly why: string }
}

const ERRORS: ReadonlySet<string> = new Set(["DestinationUnreachable", "TimeExceeded", "ParameterProblem"])

const read = (bytes: Uint8Array): Read => {
  const frame = decodeEthernet(bytes, 0, bytes.length)
  if (typeof frame === "string") return { group: false, own: false, what: { kind: "bad", why: frame } }
  const { payloadOffset: at, payloadLength: length } = frame
  const group = isGroupMac(frame.destination)
  const own = frame.source === MAC_A
  const of = (what: Read["what"]): Read => ({ group, own, what })
  if (frame.etherType === ETHERTYPE_ARP) {
    const arp = decodeArp(bytes, at, length)
    return of(typeof arp === "string" ? { kind: "bad", why: arp } : { kind: "arp" })
  }
  if (frame.etherType !== ETHERTYPE_IPV4) return of({ kind: "bad", why: "ethertype" })
  const ip = decodeIpv4(bytes, at, length)
  if (typeof ip === "string") return of({ kind: "bad", why: ip })
  if (isFragment(ip)) return of({ kind: "ip", ip })
  if (ip.protocol === PROTOCOL_TCP) {
    const tcp = decodeTcp(bytes, ip.payloadOffset, ip.payloadLength, ip.source, ip.destination, true)
    return of(typeof tcp === "string" ? { kind: "bad", why: tcp } : { kind: "segment", ip, segment: tcp.segment })
  }
  if (ip.protocol === PROTOCOL_ICMP) {
    const icmp = decodeIcmp(bytes, ip.payloadOffset, ip.payloadLength)
    // Types 4 and 5 are errors too (RFC 1122 section 3.2.2).
    const old = typeof icmp !== "string" && icmp._tag === "Other" && (icmp.type === 4 || icmp.type === 5)
    return of(
      typeof icmp === "string"
        ? { kind: "bad", why: icmp }
        : {
            kind: "icmp",
            ip,
            error: old || ERRORS.has(icmp._tag),
            tag: icmp._tag,
            quoted: "quoted" in icmp ? icmp.quoted : undefined,
          },
    )
  }
  return of({ kind: "ip", ip })
}

const judgeOne = (cause: Read, made: Read): string | undefined => {
  const { what } = made
  if (what.kind === "bad") return `a bad frame was sent: ${what.why}`
  if (!made.own) return "a frame was sent with a link address that is not ours"
  if (what.kind === "arp") return undefined
  if (!sameAddress(what.ip.source, A)) return "a packet was sent from an address that is not ours"
  if (made.group || isGroup(what.ip.destination)) return "a packet was sent to everybody"
  if (what.kind === "segment") {
    return reset(what.segment) && cause.what.kind === "segment" && reset(cause.what.segment) && answers(cause, what)
      ? "a RST was answered by a RST"
      : undefined
  }
  if (what.kind !== "icmp" || !what.error) return undefined
  // RFC 1122 section 3.2.2: what an error must not be about.
  // Of a bad header of IP's the sender is told before anybody looks at what it carries (section 3.2.2.5).
  const isOfTransport = cause.what.kind === "bad" && /^(tcp|icmp):/.test(cause.what.why)
  if (isOfTransport && what.tag === "ParameterProblem") return undefined
  if (cause.what.kind === "bad") return `an ICMP error was sent about a bad packet: ${cause.what.why}`
  if (cause.what.kind === "arp") return undefined
  if (cause.group) return "an ICMP error was sent about a frame to everybody"
  if (cause.what.kind === "icmp" && cause.what.error) return "an ICMP error was sent about an ICMP error"
  // The last fragment to come may lead to an error about the whole datagram, which is no fragment.
  return what.quoted !== undefined && (getU16(what.quoted, 6) & OFFSET_BITS) !== 0
    ? "an ICMP error was sent about a fragment that is not the first"
    : undefined
}

const OFFSET_BITS = 0x1fff

const reset = (segment: Segment): boolean => (segment.flags & RST) !== 0

/** Between the same ends: a RST may also leave because a timer ended. */
const answers = (cause: Read, made: { readonly ip: IpPacket }): boolean =>
  cause.what.kind === "segment" && sameAddress(cause.what.ip.source, made.ip.destination)

const isGroup = (address: IpAddress): boolean => address.d >>> 28 === 0xe || address.d === 0xffffffff
