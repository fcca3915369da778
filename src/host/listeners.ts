import { type IpAddress, isUnspecified, sameAddress } from "../wire/address.ts"
import type { ListenerSocket } from "./socket.ts"

/** Listeners by port; the most specific one answers. */
export class Listeners {
  private readonly byPort = new Map<number, Array<ListenerSocket>>()
  private readonly everyPort: Array<ListenerSocket> = []

  add(listener: ListenerSocket): void {
    if (listener.port === "every") this.everyPort.push(listener)
    else {
      const others = this.byPort.get(listener.port)
      if (others === undefined) this.byPort.set(listener.port, [listener])
      else others.push(listener)
    }
  }

  remove(listener: ListenerSocket): void {
    const list = listener.port === "every" ? this.everyPort : (this.byPort.get(listener.port) ?? [])
    const index = list.indexOf(listener)
    if (index >= 0) list.splice(index, 1)
    if (listener.port !== "every" && list.length === 0) this.byPort.delete(listener.port)
  }

  /**
   * For a segment to `address`:`port`: a listener of the address before one of any address, that of
   * IPv4 alone before that of both families (Linux's compute_score); a port before every port. Where
   * several share (SO_REUSEPORT) `hash` chooses, the same one for the same flow.
   */
  find(address: IpAddress, port: number, hash: number): ListenerSocket | undefined {
    return best(this.byPort.get(port), address, hash) ?? best(this.everyPort, address, hash)
  }

  /** Those that share the flows of one by SO_REUSEPORT, itself among them (Linux's reuseport group). */
  group({ address, port, tcb }: ListenerSocket): ReadonlyArray<ListenerSocket> {
    if (port === "every" || !tcb.options.reusePort) return []
    const { ipv6Only } = tcb.options
    return (this.byPort.get(port) ?? []).filter(
      (other) =>
        other.tcb.options.reusePort && other.tcb.options.ipv6Only === ipv6Only && sameAddress(other.address, address),
    )
  }

  /** Whether somebody listens on every port of an address already. */
  takesEvery(address: IpAddress): boolean {
    return this.everyPort.some((other) => sameAddress(other.address, address))
  }
}

const best = (
  list: ReadonlyArray<ListenerSocket> | undefined,
  address: IpAddress,
  hash: number,
): ListenerSocket | undefined => {
  if (list === undefined) return undefined
  if (list.length === 1) return list[0] !== undefined && answers(list[0], address) ? list[0] : undefined
  const group = closest(list, address)
  return group[(hash >>> 0) % group.length]
}

const closest = (list: ReadonlyArray<ListenerSocket>, address: IpAddress): ReadonlyArray<ListenerSocket> => {
  const specific = list.filter((listener) => sameAddress(listener.address, address))
  if (specific.length > 0) return specific
  const any = list.filter((listener) => answers(listener, address))
  const ofFamily = any.filter((listener) => listener.address.family === address.family)
  return ofFamily.length > 0 ? ofFamily : any
}

const answers = ({ address: own, tcb }: ListenerSocket, address: IpAddress): boolean => {
  if (own.family === address.family) return isUnspecified(own) || sameAddress(own, address)
  // RFC 3493 section 5.3: any IPv6 address is any IPv4 one too.
  return own.family === 6 && isUnspecified(own) && tcb.options.ipv6Only !== true
}
