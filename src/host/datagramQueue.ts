/** What a waiting datagram is charged beside its octets, as sk_buffs are: empty ones fill a queue too. */
export const DATAGRAM_OVERHEAD = 512

/** Datagrams that wait to be read, bounded: the newest is lost where there is no room (as Linux's sock_queue_rcv_skb). */
export class DatagramQueue<D extends { readonly payload: Uint8Array }> {
  private items: Array<D> = []
  private head = 0
  /** Octets, overhead included. */
  charge = 0
  drops = 0

  /** False where there was no room. One that is larger than the whole queue may come into an empty one. */
  push(datagram: D, limit: number): boolean {
    const cost = datagram.payload.length + DATAGRAM_OVERHEAD
    if (this.charge > 0 && this.charge + cost > limit) {
      this.drops++
      return false
    }
    this.charge += cost
    this.items.push(datagram)
    return true
  }

  shift(): D | undefined {
    const datagram = this.items[this.head]
    if (datagram === undefined) return undefined
    this.charge -= datagram.payload.length + DATAGRAM_OVERHEAD
    this.head++
    if (this.head === this.items.length) {
      this.items = []
      this.head = 0
    } else if (this.head > 64 && this.head * 2 > this.items.length) {
      this.items = this.items.slice(this.head)
      this.head = 0
    }
    return datagram
  }
}
