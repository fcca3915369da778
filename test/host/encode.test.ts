import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import type { Device, Offload } from "../../src/device/device.ts"
import { NO_OFFLOAD, noCounters } from "../../src/device/device.ts"
import { encodeSegment } from "../../src/host/encode.ts"
import type { SendSegment } from "../../src/host/types.ts"
import type { Transmit } from "../../src/tcp/effect.ts"
import { append, emptyQueue, type SendQueue } from "../../src/tcp/sendQueue.ts"
import { ipv4, ipv6, type MacAddress } from "../../src/wire/address.ts"
import { pseudoHeader } from "../../src/wire/checksum.ts"
import { isDrop } from "../../src/wire/drop.ts"
import { NOT_ECT } from "../../src/wire/ecn.ts"
import { decodeEthernet } from "../../src/wire/ethernet.ts"
import { decodeIpv4 } from "../../src/wire/ipv4.ts"
import { decodeIpv6 } from "../../src/wire/ipv6.ts"
import { decodeTcp } from "../../src/wire/tcp.ts"
import {
  ACK,
  CWR,
  FIN,
  hasFin,
  NO_OPTIONS,
  PSH,
  type Segment,
  SYN,
  type TcpPacket,
  URG,
} from "../../src/wire/tcpSegment.ts"

interface Sent {
  readonly bytes: Uint8Array
  readonly offload: Offload
}

const MAC = 0x02_00_00_00_00_01 as MacAddress
const PEER_MAC = 0x02_00_00_00_00_02 as MacAddress
const HERE = ipv4(0xc6120002)
const THERE = ipv4(0xc6120001)

/** A device that keeps what it is given; its memory is as dirty as a real one's. */
const recorder = (
  capabilities: Partial<Device["capabilities"]> = {},
  room = Number.POSITIVE_INFINITY,
): { readonly device: Device; readonly sent: Array<Sent> } => {
  const sent: Array<Sent> = []
  const memory = new Uint8Array(70_000)
  const device: Device = {
    name: "recorder",
    mac: MAC,
    capabilities: {
      mtu: 1500,
      layer: "ethernet",
      checksumOffload: false,
      segmentationOffload: 0,
      framesStay: false,
      ...capabilities,
    },
    counters: noCounters(),
    receive: () => 0,
    reserve: () => (sent.length < room ? memory.fill(0xa5) : undefined),
    commit: (length, offload) => {
      sent.push({ bytes: memory.slice(0, length), offload })
    },
    flush: () => {},
    wake: () => {},
    failure: () => undefined,
    close: () => {},
  }
  return { device, sent }
}

const queueOf = (start: number, ...chunks: ReadonlyArray<Uint8Array>): SendQueue => {
  let queue = emptyQueue(start)
  for (const chunk of chunks) queue = append(queue, chunk)
  return queue
}

const pattern = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 8)) & 0xff)

const transmit = (fields: Partial<Transmit>): Transmit => ({
  _tag: "Transmit",
  seq: 1000,
  ack: 2000,
  flags: ACK,
  wnd: 512,
  up: 0,
  options: NO_OPTIONS,
  queue: undefined,
  length: 0,
  segmentSize: 0,
  ecn: NOT_ECT,
  why: "test:encode",
  ...fields,
})

const sendSegment = (segment: Partial<Transmit>, fields: Partial<SendSegment> = {}): SendSegment => ({
  _tag: "SendSegment",
  interface: 0,
  nextHop: PEER_MAC,
  source: HERE,
  destination: THERE,
  sourcePort: 7,
  destinationPort: 40000,
  ttl: 64,
  tos: 0,
  identification: 0xfffe,
  segment: transmit(segment),
  ...fields,
})

/** A frame as the wire room reads it, checksums believed only where they are whole. */
const decode = ({ bytes, offload }: Sent, layer: "ethernet" | "ip" = "ethernet"): TcpPacket & { id: number } => {
  let at = 0
  if (layer === "ethernet") {
    const frame = decodeEthernet(bytes, 0, bytes.length)
    if (isDrop(frame)) throw new Error(frame)
    expect(frame.destination).toBe(PEER_MAC)
    expect(frame.source).toBe(MAC)
    at = frame.payloadOffset
  }
  const version = (bytes[at] ?? 0) >>> 4
  const packet = version === 4 ? decodeIpv4(bytes, at, bytes.length - at) : decodeIpv6(bytes, at, bytes.length - at)
  if (isDrop(packet)) throw new Error(packet)
  const { payloadOffset, payloadLength, source, destination } = packet
  const tcp = decodeTcp(bytes, payloadOffset, payloadLength, source, destination, offload === NO_OFFLOAD)
  if (isDrop(tcp)) throw new Error(tcp)
  return { ...tcp, id: "identification" in packet ? packet.identification : 0 }
}

