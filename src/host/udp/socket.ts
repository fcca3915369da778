import { type Endpoint, type IpAddress, isUnspecified, sameAddress, withoutZone } from "../../wire/address.ts"
import { DatagramQueue } from "../datagramQueue.ts"
import type { PortOwner } from "../portTable.ts"
import type { SocketId } from "../types.ts"
import type { UdpDatagram, UdpError, UdpOptions, UdpStatus } from "./types.ts"

/** Errors that wait to be asked for; the oldest gives way. */
const MOST_ERRORS = 64

export interface Membership {
  /** Without a zone. */
  readonly group: IpAddress
  readonly iface: number
}

/** A UDP socket as an application holds it. */
export class UdpSocket {
  readonly queue = new DatagramQueue<UdpDatagram>()
  readonly errors: Array<UdpError> = []
  readonly groups: Array<Membership> = []
  /** What was asked for in `bind`; what `connect` chooses is taken back with the peer. */
  bound: { readonly address: IpAddress; readonly port: number; readonly owner: PortOwner } | undefined = undefined
  local: Endpoint
  remote: Endpoint | undefined = undefined
  /** Counts up with each bind: of equals the youngest gets what comes (Linux adds at the head of its chain). */
  age = 0

  constructor(
    readonly id: SocketId,
    public options: UdpOptions,
    any: IpAddress,
  ) {
    this.local = { address: any, port: 0 }
  }

  report(error: UdpError): void {
    if (this.errors.length >= MOST_ERRORS) this.errors.shift()
    this.errors.push(error)
  }

  /** Whether it may send to addresses of a family: "::" is any address of both, unless the socket says otherwise. */
  speaks(family: 4 | 6): boolean {
    const { address } = this.local
    return address.family === family || (family === 4 && isUnspecified(address) && this.options.ipv6Only !== true)
  }

  isMember(group: IpAddress, iface: number): boolean {
    const bare = withoutZone(group)
    return this.groups.some((one) => one.iface === iface && sameAddress(one.group, bare))
  }

  get status(): UdpStatus {
    return {
      socket: this.id,
      local: this.local,
      remote: this.remote,
      ipv6Only: this.options.ipv6Only === true,
      recvQ: this.queue.charge,
      drops: this.queue.drops,
      groups: this.groups.map(({ group, iface }) => ({ group, interface: iface })),
    }
  }
}
