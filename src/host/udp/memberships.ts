import type { Micros } from "../../tcp/time.ts"
import { type IpAddress, isMulticast, sameAddress, withoutZone } from "../../wire/address.ts"
import type { Link } from "../link.ts"
import { refuse } from "../refusal.ts"
import type { HostRefusal } from "../types.ts"
import type { UdpSocket } from "./socket.ts"

/** Linux's igmp_max_memberships. */
const MOST = 20

/** Which groups a host's sockets have joined, on which interface (RFC 1112 section 6.1, RFC 3493 section 5.2). */
export class Memberships {
  constructor(private readonly link: Link) {}

  join(socket: UdpSocket, group: IpAddress, wanted: number | undefined, now: Micros): HostRefusal | undefined {
    const iface = this.interfaceOf(group, wanted)
    if (typeof iface !== "number") return iface
    if (socket.isMember(group, iface)) return refuse("EADDRINUSE", "Linux:ip_mc_join_group:already-joined")
    if (socket.groups.length >= MOST) return refuse("ENOBUFS", "Linux:igmp_max_memberships")
    if (!this.link.joinGroup(iface, group, now)) return refuse("ENOBUFS", "netfold:groups-of-an-interface")
    socket.groups.push({ group: withoutZone(group), iface })
    return undefined
  }

  leave(socket: UdpSocket, group: IpAddress, wanted: number | undefined, now: Micros): HostRefusal | undefined {
    const iface = this.interfaceOf(group, wanted)
    if (typeof iface !== "number") return iface
    if (!socket.isMember(group, iface)) return refuse("EADDRNOTAVAIL", "Linux:ip_mc_leave_group:not-joined")
    const bare = withoutZone(group)
    socket.groups.splice(
      socket.groups.findIndex((one) => one.iface === iface && sameAddress(one.group, bare)),
      1,
    )
    this.link.leaveGroup(iface, group, now)
    return undefined
  }

  leaveAll(socket: UdpSocket, now: Micros): void {
    for (const { group, iface } of socket.groups.splice(0)) this.link.leaveGroup(iface, group, now)
  }

  private interfaceOf(group: IpAddress, wanted: number | undefined): number | HostRefusal {
    if (!isMulticast(group)) return refuse("EINVAL", "Linux:ip_mc_join_group:not-multicast")
    const iface = wanted ?? this.link.wayTo(group)?.interface
    return iface === undefined || this.link.interface(iface) === undefined
      ? refuse("ENODEV", "Linux:ip_mc_join_group:no-interface")
      : iface
  }
}