/** What a peer would have after these segments, wherever they were cut. */
const assemble = (
  segments: ReadonlyArray<Segment>,
  start: number,
): { readonly bytes: Uint8Array; readonly fin: number } => {
  const bytes: Array<number> = []
  let fin = -1
  for (const segment of segments) {
    const at = (segment.seq + (segment.flags & SYN ? 1 : 0) - start) >>> 0
    for (const [i, octet] of segment.payload.entries()) bytes[at + i] = octet
    if (hasFin(segment)) fin = at + segment.payload.length
  }
  return { bytes: Uint8Array.from(bytes), fin }
}

describe("a segment without payload", () => {
  test("goes out as one frame with whole checksums", () => {
    const { device, sent } = recorder()
    expect(
      encodeSegment(device, "linux", sendSegment({ flags: SYN | ACK, options: { ...NO_OPTIONS, mss: 1460 } })),
    ).toBe(1)
    const [frame] = sent
    if (frame === undefined) throw new Error("no frame")
    const { segment, source, destination, sourcePort, destinationPort } = decode(frame)
    expect({ source, destination, sourcePort, destinationPort }).toEqual({
      source: HERE,
      destination: THERE,
      sourcePort: 7,
      destinationPort: 40000,
    })
    expect(segment.flags).toBe(SYN | ACK)
    expect(segment.options.mss).toBe(1460)
    expect(frame.bytes.length).toBe(14 + 20 + 24)
  })

  test("goes out without a link header on an IP device, and over IPv6", () => {
    const { device, sent } = recorder({ layer: "ip" })
    const source = ipv6(0x20010db8, 0, 0, 1)
    const destination = ipv6(0x20010db8, 0, 0, 2)
    encodeSegment(device, "linux", sendSegment({}, { source, destination }))
    const [frame] = sent
    if (frame === undefined) throw new Error("no frame")
    expect(frame.bytes.length).toBe(40 + 20)
    expect(decode(frame, "ip").destination).toEqual(destination)
  })
})

describe("a segment of several MSS", () => {
  const payload = pattern(4000)
  const segment = {
    seq: 0xffff_fc00,
    flags: ACK | PSH | FIN | CWR,
    queue: queueOf(0xffff_fc00, payload.subarray(0, 10), payload.subarray(10, 3999), payload.subarray(3999)),
    length: 4000,
    segmentSize: 1448,
    options: { ...NO_OPTIONS, tsVal: 1, tsEcr: 2 },
  }

  test("is cut for a device without offload: FIN and PSH last, CWR first, identification counting", () => {
    const { device, sent } = recorder()
    expect(encodeSegment(device, "linux", sendSegment(segment))).toBe(3)
    const packets = sent.map((frame) => decode(frame))
    expect(packets.map(({ segment: { payload: p } }) => p.length)).toEqual([1448, 1448, 1104])
    expect(packets.map(({ segment: { seq } }) => seq)).toEqual([0xffff_fc00, 0x1a8, 0x750])
    expect(packets.map(({ segment: { flags } }) => flags)).toEqual([ACK | CWR, ACK, ACK | PSH | FIN])
    expect(packets.map(({ id }) => id)).toEqual([0xfffe, 0xffff, 0])
    const { bytes, fin } = assemble(
      packets.map((packet) => packet.segment),
      segment.seq,
    )
    expect(bytes).toEqual(payload)
    expect(fin).toBe(4000)
  })

  test("ends with PSH for a device whose kernel gathers, whatever the segment says", () => {
    const { device, sent } = recorder({ gathers: true })
    for (const length of [4000, 1448, 0]) {
      encodeSegment(device, "linux", sendSegment({ ...segment, flags: ACK, length, segmentSize: 1448 }))
    }
    const flags = sent.map((frame) => decode(frame).segment.flags)
    expect(flags).toEqual([ACK, ACK, ACK | PSH, ACK | PSH, ACK])
  })

  test("is left whole for a device that cuts, with the pseudo-header's sum alone", () => {
    const { device, sent } = recorder({ checksumOffload: true, segmentationOffload: 65455 })
    expect(encodeSegment(device, "linux", sendSegment(segment))).toBe(3)
    const [frame] = sent
    if (frame === undefined) throw new Error("no frame")
    expect(sent.length).toBe(1)
    expect(frame.offload).toEqual({
      checksumStart: 34,
      checksumOffset: 16,
      segmentSize: 1448,
      headerLength: 66,
      family: 4,
    })
    const { segment: got } = decode(frame)
    expect(got.flags).toBe(segment.flags)
    expect(got.payload).toEqual(payload)
    const folded = pseudoHeader(HERE, THERE, 6, 32 + 4000)
    expect(((frame.bytes[50] ?? 0) << 8) | (frame.bytes[51] ?? 0)).toBe((folded & 0xffff) + (folded >>> 16))
  })

  test("is cut into what a small offload takes, whole segments each", () => {
    const { device, sent } = recorder({ checksumOffload: true, segmentationOffload: 3000 })
    expect(encodeSegment(device, "linux", sendSegment(segment))).toBe(3)
    expect(sent.map(({ offload: { segmentSize } }) => segmentSize)).toEqual([1448, 0])
    expect(sent.map((frame) => decode(frame).segment.payload.length)).toEqual([2896, 1104])
    expect(sent.map((frame) => decode(frame).id)).toEqual([0xfffe, 0])
  })

  test("loses only what the device has no room for", () => {
    const { device, sent } = recorder({}, 2)
    expect(encodeSegment(device, "linux", sendSegment(segment))).toBe(2)
    expect(sent.length).toBe(2)
  })
})

