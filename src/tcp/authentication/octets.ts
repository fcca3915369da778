import type { IpAddress } from "../../wire/address.ts"
import { setIpv4, setIpv6 } from "../../wire/addressBytes.ts"
import { getU8, setU16, setU32 } from "../../wire/bytes.ts"
import { PROTOCOL_TCP } from "../../wire/ipv4.ts"
import { TCP_CHECKSUM_OFFSET, TCP_HEADER } from "../../wire/tcp.ts"
import * as Kind from "../../wire/tcpOptionKind.ts"
import { AO_HEAD } from "./keys.ts"

/** A segment as it is, or is to be, on the wire: `length` octets of `bytes` from `offset` on. */
export interface Octets {
  readonly bytes: Uint8Array
  readonly offset: number
  readonly length: number
  readonly source: IpAddress
  readonly destination: IpAddress
}

/** Where the signature options of a header are, from the first octet of `bytes`; 0: there is none. */
export interface Signatures {
  readonly md5: number
  readonly ao: number
}

export const headerLength = ({ bytes, offset }: Octets): number => (getU8(bytes, offset + 12) >>> 4) << 2

/**
 * Looks for them in the octets themselves, as strictly as Linux's tcp_parse_auth_options: undefined
 * where one has a wrong length, there are two, or the list is broken before its end.
 */
export const findSignatures = (octets: Octets): Signatures | undefined => {
  const { bytes, offset } = octets
  const end = offset + headerLength(octets)
  let md5 = 0
  let ao = 0
  let at = offset + TCP_HEADER
  while (at < end) {
    const kind = getU8(bytes, at)
    if (kind === Kind.END) break
    if (kind === Kind.NOP) {
      at++
      continue
    }
    const size = at + 1 < end ? getU8(bytes, at + 1) : 0
    if (size < Kind.OPTION_HEAD || at + size > end) return undefined
    if (kind === Kind.MD5 || kind === Kind.AO) {
      if (md5 !== 0 || ao !== 0) return undefined
      if (kind === Kind.MD5 ? size !== Kind.MD5_LENGTH : size <= Kind.AO_LENGTH) return undefined
      if (kind === Kind.MD5) md5 = at
      else ao = at
    }
    at += size
  }
  return { md5, ao }
}

/** RFC 2385 section 2.0: pseudo-header and the header without options, its checksum zero. Payload and key follow. */
export const md5Head = (octets: Octets): Uint8Array => {
  const { bytes, offset } = octets
  const head = new Uint8Array(pseudoLength(octets) + TCP_HEADER)
  const at = setPseudoHeader(head, 0, octets)
  head.set(bytes.subarray(offset, offset + TCP_HEADER), at)
  setU16(head, at + TCP_CHECKSUM_OFFSET, 0)
  return head
}

/**
 * RFC 5925 section 5.1: SNE, pseudo-header, the header with all its options or with TCP-AO alone,
 * checksum and MAC zero. The payload follows. `ao`: where the option is in `bytes`.
 */
export const aoHead = (octets: Octets, ao: number, sne: number, coverOptions: boolean): Uint8Array => {
  const { bytes, offset } = octets
  const size = getU8(bytes, ao + 1)
  const header = coverOptions ? headerLength(octets) : TCP_HEADER + size
  const head = new Uint8Array(SNE + pseudoLength(octets) + header)
  setU32(head, 0, sne)
  const at = setPseudoHeader(head, SNE, octets)
  if (coverOptions) head.set(bytes.subarray(offset, offset + header), at)
  else {
    head.set(bytes.subarray(offset, offset + TCP_HEADER), at)
    head.set(bytes.subarray(ao, ao + size), at + TCP_HEADER)
  }
  setU16(head, at + TCP_CHECKSUM_OFFSET, 0)
  const option = at + (coverOptions ? ao - offset : TCP_HEADER)
  head.fill(0, option + AO_HEAD, option + size)
  return head
}

export const payloadOf = (octets: Octets): Uint8Array => {
  const { bytes, offset, length } = octets
  return bytes.subarray(offset + headerLength(octets), offset + length)
}

const SNE = 4

const pseudoLength = ({ source }: Octets): number => (source.family === 4 ? 12 : 40)

const setPseudoHeader = (out: Uint8Array, at: number, { source, destination, length }: Octets): number => {
  if (source.family === 4) {
    setIpv4(out, at, source)
    setIpv4(out, at + 4, destination)
    setU16(out, at + 8, PROTOCOL_TCP)
    setU16(out, at + 10, length)
    return at + 12
  }
  setIpv6(out, at, source)
  setIpv6(out, at + 16, destination)
  setU32(out, at + 32, length)
  setU32(out, at + 36, PROTOCOL_TCP)
  return at + 40
}
