import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { cutDatagrams } from "../../src/device/cutDatagrams.ts"
import { type Device, noCounters, type Offload } from "../../src/device/device.ts"
import { frameSender } from "../../src/device/frameSender.ts"
import { MAX_SEGMENTED_PAYLOAD, MAX_SUPER_FRAME } from "../../src/device/limits.ts"
import { checkedMac } from "../../src/device/mac.ts"
import { type IpAddress, ipv4, ipv6 } from "../../src/wire/address.ts"
import { ETHERNET_HEADER, ETHERTYPE_IPV4, ETHERTYPE_IPV6, writeEthernet } from "../../src/wire/ethernet.ts"
import { IPV4_HEADER, PROTOCOL_UDP, writeIpv4 } from "../../src/wire/ipv4.ts"
import { IPV6_HEADER, writeIpv6 } from "../../src/wire/ipv6.ts"
import { encodeUdp, finishUdp, UDP_HEADER } from "../../src/wire/udp.ts"

const MAC = checkedMac(0x02_00_00_00_00_01)
const ENDS = {
  4: [ipv4(0xc6120001), ipv4(0xc6120002)],
  6: [ipv6(0x20010db8, 0, 0, 1), ipv6(0x20010db8, 0, 0, 2)],
} as const
type Layer = "ethernet" | "ip"

interface Datagram {
  readonly family: 4 | 6
  readonly port: number
  readonly length: number
}

const ipStartOf = (layer: Layer): number => (layer === "ethernet" ? ETHERNET_HEADER : 0)
const udpStartOf = (layer: Layer, family: 4 | 6): number =>
  ipStartOf(layer) + (family === 4 ? IPV4_HEADER : IPV6_HEADER)

const frameOf = (layer: Layer, { family, port, length }: Datagram, seed: number): Uint8Array => {
  const [source, destination] = ENDS[family]
  const udp = udpStartOf(layer, family)
  const frame = new Uint8Array(udp + UDP_HEADER + length)
  const ip = ipStartOf(layer)
  if (ip > 0) {
    const etherType = family === 4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6
    writeEthernet(frame, 0, { destination: MAC, source: MAC, etherType })
  }
  const payloadLength = UDP_HEADER + length
  if (family === 4) {
    writeIpv4(frame, ip, {
      ...{ source, destination, protocol: PROTOCOL_UDP, ttl: 64, tos: 0, identification: seed & 0xffff },
      ...{ dontFragment: true, moreFragments: false, fragmentOffset: 0, options: new Uint8Array(0), payloadLength },
    })
  } else {
    writeIpv6(frame, ip, {
      ...{ source, destination, nextHeader: PROTOCOL_UDP, hopLimit: 64, trafficClass: 0, flowLabel: 0, payloadLength },
    })
  }
  const payload = new Uint8Array(length).map((_, index) => (index * 7 + seed) % 251)
  encodeUdp(frame, udp, { source, destination, sourcePort: 7, destinationPort: port, payload })
  return frame
}

interface Committed {
  readonly bytes: Uint8Array
  readonly offload: Offload
}

const collecting = (layer: Layer, datagramOffload: boolean) => {
  const memory = new Uint8Array(MAX_SUPER_FRAME)
  const committed: Array<Committed> = []
  const device: Device = {
    name: "collecting",
    mac: MAC,
    capabilities: {
      ...{ mtu: 1500, layer, checksumOffload: true, segmentationOffload: MAX_SEGMENTED_PAYLOAD },
      ...{ datagramOffload, framesStay: false },
    },
    counters: noCounters(),
    receive: () => 0,
    reserve: () => memory,
    commit: (length, offload) => void committed.push({ bytes: memory.slice(0, length), offload }),
    flush: () => {},
    wake: () => {},
    failure: () => undefined,
    close: () => {},
  }
  return { device, committed }
}

const through = (layer: Layer, datagramOffload: boolean, frames: ReadonlyArray<Uint8Array>) => {
  const { device, committed } = collecting(layer, datagramOffload)
  const sender = frameSender(device)
  for (const frame of frames) sender.send(frame)
  sender.flush()
  return committed
}

/** What a device that cuts makes of a frame: see Linux's __udp_gso_segment. */
const cut = (layer: Layer, { bytes, offload }: Committed): ReadonlyArray<Uint8Array> => {
  if (offload.segmentSize === 0) return [bytes]
  const { checksumStart, segmentSize, family } = offload
  const frame = { bytes, offset: 0, length: bytes.length, checksumVouched: true, segmentSize }
  const pieces: Array<Uint8Array> = []
  cutDatagrams(frame, ipStartOf(layer), checksumStart, ({ offset, length }) => {
    pieces.push(bytes.slice(offset, offset + length))
  })
  const [source, destination]: readonly [IpAddress, IpAddress] = ENDS[family]
  for (const piece of pieces) finishUdp(piece, checksumStart, piece.length - checksumStart, source, destination)
  return pieces
}

/** Without IPv4's identification, and the checksum that is over it. */
const comparable = (layer: Layer, frame: Uint8Array): ReadonlyArray<number> => {
  const octets = [...frame]
  const ip = ipStartOf(layer)
  if ((octets[ip] ?? 0) >> 4 === 4) for (const at of [4, 5, 10, 11]) octets[ip + at] = 0
  return octets
}

const datagram = fc.record({
  family: fc.constantFrom<4 | 6>(4, 6),
  port: fc.constantFrom(1, 2),
  // A few sizes, so that neighbours are often alike.
  length: fc.constantFrom(0, 1, 8, 1200, 1200, 1200, 1400, 1400),
})

describe("datagrams that are sent together", () => {
  for (const layer of ["ethernet", "ip"] as const) {
    test(`come out of a device that cuts as they come out of one that does not, ${layer}`, () => {
      fc.assert(
        fc.property(fc.array(datagram, { maxLength: 150 }), (datagrams) => {
          const frames = datagrams.map((each, seed) => frameOf(layer, each, seed))
          const plain = through(layer, false, frames)
          const joined = through(layer, true, frames)
          expect(plain.map(({ bytes }) => bytes)).toEqual(frames)
          expect(joined.flatMap((each) => cut(layer, each)).map((each) => comparable(layer, each))).toEqual(
            frames.map((each) => comparable(layer, each)),
          )
        }),
        { numRuns: 60 },
      )
    })
  }

  test.each([
    ["of one size: one frame", [100, 100, 100], [3]],
    ["the last one shorter: it goes along, and nothing after it", [100, 100, 40, 40], [3, 1]],
    ["a longer one begins another", [100, 200, 200], [1, 2]],
    ["an empty one stays alone", [100, 0, 100], [1, 1, 1]],
    ["sixty-four at most", new Array<number>(70).fill(100), [64, 6]],
    ["64 KiB at most", new Array<number>(50).fill(1400), [46, 4]],
  ])("%s", (_, lengths, expected) => {
    const frames = lengths.map((length, seed) => frameOf("ethernet", { family: 4, port: 1, length }, seed))
    const committed = through("ethernet", true, frames)
    expect(committed.map((each) => cut("ethernet", each).length)).toEqual(expected)
  })

  test("another flow, a fragment and what is no UDP are no part of a train", () => {
    const one = (port: number) => frameOf("ethernet", { family: 4, port, length: 100 }, 1)
    const fragment = one(1)
    fragment[20] = 0x20
    const arp = new Uint8Array(60)
    arp.set([8, 6], 12)
    for (const other of [one(2), fragment, arp]) {
      expect(through("ethernet", true, [one(1), other, one(1)])).toHaveLength(3)
    }
  })
})
