import type { IpAddress } from "../wire/address.ts"

/** Peers remembered at most; the oldest gives way. */
const MOST = 1024

/** Addresses that have completed a handshake: they are somebody, not a spoofed source (Linux asks its TCP metrics). */
export class ProvenPeers {
  private readonly seen = new Set<string>()

  has(address: IpAddress): boolean {
    return this.seen.size > 0 && this.seen.has(keyOf(address))
  }

  add(address: IpAddress): void {
    const key = keyOf(address)
    if (this.seen.has(key)) return
    if (this.seen.size >= MOST) {
      const [oldest] = this.seen
      if (oldest !== undefined) this.seen.delete(oldest)
    }
    this.seen.add(key)
  }
}

const keyOf = ({ family, a, b, c, d }: IpAddress): string => (family === 4 ? `${d}` : `${a},${b},${c},${d}`)
