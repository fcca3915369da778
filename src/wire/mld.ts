import { type IpAddress, isLinkLocal, isUnspecified } from "./address.ts"
import { getIpv6, setIpv6 } from "./addressBytes.ts"
import { getU16, setU8, setU16 } from "./bytes.ts"
import type { WireDrop } from "./drop.ts"
import { finishIcmpv6, ICMPV6_HEAD } from "./icmpv6.ts"
import { type MembershipQuery, type MembershipRecord, TO_INCLUDE } from "./igmp.ts"

/** Multicast Listener Discovery, version 2 (RFC 3810) and 1 (RFC 2710): queries in, reports out. */
export const MLD_QUERY = 130
const MLD_V1_REPORT = 131
const MLD_V1_DONE = 132
const MLD_V2_REPORT = 143

/** Section 5: always 1, and with a Router Alert. */
export const MLD_HOP_LIMIT = 1

const V1_BODY = 20
const V2_BODY = 24
const RECORD = 20

/** How a query came (RFC 3810 section 6.2); `alerted`: with a Router Alert. */
export interface MldCarrier {
  readonly source: IpAddress
  readonly hopLimit: number
  readonly alerted: boolean
}

/** A query's `payload` behind its checksum. Version 1 has no more than the group. */
export const decodeMldQuery = (payload: Uint8Array, carrier: MldCarrier): MembershipQuery | WireDrop => {
  if (payload.length < V1_BODY) return "mld:truncated"
  if (carrier.hopLimit !== MLD_HOP_LIMIT) return "mld:bad-hop-limit"
  if (!carrier.alerted) return "mld:no-router-alert"
  if (!isLinkLocal(carrier.source)) return "mld:bad-source"
  const code = getU16(payload, 0)
  const group = getIpv6(payload, 4)
  const isSecond = payload.length >= V2_BODY
  return {
    version: isSecond ? "current" : "older",
    // Section 5.1.3: from 32768 on a floating point number. Milliseconds.
    maxResponseMillis: isSecond && code >= 0x8000 ? ((code & 0xfff) | 0x1000) << (((code >>> 12) & 7) + 3) : code,
    group: isUnspecified(group) ? undefined : group,
  }
}

/** Octets that `encodeMldReport` will take. */
export const mldReportLength = (records: ReadonlyArray<MembershipRecord>): number =>
  ICMPV6_HEAD + 4 + RECORD * records.length

/** Section 5.2: records of groups without sources. */
export const encodeMldReport = (
  out: Uint8Array,
  offset: number,
  records: ReadonlyArray<MembershipRecord>,
  source: IpAddress,
  destination: IpAddress,
): number => {
  const length = mldReportLength(records)
  out.fill(0, offset, offset + length)
  setU8(out, offset, MLD_V2_REPORT)
  setU16(out, offset + 6, records.length)
  for (const [index, { type, group }] of records.entries()) {
    const at = offset + 8 + index * RECORD
    setU8(out, at, type)
    setIpv6(out, at + 4, group)
  }
  finishIcmpv6(out, offset, length, source, destination)
  return length
}

export const MLD_V1_LENGTH = ICMPV6_HEAD + V1_BODY

/** Version 1 (RFC 2710 section 3): a report of one group, or that nobody listens to it any more. */
export const encodeMldV1 = (
  out: Uint8Array,
  offset: number,
  { type, group }: MembershipRecord,
  source: IpAddress,
  destination: IpAddress,
): number => {
  out.fill(0, offset, offset + MLD_V1_LENGTH)
  setU8(out, offset, type === TO_INCLUDE ? MLD_V1_DONE : MLD_V1_REPORT)
  setIpv6(out, offset + 8, group)
  finishIcmpv6(out, offset, MLD_V1_LENGTH, source, destination)
  return MLD_V1_LENGTH
}
