import { type IpAddress, isMulticast, sameAddress } from "../../wire/address.ts"
import type { Link } from "../link.ts"
import { refuse } from "../refusal.ts"
import type { HostRefusal } from "../types.ts"
import type { Membership, UdpSocket } from "./socket.ts"

/** Linux's igmp_max_memberships. */
const MOST = 20

/** Which groups the host's sockets have joined, on which interface (RFC 1112 section 6.1). */
export class Memberships {
  private joined: Array<Membership & { readonly socket: UdpSocket }> = []

  constructor(private readonly link: Link) {}

  has(group: IpAddress, iface: number): boolean {
    return this.joined.some((one) => one.iface === iface && sameAddress(one.group, group))
  }

  join(socket: UdpSocket, group: IpAddress, wanted: number | undefined): HostRefusal | undefined {
    const iface = this.interfaceOf(group, wanted)
    if (typeof iface !== "number") return iface
    if (socket.isMember(group, iface)) return refuse("EADDRINUSE", "Linux:ip_mc_join_group:already-joined")
    if (socket.groups.length >= MOST) return refuse("ENOBUFS", "Linux:igmp_max_memberships")
    socket.groups.push({ group, iface })
    this.joined.push({ group, iface, socket })
    return undefined
  }

  leave(socket: UdpSocket, group: IpAddress, wanted: number | undefined): HostRefusal | undefined {
    const iface = this.interfaceOf(group, wanted)
    if (typeof iface !== "number") return iface
    if (!socket.isMember(group, iface)) return refuse("EADDRNOTAVAIL", "Linux:ip_mc_leave_group:not-joined")
    this.drop((one) => one.socket === socket && one.iface === iface && sameAddress(one.group, group))
    socket.groups.splice(
      socket.groups.findIndex((one) => one.iface === iface && sameAddress(one.group, group)),
      1,
    )
    return undefined
  }

  leaveAll(socket: UdpSocket): void {
    socket.groups.length = 0
    this.drop((one) => one.socket === socket)
  }

  private drop(isOne: (one: Membership & { readonly socket: UdpSocket }) => boolean): void {
    this.joined = this.joined.filter((one) => !isOne(one))
  }

  private interfaceOf(group: IpAddress, wanted: number | undefined): number | HostRefusal {
    if (!isMulticast(group)) return refuse("EINVAL", "Linux:ip_mc_join_group:not-multicast")
    const iface = wanted ?? this.link.wayTo(group)?.interface
    return iface === undefined || this.link.interface(iface) === undefined
      ? refuse("ENODEV", "Linux:ip_mc_join_group:no-interface")
      : iface
  }
}
