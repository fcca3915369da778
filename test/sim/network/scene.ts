import { bulk, type Receiving, type Sending, sink } from "../../../src/sim/network/apps/bulk.ts"
import { LogHash } from "../../../src/sim/network/hash.ts"
import type { Observer } from "../../../src/sim/network/log.ts"
import type { NetworkSpec } from "../../../src/sim/network/spec.ts"
import { World } from "../../../src/sim/network/world.ts"
import type { TcpSettings } from "../../../src/tcp/settings.ts"
import { ipv4 } from "../../../src/wire/address.ts"
import type { Impairment } from "../../../src/wire/impairment/spec.ts"

export const SECOND = 1_000_000
export const A = ipv4(0xc6120001)
export const B = ipv4(0xc6120002)
export const PORT = 9

export interface PairOptions {
  readonly seed?: number
  readonly there?: Partial<Impairment>
  readonly back?: Partial<Impairment>
  readonly settings?: Partial<TcpSettings>
  readonly observers?: ReadonlyArray<Observer>
  readonly mtu?: number
  readonly coalesce?: number
}

export const pairSpec = ({
  seed = 1,
  there = {},
  back,
  settings = {},
  mtu = 1500,
  coalesce = 0,
}: PairOptions): NetworkSpec => ({
  seed,
  hosts: {
    a: { interfaces: [{ addresses: ["198.18.0.1/24"], mtu, coalesce }], settings },
    b: { interfaces: [{ addresses: ["198.18.0.2/24"], mtu, coalesce }], settings },
  },
  links: [{ ends: ["a", "b"], there, ...(back === undefined ? {} : { back }) }],
})

export interface Run {
  readonly world: World
  readonly hash: LogHash
  readonly sending: Sending
  readonly received: ReadonlyArray<Receiving>
}

/** `octets` from a to b, not yet run. */
export const transfer = (octets: number, options: PairOptions = {}): Run => {
  const hash = new LogHash()
  const world = new World(pairSpec(options), [hash.observe, ...(options.observers ?? [])])
  const received = sink(world.machine("b"), PORT)
  const sending = bulk(world.machine("a"), { to: { address: B, port: PORT }, octets })
  return { world, hash, sending, received }
}
