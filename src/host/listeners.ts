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

  /** For a segment to `address`:`port`: a listener of the address before one of any address, a port before every port. */
  find(address: IpAddress, port: number): ListenerSocket | undefined {
    return best(this.byPort.get(port), address) ?? best(this.everyPort, address)
  }

  /** Whether a new listener would share its port with one that is there: any address collides with each. */
  conflicts(address: IpAddress, port: number | "every"): boolean {
    const list = port === "every" ? this.everyPort : this.byPort.get(port)
    return list?.some((other) => overlap(other.address, address)) ?? false
  }
}

const best = (list: ReadonlyArray<ListenerSocket> | undefined, address: IpAddress): ListenerSocket | undefined => {
  if (list === undefined) return undefined
  let any: ListenerSocket | undefined
  for (const listener of list) {
    if (sameAddress(listener.address, address)) return listener
    if (isUnspecified(listener.address) && listener.address.family === address.family) any = listener
  }
  return any
}

const overlap = (x: IpAddress, y: IpAddress): boolean =>
  x.family === y.family && (isUnspecified(x) || isUnspecified(y) || sameAddress(x, y))
