import { type IpAddress, sameAddress } from "../wire/address.ts"

interface Node<V> {
  readonly address: IpAddress
  value: V
  next: Node<V> | undefined
}

/**
 * A map from addresses of either family. Finding makes no garbage: IPv4 is keyed by its word, IPv6
 * by a hash of its words, whose `seed` nobody outside knows, with a chain behind it.
 */
export class AddressMap<V> {
  private readonly v4 = new Map<number, Node<V>>()
  private readonly v6 = new Map<number, Node<V>>()
  private count = 0

  constructor(private readonly seed: number) {}

  get size(): number {
    return this.count
  }

  get(address: IpAddress): V | undefined {
    if (address.family === 4) return this.v4.get(address.d)?.value
    let node = this.v6.get(this.hash(address))
    while (node !== undefined && !sameAddress(node.address, address)) node = node.next
    return node?.value
  }

  set(address: IpAddress, value: V): void {
    const map = this.mapOf(address)
    const key = this.keyOf(address)
    const first = map.get(key)
    for (let node = first; node !== undefined; node = node.next) {
      if (!sameAddress(node.address, address)) continue
      node.value = value
      return
    }
    map.set(key, { address, value, next: first })
    this.count++
  }

  delete(address: IpAddress): void {
    const map = this.mapOf(address)
    const key = this.keyOf(address)
    let before: Node<V> | undefined
    for (let node = map.get(key); node !== undefined; before = node, node = node.next) {
      if (!sameAddress(node.address, address)) continue
      if (before !== undefined) before.next = node.next
      else if (node.next !== undefined) map.set(key, node.next)
      else map.delete(key)
      this.count--
      return
    }
  }

  clear(): void {
    this.v4.clear()
    this.v6.clear()
    this.count = 0
  }

  /** The oldest first, but for chains. */
  *entries(): Generator<readonly [IpAddress, V]> {
    for (const map of [this.v4, this.v6]) {
      for (const first of map.values()) {
        for (let node: Node<V> | undefined = first; node !== undefined; node = node.next)
          yield [node.address, node.value]
      }
    }
  }

  private mapOf(address: IpAddress): Map<number, Node<V>> {
    return address.family === 4 ? this.v4 : this.v6
  }

  private keyOf(address: IpAddress): number {
    return address.family === 4 ? address.d : this.hash(address)
  }

  private hash({ a, b, c, d, zone = 0 }: IpAddress): number {
    return mix(mix(mix(mix(this.seed ^ d) ^ c) ^ b) ^ a) ^ zone
  }
}

/** The finaliser of MurmurHash3, without its last shift. */
const mix = (x: number): number => {
  let h = Math.imul(x ^ (x >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}
