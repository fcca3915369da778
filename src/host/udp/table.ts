import {
  type Endpoint,
  type IpAddress,
  isUnspecified,
  sameAddress,
  sameEndpoint,
  withoutZone,
} from "../../wire/address.ts"
import type { UdpSocket } from "./socket.ts"

/** Bound UDP sockets by port. */
export class UdpTable {
  private readonly byPort = new Map<number, Array<UdpSocket>>()

  add(socket: UdpSocket): void {
    const others = this.byPort.get(socket.local.port)
    if (others === undefined) this.byPort.set(socket.local.port, [socket])
    else others.push(socket)
  }

  remove(socket: UdpSocket): void {
    const { port } = socket.local
    const list = this.byPort.get(port)
    const index = list?.indexOf(socket) ?? -1
    if (list === undefined || index < 0) return
    list.splice(index, 1)
    if (list.length === 0) this.byPort.delete(port)
  }

  /**
   * The one socket for a datagram to `local` (Linux's udp4_lib_lookup2): the highest score, of
   * equals the youngest, of a SO_REUSEPORT group the one that `hash` chooses. `iface` undefined: by any.
   */
  find(local: Endpoint, remote: Endpoint, iface: number | undefined, hash: () => number): UdpSocket | undefined {
    let best: UdpSocket | undefined
    let highest = 0
    for (const socket of this.byPort.get(local.port) ?? []) {
      const score = scoreOf(socket, local, remote, iface)
      if (score > highest || (score === highest && score > 0 && socket.age > (best?.age ?? 0))) {
        best = socket
        highest = score
      }
    }
    if (best === undefined || !best.options.reusePort || best.remote !== undefined) return best
    const group = (this.byPort.get(local.port) ?? []).filter(
      (socket) => socket.options.reusePort && scoreOf(socket, local, remote, iface) === highest,
    )
    return group[hash() % group.length]
  }

  /** All that hear a datagram to everybody or to a group, on which they may have an opinion of their own. */
  hearing(
    local: Endpoint,
    remote: Endpoint,
    iface: number,
    accepts: (socket: UdpSocket) => boolean,
  ): ReadonlyArray<UdpSocket> {
    return (this.byPort.get(local.port) ?? []).filter(
      (socket) => scoreOf(socket, local, remote, iface) > 0 && accepts(socket),
    )
  }
}

/** An exact address counts before any address, a peer or an interface before all, and a socket of IPv4 alone before one of both (Linux's compute_score); 0: not for this one. */
const scoreOf = (socket: UdpSocket, to: Endpoint, from: Endpoint, iface: number | undefined): number => {
  const { local, remote: peer, options } = socket
  const isAny = isUnspecified(local.address)
  if (isAny ? !socket.speaks(to.address.family) : !isAt(local.address, to.address)) return 0
  if (peer !== undefined && !sameEndpoint(peer, from)) return 0
  const wanted = options.boundInterface
  if (wanted !== undefined && iface !== undefined && wanted !== iface) return 0
  const ofFamily = local.address.family === to.address.family ? 2 : 1
  return ofFamily + (isAny ? 0 : 16) + (peer === undefined ? 0 : 8) + (wanted === undefined ? 0 : 4)
}

/** A group without a zone is that of every link. */
const isAt = (own: IpAddress, address: IpAddress): boolean =>
  sameAddress(own, address) || (own.zone === undefined && sameAddress(own, withoutZone(address)))