describe("a SYN with payload (Fast Open)", () => {
  test("has its payload one after the SYN, also when it is cut", () => {
    const { device, sent } = recorder()
    const payload = pattern(150)
    const queue = queueOf(1001, payload)
    encodeSegment(device, "linux", sendSegment({ seq: 1000, flags: SYN, queue, length: 150, segmentSize: 100 }))
    const segments = sent.map((frame) => decode(frame).segment)
    expect(segments.map(({ seq, flags }) => [seq, flags])).toEqual([
      [1000, SYN],
      [1101, 0],
    ])
    expect(assemble(segments, 1001).bytes).toEqual(payload)
  })
})

describe("an urgent pointer", () => {
  test("counts down over the pieces, and URG ends with it", () => {
    const { device, sent } = recorder()
    const queue = queueOf(1000, pattern(300))
    encodeSegment(device, "linux", sendSegment({ flags: ACK | URG, up: 150, queue, length: 300, segmentSize: 100 }))
    expect(sent.map((frame) => decode(frame).segment).map(({ flags, up }) => [flags, up])).toEqual([
      [ACK | URG, 150],
      [ACK | URG, 50],
      [ACK, 0],
    ])
  })
})

test("any payload, cut or not, is the same stream to the peer", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 1, maxLength: 9000 }),
      fc.integer({ min: 88, max: 9000 }),
      fc.integer({ min: 0, max: 0xffff_ffff }),
      fc.array(fc.integer({ min: 1, max: 3000 }), { maxLength: 5 }),
      fc.boolean(),
      (payload, segmentSize, seq, cuts, fin) => {
        const chunks: Array<Uint8Array> = []
        let at = 0
        for (const cut of [...cuts, payload.length]) {
          chunks.push(payload.subarray(at, Math.min(payload.length, at + cut)))
          at = Math.min(payload.length, at + cut)
        }
        const flags = ACK | (fin ? FIN : 0)
        const effect = sendSegment({ seq, flags, queue: queueOf(seq, ...chunks), length: payload.length, segmentSize })
        const streams = [
          recorder({ mtu: 65535 }),
          recorder({ checksumOffload: true, segmentationOffload: 65455 }),
          recorder({ checksumOffload: true }),
        ].map(({ device, sent }) => {
          const count = encodeSegment(device, "linux", effect)
          expect(count).toBe(Math.ceil(payload.length / segmentSize))
          return assemble(
            sent.map((frame) => decode(frame).segment),
            seq,
          )
        })
        for (const { bytes, fin: finAt } of streams) {
          expect(bytes).toEqual(payload)
          expect(finAt).toBe(fin ? payload.length : -1)
        }
      },
    ),
    { numRuns: 200 },
  )
})
