import { AO_HEAD, type AoAlgorithm } from "../../tcp/authentication/keys.ts"
import { findSignatures, headerLength, type Octets } from "../../tcp/authentication/octets.ts"
import type { Seq } from "../../tcp/seq.ts"
import { encodeTcp, TCP_HEADER } from "../../wire/tcp.ts"
import { MD5_LENGTH, OPTION_HEAD, OPTION_SPACE } from "../../wire/tcpOptionKind.ts"
import type { OptionLayout } from "../../wire/tcpOptionLayout.ts"
import { decodeOptions } from "../../wire/tcpOptions.ts"
import type { TcpOptions, TcpPacket } from "../../wire/tcpSegment.ts"
import { aoMac, md5Digest } from "./mac.ts"

/** All that whoever writes a segment into a frame must know to sign it. Plain data. */
export type Signature = Md5Signature | AoSignature

export interface Md5Signature {
  readonly _tag: "md5"
  readonly key: Uint8Array
}

export interface AoSignature {
  readonly _tag: "ao"
  readonly keyId: number
  readonly rNextKeyId: number
  readonly algorithm: AoAlgorithm
  readonly trafficKey: Uint8Array
  readonly macLength: number
  readonly coverOptions: boolean
  /** The extension that belongs to `seq`; a later piece of the same segment may be beyond the wrap. */
  readonly sne: number
  readonly seq: Seq
}

const NO_DIGEST = new Uint8Array(MD5_LENGTH - OPTION_HEAD)

/** The options with room for the signature: as they are written before it can be computed. */
export const withRoom = (options: TcpOptions, signature: Signature): TcpOptions =>
  signature._tag === "md5"
    ? { ...options, md5: NO_DIGEST }
    : {
        ...options,
        ao: {
          keyId: signature.keyId,
          rNextKeyId: signature.rNextKeyId,
          mac: new Uint8Array(signature.macLength),
        },
      }

/** Signs a segment that is written but for its checksum; `seq` is its own. False where it has no room for a signature. */
export const sign = (octets: Octets, signature: Signature, seq: Seq): boolean => {
  const found = findSignatures(octets)
  if (found === undefined || (signature._tag === "md5" ? found.md5 : found.ao) === 0) return false
  if (signature._tag === "md5") {
    octets.bytes.set(md5Digest(octets, signature.key), found.md5 + OPTION_HEAD)
    return true
  }
  const { algorithm, trafficKey, coverOptions, macLength } = signature
  const sne = seq < signature.seq ? (signature.sne + 1) >>> 0 : signature.sne
  const mac = aoMac(octets, found.ao, sne, coverOptions, algorithm, trafficKey)
  octets.bytes.set(mac.subarray(0, macLength), found.ao + AO_HEAD)
  return true
}

/** A segment to ourselves, which no device writes: the same with its signature. */
export const signedPacket = (packet: TcpPacket, signature: Signature, layout: OptionLayout): TcpPacket => {
  const { segment } = packet
  const octets = octetsOf({ ...packet, segment: { ...segment, options: withRoom(segment.options, signature) } }, layout)
  sign(octets, signature, segment.seq)
  const options = decodeOptions(octets.bytes, TCP_HEADER, headerLength(octets) - TCP_HEADER)
  return { ...packet, segment: { ...segment, options } }
}

export const octetsOf = (packet: TcpPacket, layout: OptionLayout): Octets => {
  const { source, destination, segment } = packet
  const bytes = new Uint8Array(TCP_HEADER + OPTION_SPACE + segment.payload.length)
  const length = encodeTcp(bytes, 0, packet, layout)
  return { bytes, offset: 0, length, source, destination }
}
