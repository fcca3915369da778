import { type IpAddress, isUnspecified } from "./address.ts"
import { getIpv4, setIpv4 } from "./addressBytes.ts"
import { getU8, setU8, setU16 } from "./bytes.ts"
import { finish, sum } from "./checksum.ts"
import type { WireDrop } from "./drop.ts"

/** A router asks who listens: to `group`, or to anything. Of IGMP and MLD alike. */
export interface MembershipQuery {
  /** Of a router that understands IGMPv3's or MLDv2's reports, only IGMPv2's or MLDv1's, or only IGMPv1's. */
  readonly version: "current" | "older" | "oldest"
  readonly maxResponseMillis: number
  readonly group: IpAddress | undefined
}

/** A record of a report (RFC 3376 section 4.2.12, RFC 3810 section 5.2.12), sources left out. */
export interface MembershipRecord {
  /** What is now, or what has just become so. EXCLUDE of nothing: everything is wanted; INCLUDE of nothing: nothing is. */
  readonly type: typeof IS_EXCLUDE | typeof TO_INCLUDE | typeof TO_EXCLUDE
  readonly group: IpAddress
}

export const IS_EXCLUDE = 2
export const TO_INCLUDE = 3
export const TO_EXCLUDE = 4

export const IGMP_TTL = 1
/** The IPv4 Router Alert option (RFC 2113), which all of IGMP carries. */
export const ROUTER_ALERT: Uint8Array = Uint8Array.of(0x94, 4, 0, 0)

const IGMP_QUERY = 0x11
const V1_REPORT = 0x12
const V2_REPORT = 0x16
const V2_LEAVE = 0x17
const V3_REPORT = 0x22

const V2_LENGTH = 8
const V3_QUERY = 12
const RECORD = 8
/** Tenths of a second, in version 1, which says nothing (RFC 3376 section 7.2.1). */
const V1_RESPONSE = 100

/** `undefined`: no query, but a report of somebody else. */
export const decodeIgmpQuery = (
  bytes: Uint8Array,
  offset: number,
  length: number,
): MembershipQuery | undefined | WireDrop => {
  if (length < V2_LENGTH) return "igmp:truncated"
  if (finish(sum(bytes, offset, length)) !== 0) return "igmp:bad-checksum"
  if (getU8(bytes, offset) !== IGMP_QUERY) return undefined
  const code = getU8(bytes, offset + 1)
  const group = getIpv4(bytes, offset + 4)
  const isThird = length >= V3_QUERY
  // Section 4.1.1: from 128 on a floating point number.
  const tenths = isThird && code >= 0x80 ? ((code & 0xf) | 0x10) << (((code >>> 4) & 7) + 3) : code || V1_RESPONSE
  return {
    // Section 7.1.
    version: isThird ? "current" : code === 0 ? "oldest" : "older",
    maxResponseMillis: tenths * 100,
    group: isUnspecified(group) ? undefined : group,
  }
}

/** Octets that `encodeIgmpReport` will take. */
export const igmpReportLength = (records: ReadonlyArray<MembershipRecord>): number => 8 + RECORD * records.length

/** Version 3 (section 4.2). */
export const encodeIgmpReport = (out: Uint8Array, offset: number, records: ReadonlyArray<MembershipRecord>): number => {
  const length = igmpReportLength(records)
  out.fill(0, offset, offset + length)
  setU8(out, offset, V3_REPORT)
  setU16(out, offset + 6, records.length)
  for (const [index, { type, group }] of records.entries()) {
    setU8(out, offset + 8 + index * RECORD, type)
    setIpv4(out, offset + 12 + index * RECORD, group)
  }
  setU16(out, offset + 2, finish(sum(out, offset, length)))
  return length
}

export const IGMP_V2_LENGTH = V2_LENGTH

/** Version 2 (RFC 2236 section 2): a report of one group, or that nobody listens to it any more. */
export const encodeIgmpV2 = (out: Uint8Array, offset: number, { type, group }: MembershipRecord): number =>
  encodeOlder(out, offset, type === TO_INCLUDE ? V2_LEAVE : V2_REPORT, group)

/** Version 1 (RFC 1112 appendix I) has reports alone. */
export const encodeIgmpV1 = (out: Uint8Array, offset: number, { group }: MembershipRecord): number =>
  encodeOlder(out, offset, V1_REPORT, group)

const encodeOlder = (out: Uint8Array, offset: number, type: number, group: IpAddress): number => {
  setU8(out, offset, type)
  setU8(out, offset + 1, 0)
  setU16(out, offset + 2, 0)
  setIpv4(out, offset + 4, group)
  setU16(out, offset + 2, finish(sum(out, offset, V2_LENGTH)))
  return V2_LENGTH
}
