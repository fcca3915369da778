import { describe, expect, test } from "bun:test"
import { createHash } from "node:crypto"
import { aoMac, md5Digest, trafficKeyOf } from "../../src/host/authentication/mac.ts"
import { check, type Session } from "../../src/host/authentication/session.ts"
import { octetsOf, sign, withRoom } from "../../src/host/authentication/signature.ts"
import type { AoKey } from "../../src/tcp/authentication/keys.ts"
import { findSignatures, type Octets } from "../../src/tcp/authentication/octets.ts"
import type { Endpoint } from "../../src/wire/address.ts"
import { parseAddress } from "../../src/wire/addressText.ts"
import { isDrop } from "../../src/wire/drop.ts"
import { decodeIpv4 } from "../../src/wire/ipv4.ts"
import { decodeIpv6 } from "../../src/wire/ipv6.ts"
import { decodeTcp } from "../../src/wire/tcp.ts"
import { ACK, NO_OPTIONS, PSH, SYN, type TcpPacket } from "../../src/wire/tcpSegment.ts"
import { type Vector, vectors } from "./rfc9235.ts"

const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, "hex"))
const hex = (octets: Uint8Array): string => Buffer.from(octets).toString("hex")
const octets = (text: string): Uint8Array => new TextEncoder().encode(text)
const address = (text: string) => parseAddress(text) ?? expect.unreachable(text)

/** The packet of a vector, its TCP checksum verified on the way. */
const packetOf = (vector: Vector): { readonly octets: Octets; readonly tcp: TcpPacket } => {
  const raw = bytes(vector.packet)
  const ip = (raw[0] ?? 0) >> 4 === 4 ? decodeIpv4(raw, 0, raw.length) : decodeIpv6(raw, 0, raw.length)
  if (isDrop(ip)) throw new Error(ip)
  const { source, destination, payloadOffset: offset, payloadLength: length } = ip
  const tcp = decodeTcp(raw, offset, length, source, destination, false)
  if (isDrop(tcp)) throw new Error(tcp)
  return { octets: { bytes: raw, offset, length, source, destination }, tcp }
}

/** The key as the sender of a vector has it. */
const keyOf = ({ fromClient, algorithm, coverOptions }: Vector): AoKey => ({
  peer: { address: address("0.0.0.0"), length: 0 },
  key: octets("testvector"),
  sendId: fromClient ? 61 : 84,
  recvId: fromClient ? 84 : 61,
  algorithm,
  macLength: 12,
  coverOptions,
})

describe("TCP-AO, vectors of RFC 9235", () => {
  for (const vector of vectors) {
    const { section, title, fromClient, syn, clientIsn, serverIsn, coverOptions, algorithm } = vector
    test(`${section} ${title}: traffic key, MAC, and the segment as it is checked`, () => {
      const { octets, tcp } = packetOf(vector)
      const source: Endpoint = { address: tcp.source, port: tcp.sourcePort }
      const destination: Endpoint = { address: tcp.destination, port: tcp.destinationPort }
      const key = keyOf(vector)
      const trafficKey = trafficKeyOf(key, {
        source,
        destination,
        sourceIsn: fromClient ? clientIsn : serverIsn,
        destinationIsn: syn ? 0 : fromClient ? serverIsn : clientIsn,
      })
      expect(hex(trafficKey)).toBe(vector.trafficKey)

      const at = findSignatures(octets)?.ao ?? 0
      expect(hex(aoMac(octets, at, 0, coverOptions, algorithm, trafficKey)).slice(0, 24)).toBe(vector.mac)

      const receivers: AoKey = { ...key, sendId: key.recvId, recvId: key.sendId }
      const session: Session = {
        _tag: "ao",
        local: destination,
        remote: source,
        iss: fromClient ? serverIsn : clientIsn,
        irs: fromClient ? clientIsn : serverIsn,
        keys: [receivers],
        current: receivers,
        rnext: receivers,
        sent: { seq: fromClient ? serverIsn : clientIsn, sne: 0 },
        received: { seq: fromClient ? clientIsn : serverIsn, sne: 0 },
        traffic: [],
        heard: undefined,
      }
      expect(check(session, octets, tcp.segment, false, "drop")).toMatchObject({ _tag: "Passed", counter: "TCPAOGood" })
      const spoilt = octets.bytes.slice()
      spoilt[octets.offset + 14] = (spoilt[octets.offset + 14] ?? 0) ^ 1
      expect(check(session, { ...octets, bytes: spoilt }, tcp.segment, false, "drop")).toMatchObject({
        _tag: "Refused",
        counter: "TCPAOBad",
      })
    })
  }

  test("options that the MAC does not cover may change on the way, the others not", () => {
    for (const section of ["4.1.3", "4.2.3", "5.1.3", "5.2.3"]) {
      const vector = vectors.find((one) => one.section === section) ?? expect.unreachable(section)
      const { octets } = packetOf(vector)
      const trafficKey = bytes(vector.trafficKey)
      const at = findSignatures(octets)?.ao ?? 0
      // The timestamp.
      octets.bytes[octets.offset + 24] = (octets.bytes[octets.offset + 24] ?? 0) ^ 1
      const mac = hex(aoMac(octets, at, 0, vector.coverOptions, vector.algorithm, trafficKey)).slice(0, 24)
      if (vector.coverOptions) expect(mac).not.toBe(vector.mac)
      else expect(mac).toBe(vector.mac)
    }
  })
})

