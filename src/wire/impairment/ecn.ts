import { getU8, getU16, setU8, setU16 } from "../bytes.ts"
import { update16 } from "../checksum.ts"
import { ETHERNET_HEADER, ETHERTYPE_IPV4, ETHERTYPE_IPV6 } from "../ethernet.ts"

/** RFC 3168 section 5: the two last bits of the traffic class. */
export const NOT_ECT = 0
export const ECT_1 = 1
export const ECT_0 = 2
export const CE = 3

const IPV4_CHECKSUM = 10

/** Where a frame's IP packet begins and what it is; undefined: it carries none. */
const ipIn = (
  frame: Uint8Array,
  layer: "ethernet" | "ip",
): { readonly at: number; readonly version: 4 | 6 } | undefined => {
  if (layer === "ethernet") {
    const type = getU16(frame, 12)
    if (type === ETHERTYPE_IPV4) return { at: ETHERNET_HEADER, version: 4 }
    return type === ETHERTYPE_IPV6 ? { at: ETHERNET_HEADER, version: 6 } : undefined
  }
  const version = getU8(frame, 0) >>> 4
  return version === 4 || version === 6 ? { at: 0, version } : undefined
}

export const ecnOf = (frame: Uint8Array, layer: "ethernet" | "ip"): number => {
  const ip = ipIn(frame, layer)
  if (ip === undefined) return NOT_ECT
  return ip.version === 4 ? getU8(frame, ip.at + 1) & 3 : (getU8(frame, ip.at + 1) >>> 4) & 3
}

/** Writes CE into a frame that is ECN-capable, and puts IPv4's checksum right; false: it is not capable. */
export const markCe = (frame: Uint8Array, layer: "ethernet" | "ip"): boolean => {
  const ip = ipIn(frame, layer)
  if (ip === undefined || ecnOf(frame, layer) === NOT_ECT) return false
  if (ip.version === 6) {
    setU8(frame, ip.at + 1, getU8(frame, ip.at + 1) | 0x30)
    return true
  }
  const before = getU16(frame, ip.at)
  const after = before | CE
  setU16(frame, ip.at, after)
  setU16(frame, ip.at + IPV4_CHECKSUM, update16(getU16(frame, ip.at + IPV4_CHECKSUM), before, after))
  return true
}
