import { type IpAddress, sameAddress } from "../wire/address.ts"
import type { TcpOptions } from "../wire/tcpSegment.ts"

/** Peers remembered at most; the one longest unheard of gives way. */
const MOST = 1024

/** A Fast Open cookie that a server gave us, and the MSS that it announced (RFC 7413 section 4.1.3). */
export interface FastOpenCookie {
  readonly option: NonNullable<TcpOptions["fastOpen"]>
  readonly mss: number
}

/** What is worth knowing of peers beyond a connection, bounded. */
export class Remembered<V> {
  private readonly known = new Map<string, V>()
  /** Whoever was set last, which mostly is whoever is asked about next. */
  private newest: { readonly address: IpAddress; readonly value: V } | undefined = undefined

  has(address: IpAddress): boolean {
    if (this.newest === undefined) return false
    return sameAddress(this.newest.address, address) || this.known.has(keyOf(address))
  }

  get(address: IpAddress): V | undefined {
    return this.known.get(keyOf(address))
  }

  set(address: IpAddress, value: V): void {
    const { newest } = this
    if (newest !== undefined && newest.value === value && sameAddress(newest.address, address)) return
    this.newest = { address, value }
    const key = keyOf(address)
    this.known.delete(key)
    if (this.known.size >= MOST) {
      const [oldest] = this.known.keys()
      if (oldest !== undefined) this.known.delete(oldest)
    }
    this.known.set(key, value)
  }
}

const keyOf = ({ family, a, b, c, d, zone = 0 }: IpAddress): string =>
  family === 4 ? `${d}` : `${a},${b},${c},${d},${zone}`
