import { ARP_REPLY, ARP_REQUEST } from "../../src/wire/arp.ts"
import type { IcmpMessage } from "../../src/wire/icmp.ts"
import { RST } from "../../src/wire/tcpSegment.ts"
import { A, B } from "../host/lab.ts"
import { addressOf, arpFrame, icmpFrame, ipFrame, tcp6Frame, tcpFrame, udpFrame } from "../host/stranger.ts"
import type { Random } from "../properties/random.ts"
import { A6, B6, complaint6, soundFrame6, sourceOf6 } from "./frames6.ts"
import type { Place } from "./world.ts"

const sourceOf = (random: Random) => (random.chance(0.7) ? B : addressOf(random.between(2, 60_000)))

/** A segment near where a connection stands, or anywhere. */
const segment = (random: Random, places: ReadonlyArray<Place>): Uint8Array => {
  const place = places[random.between(0, places.length - 1)]
  const near = (n: number): number => (n + (random.chance(0.5) ? 0 : random.between(-70_000, 70_000))) >>> 0
  const stamped = random.chance(0.3) ? { tsVal: random.between(0, 2 ** 32 - 1), tsEcr: 0 } : {}
  const edge = near(place?.ack ?? 0)
  const sack = random.chance(0.2) ? { sack: [{ left: edge, right: (edge + random.between(0, 3000)) >>> 0 }] } : {}
  const fast = random.chance(0.05)
    ? { fastOpen: { cookie: random.octets(random.between(0, 8) * 2), experimental: random.chance(0.5) } }
    : {}
  const fields = {
    sourcePort: random.chance(0.8) ? (place?.sourcePort ?? 1) : random.between(0, 65_535),
    destinationPort: random.chance(0.8) ? (place?.destinationPort ?? 7) : random.between(0, 65_535),
    seq: near(place?.seq ?? 0),
    ack: near(place?.ack ?? 0),
    // Resets end too many connections.
    flags: random.between(0, 0x1ff) & (random.chance(0.05) ? 0x1ff : ~RST),
    wnd: random.between(0, 65_535),
    options: { ...stamped, ...sack, ...fast },
    payload: random.chance(0.3) ? random.octets(random.between(0, 40)) : new Uint8Array(0),
  }
  return place?.family === 6
    ? tcp6Frame({ source: sourceOf6(random), destination: A6, ...fields })
    : tcpFrame({ source: sourceOf(random), ...fields })
}

/** An error about something, perhaps about a segment of ours. */
const complaint = (random: Random, places: ReadonlyArray<Place>): Uint8Array => {
  const place = places[random.between(0, places.length - 1)]
  const isIpv6 = place?.family === 6
  const fields = {
    sourcePort: place?.destinationPort ?? 7,
    destinationPort: place?.sourcePort ?? 1,
    seq: ((place?.ack ?? 0) + random.between(-3, 3)) >>> 0,
    flags: 0,
  }
  const ours = isIpv6
    ? tcp6Frame({ source: A6, destination: B6, ...fields })
    : tcpFrame({ source: A, destination: B, ...fields })
  const code = random.between(0, 15)
  if (isIpv6) return complaint6(random, ours.slice(14, 14 + random.between(40, 68)), code)
  const quoted = ours.slice(14, 14 + random.between(20, 60))
  const kinds: ReadonlyArray<IcmpMessage> = [
    { _tag: "DestinationUnreachable", code, nextHopMtu: random.between(0, 2000), quoted },
    { _tag: "TimeExceeded", code: random.between(0, 1), quoted },
    { _tag: "ParameterProblem", code: 0, pointer: random.between(0, 40), quoted },
    { _tag: "Other", type: random.between(0, 255), code, rest: random.between(0, 65_535), payload: quoted },
  ]
  return icmpFrame(kinds[random.between(0, kinds.length - 1)] ?? { _tag: "TimeExceeded", code: 0, quoted })
}

/** A sound frame of some kind, aimed at the world. */
export const soundFrame = (random: Random, places: ReadonlyArray<Place>): Uint8Array => {
  if (random.chance(0.4)) return soundFrame6(random)
  switch (random.between(0, 11)) {
    case 0:
      return arpFrame({
        operation: random.chance(0.5) ? ARP_REQUEST : ARP_REPLY,
        senderAddress: sourceOf(random),
        targetAddress: random.chance(0.7) ? A : sourceOf(random),
      })
    case 1: {
      const payload = random.octets(random.between(0, 60))
      return icmpFrame({ _tag: "EchoRequest", identifier: 1, sequence: 1, payload }, { source: sourceOf(random) })
    }
    case 2:
      return complaint(random, places)
    case 3:
      return udpFrame(random.octets(random.between(0, 60)), { source: sourceOf(random) })
    case 4: {
      const noise = random.octets(random.between(0, 60))
      const header = {
        protocol: random.between(0, 255),
        source: sourceOf(random),
        moreFragments: random.chance(0.5),
        fragmentOffset: random.chance(0.5) ? 0 : random.between(0, 8191) * 8,
        identification: random.between(0, 3),
      }
      return ipFrame(header, noise.length, (out, at) => out.set(noise, at))
    }
    default:
      return segment(random, places)
  }
}