describe("TCP-MD5", () => {
  /** RFC 2385 section 2.0, once more, from its text alone. */
  const digest = (packet: TcpPacket, header: Uint8Array, total: number, key: string): string => {
    const { source, destination, segment } = packet
    const word = (n: number): Buffer => {
      const out = Buffer.alloc(4)
      out.writeUInt32BE(n >>> 0)
      return out
    }
    const addresses =
      source.family === 4
        ? [word(source.d), word(destination.d), Buffer.from([0, 6, total >> 8, total & 255])]
        : [
            ...[source, destination].flatMap(({ a, b, c, d }) => [word(a), word(b), word(c), word(d)]),
            word(total),
            Buffer.from([0, 0, 0, 6]),
          ]
    const fixed = Buffer.from(header.subarray(0, 20))
    fixed.writeUInt16BE(0, 16)
    const hash = createHash("md5")
    for (const part of [...addresses, fixed, segment.payload, Buffer.from(key)]) hash.update(part)
    return hash.digest("hex")
  }

  const packet = (family: 4 | 6, flags: number, payload: string): TcpPacket => ({
    source: address(family === 4 ? "198.18.0.1" : "2001:db8::1"),
    destination: address(family === 4 ? "198.18.0.2" : "2001:db8::2"),
    sourcePort: 179,
    destinationPort: 40_000,
    segment: {
      seq: 0xfffffff0,
      ack: 7,
      flags,
      wnd: 500,
      up: 0,
      options: { ...NO_OPTIONS, mss: flags === SYN ? 1460 : undefined, md5: new Uint8Array(16) },
      payload: octets(payload),
    },
  })

  const cases = [
    [4, SYN, ""],
    [4, ACK, ""],
    [4, ACK | PSH, "hello"],
    [4, ACK | PSH, "x".repeat(1448)],
    [6, SYN, ""],
    [6, ACK | PSH, "hello"],
  ] as const

  for (const [family, flags, payload] of cases) {
    test(`the digest by node:crypto and by us: IPv${family}, flags ${flags}, ${payload.length} octets`, () => {
      for (const layout of ["linux", "freebsd"] as const) {
        const made = packet(family, flags, payload)
        const written = octetsOf(made, layout)
        const expected = digest(made, written.bytes, written.length, "secret")
        expect(hex(md5Digest(written, octets("secret")))).toBe(expected)
        expect(sign(written, { _tag: "md5", key: octets("secret") }, made.segment.seq)).toBe(true)
        expect(hex(written.bytes).includes(`1312${expected}`)).toBe(true)
      }
    })
  }

  test("a segment without room for a signature is not signed", () => {
    const plain = packet(4, ACK, "")
    const bare = octetsOf({ ...plain, segment: { ...plain.segment, options: NO_OPTIONS } }, "linux")
    expect(sign(bare, { _tag: "md5", key: octets("secret") }, 0)).toBe(false)
    expect(withRoom(NO_OPTIONS, { _tag: "md5", key: octets("secret") }).md5).toHaveLength(16)
  })
})
