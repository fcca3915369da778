import { type IpAddress, ipv6, UNSPECIFIED6 } from "../../src/wire/address.ts"
import { setU8, setU16 } from "../../src/wire/bytes.ts"
import { writeFragmentHeader } from "../../src/wire/fragmentHeader.ts"
import { encodeIcmpv6, type Icmpv6Message, icmpv6Length } from "../../src/wire/icmpv6.ts"
import { ALL_NODES, multicastMac, solicitedNode } from "../../src/wire/multicast.ts"
import type { NdpMessage } from "../../src/wire/ndp.ts"
import { RST } from "../../src/wire/tcpSegment.ts"
import { encodeUdp } from "../../src/wire/udp.ts"
import { MAC_A, MAC_B } from "../host/lab.ts"
import { icmp6Frame, ip6Frame, ndpFrame, tcp6Frame } from "../host/stranger.ts"
import type { Random } from "../properties/random.ts"

export const A6 = ipv6(0x20010db8, 0, 0, 1)
export const B6 = ipv6(0x20010db8, 0, 0, 2)
const NEAR = ipv6(0xfe800000, 0, 0, 2)
const ALERT = Uint8Array.of(58, 0, 5, 2, 0, 0, 1, 0)
const PREFIX = ipv6(0x20010db8, 0x000a0000, 0, 0)

export const sourceOf6 = (random: Random): IpAddress => {
  if (random.chance(0.6)) return B6
  if (random.chance(0.4)) return NEAR
  return random.chance(0.1) ? UNSPECIFIED6 : ipv6(0x20010db8, 0, 0, random.between(2, 60_000))
}

const targetOf = (random: Random): IpAddress => {
  if (random.chance(0.7)) return A6
  return random.chance(0.5) ? ALL_NODES : random.chance(0.5) ? solicitedNode(A6) : B6
}

const macFor = (destination: IpAddress) => (destination.a >>> 24 === 0xff ? multicastMac(destination) : MAC_A)

const discovery = (random: Random): Uint8Array => {
  const target = random.chance(0.8) ? A6 : sourceOf6(random)
  const solicitation = { _tag: "NeighbourSolicitation", target, sourceMac: MAC_B } as const
  const kinds: ReadonlyArray<readonly [NdpMessage, IpAddress]> = [
    [solicitation, solicitedNode(target)],
    [{ ...solicitation, sourceMac: undefined }, solicitedNode(target)],
    [
      {
        _tag: "NeighbourAdvertisement",
        target: random.chance(0.3) ? A6 : B6,
        isRouter: random.chance(0.5),
        solicited: random.chance(0.5),
        override: random.chance(0.5),
        targetMac: MAC_B,
      },
      random.chance(0.5) ? A6 : ALL_NODES,
    ],
    [
      {
        _tag: "RouterAdvertisement",
        hopLimit: random.between(0, 255),
        managed: false,
        other: false,
        preference: "medium",
        lifetime: random.between(0, 1800),
        reachableTime: 0,
        retransTimer: 0,
        sourceMac: MAC_B,
        mtu: random.chance(0.5) ? 0 : random.between(0, 3000),
        prefixes: [
          {
            prefix: { ...PREFIX, b: random.between(0, 20) << 16 },
            prefixLength: 64,
            onLink: random.chance(0.8),
            autonomous: random.chance(0.8),
            validLifetime: random.between(0, 10_000),
            preferredLifetime: random.between(0, 10_000),
          },
        ],
        resolvers: [],
      },
      ALL_NODES,
    ],
    [
      {
        _tag: "Redirect",
        target: NEAR,
        destination: B6,
        targetMac: MAC_B,
      },
      A6,
    ],
  ]
  const [message, destination] = kinds[random.between(0, kinds.length - 1)] ?? [solicitation, solicitedNode(target)]
  const isUnsourced = message._tag === "NeighbourSolicitation" && message.sourceMac === undefined
  const source = isUnsourced ? UNSPECIFIED6 : message._tag.startsWith("R") ? NEAR : sourceOf6(random)
  return ndpFrame(message, { source, destination }, macFor(destination))
}

