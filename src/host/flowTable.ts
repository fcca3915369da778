import { type IpAddress, sameAddress } from "../wire/address.ts"
import type { Flow } from "./flow.ts"
import { NumberTable } from "./numberTable.ts"

/** Flows by their four values. Chains hang off a seeded hash, so that their length cannot be steered. */
export class FlowTable {
  private readonly chains = new NumberTable<Flow>()
  private count = 0

  constructor(private readonly seed: number) {}

  get size(): number {
    return this.count
  }

  find(local: IpAddress, localPort: number, remote: IpAddress, remotePort: number): Flow | undefined {
    let flow = this.chains.get(this.hash(local, localPort, remote, remotePort))
    while (flow !== undefined) {
      if (
        flow.remote.port === remotePort &&
        flow.local.port === localPort &&
        sameAddress(flow.remote.address, remote) &&
        sameAddress(flow.local.address, local)
      ) {
        return flow
      }
      flow = flow.next
    }
    return undefined
  }

  add(flow: Flow): void {
    const hash = this.hashOf(flow)
    flow.next = this.chains.get(hash)
    this.chains.set(hash, flow)
    this.count++
  }

  remove(flow: Flow): void {
    const hash = this.hashOf(flow)
    const first = this.chains.get(hash)
    if (first === flow) {
      if (flow.next === undefined) this.chains.delete(hash)
      else this.chains.set(hash, flow.next)
    } else {
      let before = first
      while (before !== undefined && before.next !== flow) before = before.next
      if (before === undefined) return
      before.next = flow.next
    }
    flow.next = undefined
    this.count--
  }

  /** A number that is the same for the same four values. */
  hash(local: IpAddress, localPort: number, remote: IpAddress, remotePort: number): number {
    let h = mix(this.seed ^ ((localPort << 16) | remotePort))
    h = mix(h ^ remote.d)
    h = mix(h ^ local.d)
    if (remote.family === 6) {
      h = mix(h ^ remote.a)
      h = mix(h ^ remote.b)
      h = mix(h ^ remote.c)
      h = mix(h ^ local.c)
    }
    return h
  }

  *[Symbol.iterator](): Generator<Flow> {
    for (const [, first] of this.chains.entries()) {
      for (let flow: Flow | undefined = first; flow !== undefined; flow = flow.next) yield flow
    }
  }

  hashOf({ local, remote }: Flow): number {
    return this.hash(local.address, local.port, remote.address, remote.port)
  }
}

/** The finaliser of MurmurHash3, without its last shift. */
const mix = (x: number): number => {
  let h = Math.imul(x ^ (x >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}
