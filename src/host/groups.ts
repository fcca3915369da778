import * as membership from "../ip/membership.ts"
import { type Micros, OFF } from "../tcp/time.ts"
import { type IpAddress, inZone, isLinkLocal, UNSPECIFIED4, UNSPECIFIED6, withoutZone } from "../wire/address.ts"
import { isDrop } from "../wire/drop.ts"
import {
  decodeIgmpQuery,
  encodeIgmpReport,
  encodeIgmpV1,
  encodeIgmpV2,
  IGMP_TTL,
  IGMP_V2_LENGTH,
  igmpReportLength,
  type MembershipQuery,
  type MembershipRecord,
  TO_INCLUDE,
} from "../wire/igmp.ts"
import type { IpPacket } from "../wire/ip.ts"
import { PROTOCOL_IGMP } from "../wire/ipv4.ts"
import { NEXT_HEADER_ICMPV6 } from "../wire/ipv6.ts"
import { alertsRouters } from "../wire/ipv6Extension.ts"
import {
  decodeMldQuery,
  encodeMldReport,
  encodeMldV1,
  MLD_HOP_LIMIT,
  MLD_V1_LENGTH,
  mldReportLength,
} from "../wire/mld.ts"
import { ALL_IGMP_ROUTERS, ALL_MLD_ROUTERS, ALL_NODES, ALL_ROUTERS, ALL_ROUTERS4, scopeOf } from "../wire/multicast.ts"
import type { Deadlines, Scheduled } from "./deadlines.ts"
import type { NetInterface } from "./netInterface.ts"
import type { Output } from "./output.ts"
import { Task } from "./task.ts"

/** Records in one report: as many as fit any link. */
const MOST_RECORDS = 50

/** Which groups a host's interfaces listen to, and the reports about it: IGMP and MLD. */
export class Groups {
  private readonly tasks: ReadonlyArray<Task>

  constructor(
    interfaces: ReadonlyArray<NetInterface>,
    private readonly deadlines: Deadlines<Scheduled>,
    private readonly output: Output,
    private readonly chance: (iface: NetInterface) => number,
    private readonly drop: (why: string) => void,
  ) {
    this.tasks = interfaces.map((iface) => new Task((now) => this.timeout(iface, now)))
  }

  /** False: the interface listens to as many as it can. */
  join(iface: NetInterface, address: IpAddress, now: Micros): boolean {
    const group = withoutZone(address)
    const after = membership.join(of(iface, group), group, now)
    if (after === undefined) return false
    this.set(iface, group.family, after)
    return true
  }

  leave(iface: NetInterface, address: IpAddress, now: Micros): void {
    const group = withoutZone(address)
    this.set(iface, group.family, membership.leave(of(iface, group), group, now))
  }

  /** MLD, behind the checksum. */
  mld(iface: NetInterface, payload: Uint8Array, packet: IpPacket, bytes: Uint8Array, now: Micros): void {
    const alerted = alertsRouters(bytes, packet)
    const query = decodeMldQuery(payload, { source: packet.source, hopLimit: packet.ttl, alerted })
    if (isDrop(query)) return this.drop(query)
    this.queried(iface, 6, query, now)
  }

  igmp(iface: NetInterface, packet: IpPacket, bytes: Uint8Array, now: Micros): void {
    const query = decodeIgmpQuery(bytes, packet.payloadOffset, packet.payloadLength)
    if (query === undefined) return this.drop("igmp:not-a-query")
    if (isDrop(query)) return this.drop(query)
    this.queried(iface, 4, query, now)
  }

  private queried(iface: NetInterface, family: 4 | 6, query: MembershipQuery, now: Micros): void {
    const before = family === 4 ? iface.groups4 : iface.groups6
    this.set(iface, family, membership.queried(before, query, this.chance(iface), now))
  }

  private set(iface: NetInterface, family: 4 | 6, after: membership.Membership): void {
    if (family === 4) iface.groups4 = after
    else iface.groups6 = after
    const at = membership.deadlineOf(after)
    const task = this.tasks[iface.index]
    if (at !== OFF && task !== undefined) this.deadlines.schedule(task, at)
  }

  private timeout(iface: NetInterface, now: Micros): void {
    for (const family of [6, 4] as const) {
      const before = family === 4 ? iface.groups4 : iface.groups6
      const step = membership.timeout(before, this.chance(iface), now)
      this.set(iface, family, step.membership)
      // Without a link nobody forwards by group, and nobody is told (RFC 3810 section 6: groups of the interface's own scope neither).
      const records = step.records.filter(({ group }) => isReported(group))
      for (let from = 0; iface.isEthernet && from < records.length; from += MOST_RECORDS) {
        this.report(iface, records.slice(from, from + MOST_RECORDS), family, now)
      }
    }
  }

  private report(iface: NetInterface, records: ReadonlyArray<MembershipRecord>, family: 4 | 6, now: Micros): void {
    if (family === 6) return this.reportMld(iface, records, now)
    const source = iface.local.find((address) => address.family === 4) ?? UNSPECIFIED4
    const carrier = { interface: iface.index, ttl: IGMP_TTL, routerAlert: true }
    const send = (to: IpAddress, length: number, write: (out: Uint8Array, at: number) => void): void =>
      this.output.datagramTo(to, source, PROTOCOL_IGMP, length, write, "RFC3376-5.1:report", now, carrier)
    const language = membership.language(iface.groups4, now)
    if (language === "current") {
      send(ALL_IGMP_ROUTERS, igmpReportLength(records), (out, at) => encodeIgmpReport(out, at, records))
      return
    }
    for (const record of records) {
      const isLeft = record.type === TO_INCLUDE
      if (language === "older") {
        send(isLeft ? ALL_ROUTERS4 : record.group, IGMP_V2_LENGTH, (out, at) => encodeIgmpV2(out, at, record))
      } else if (!isLeft) send(record.group, IGMP_V2_LENGTH, (out, at) => encodeIgmpV1(out, at, record))
    }
  }

  /** From the link-local address, or, while it is asked for itself, from none (RFC 3810 section 5.2.13). */
  private reportMld(iface: NetInterface, records: ReadonlyArray<MembershipRecord>, now: Micros): void {
    const source = iface.local.find((address) => address.family === 6 && isLinkLocal(address)) ?? UNSPECIFIED6
    const carrier = { interface: iface.index, ttl: MLD_HOP_LIMIT, routerAlert: true }
    const send = (to: IpAddress, length: number, write: (out: Uint8Array, at: number) => void): void =>
      this.output.datagramTo(to, source, NEXT_HEADER_ICMPV6, length, write, "RFC3810-6:report", now, carrier)
    if (membership.language(iface.groups6, now) === "current") {
      const write = (out: Uint8Array, at: number) => void encodeMldReport(out, at, records, source, ALL_MLD_ROUTERS)
      return send(ALL_MLD_ROUTERS, mldReportLength(records), write)
    }
    for (const record of records) {
      const to = record.type === TO_INCLUDE ? ALL_ROUTERS : record.group
      send(inZone(to, iface.zone), MLD_V1_LENGTH, (out, at) => encodeMldV1(out, at, record, source, to))
    }
  }
}

const of = (iface: NetInterface, group: IpAddress): membership.Membership =>
  group.family === 4 ? iface.groups4 : iface.groups6

/** RFC 3810 section 6: never all nodes, nor what stays within the interface. RFC 3376 section 5 for 224.0.0.1. */
const isReported = (group: IpAddress): boolean =>
  group.family === 4
    ? group.d !== 0xe0000001
    : scopeOf(group) > 1 && !(group.d === ALL_NODES.d && group.a === ALL_NODES.a)