/** A chain of extension headers before something. */
const extended = (random: Random): Uint8Array => {
  const destination = targetOf(random)
  const payload = random.octets(random.between(0, 40))
  const kinds = [0, 60, 43, 44]
  const headers = Array.from(
    { length: random.between(1, 4) },
    (_, index) => kinds[index === 0 ? random.between(0, 3) : random.between(1, 3)] ?? 60,
  )
  const upper = [58, 17, 6, 59, 253][random.between(0, 4)] ?? 58
  const length = headers.length * 8 + payload.length
  const header = { source: sourceOf6(random), destination, nextHeader: headers[0] ?? upper }
  return ip6Frame(
    header,
    length,
    (out, at) => {
      for (const [index, kind] of headers.entries()) {
        const from = at + index * 8
        const next = headers[index + 1] ?? upper
        if (kind === 44) {
          const offset = random.chance(0.5) ? 0 : random.between(0, 8191) * 8
          writeFragmentHeader(out, from, {
            nextHeader: next,
            offset,
            more: random.chance(0.5),
            identification: random.between(0, 3),
          })
          continue
        }
        setU8(out, from, next)
        setU8(out, from + 1, 0)
        // One option of four octets, of any action; or, of a Routing header, a type and what is left.
        setU8(out, from + 2, random.chance(0.5) ? 1 : random.between(0, 255))
        setU8(out, from + 3, kind === 43 ? random.between(0, 1) : 4)
        setU16(out, from + 4, 0)
      }
      out.set(payload, at + headers.length * 8)
    },
    macFor(destination),
  )
}

const datagram = (random: Random): Uint8Array => {
  const [source, destination] = [sourceOf6(random), targetOf(random)]
  const payload = random.octets(random.between(0, 60))
  const ports = { sourcePort: 5353, destinationPort: random.chance(0.5) ? 9999 : random.between(1, 65_535) }
  const write = (out: Uint8Array, at: number) => void encodeUdp(out, at, { source, destination, ...ports, payload })
  return ip6Frame({ source, destination, nextHeader: 17 }, 8 + payload.length, write, macFor(destination))
}

/** An error about a datagram, perhaps one of ours. */
const aboutDatagram = (random: Random): Uint8Array => {
  const write = (out: Uint8Array, at: number) =>
    void encodeUdp(out, at, {
      source: A6,
      destination: B6,
      sourcePort: random.chance(0.7) ? 9999 : 7,
      destinationPort: 5353,
      payload: new Uint8Array(20),
    })
  const ours = ip6Frame({ source: A6, destination: B6, nextHeader: random.chance(0.7) ? 17 : 6 }, 28, write)
  return complaint6(random, ours.slice(14, 14 + random.between(30, 68)), random.between(0, 8))
}

/** An error that quotes these octets. */
export const complaint6 = (random: Random, quoted: Uint8Array, code: number): Uint8Array => {
  const kinds: ReadonlyArray<Icmpv6Message> = [
    { _tag: "DestinationUnreachable", code, quoted },
    { _tag: "PacketTooBig", mtu: random.between(0, 2000), quoted },
    { _tag: "TimeExceeded", code: random.between(0, 1), quoted },
    { _tag: "ParameterProblem", code: random.between(0, 3), pointer: random.between(0, 60), quoted },
    { _tag: "Other", type: random.between(0, 255), code, payload: quoted },
  ]
  const fallback: Icmpv6Message = { _tag: "TimeExceeded", code: 0, quoted }
  const destination = targetOf(random)
  const ends = { source: sourceOf6(random), destination }
  return icmp6Frame(kinds[random.between(0, kinds.length - 1)] ?? fallback, ends, macFor(destination))
}

/** A sound frame of IPv6, aimed at the world. */
export const soundFrame6 = (random: Random): Uint8Array => {
  switch (random.between(0, 6)) {
    case 0:
      return discovery(random)
    case 1: {
      const destination = targetOf(random)
      const payload = random.octets(random.between(0, 60))
      const ends = { source: sourceOf6(random), destination }
      return icmp6Frame({ _tag: "EchoRequest", identifier: 1, sequence: 1, payload }, ends, macFor(destination))
    }
    case 2:
      return aboutDatagram(random)
    case 3:
      return datagram(random)
    case 4:
      return extended(random)
    case 5: {
      // A query of all groups (RFC 3810 section 5.1), or of any one.
      const payload = new Uint8Array(random.chance(0.2) ? 20 : 24)
      setU16(payload, 0, random.between(0, 20_000))
      const message = { _tag: "Other", type: 130, code: 0, payload } as const
      const header = { source: NEAR, destination: ALL_NODES, nextHeader: 0, hopLimit: 1 }
      // Behind a Router Alert.
      return ip6Frame(
        header,
        ALERT.length + icmpv6Length(message),
        (out, at) => {
          out.set(ALERT, at)
          encodeIcmpv6(out, at + ALERT.length, message, NEAR, ALL_NODES)
        },
        multicastMac(ALL_NODES),
      )
    }
    default:
      return tcp6Frame({
        source: sourceOf6(random),
        destination: A6,
        sourcePort: random.between(1, 50),
        destinationPort: random.chance(0.8) ? 7 : random.between(0, 65_535),
        seq: random.between(0, 2 ** 32 - 1),
        ack: random.between(0, 2 ** 32 - 1),
        flags: random.between(0, 0x1ff) & (random.chance(0.05) ? 0x1ff : ~RST),
      })
  }
}
