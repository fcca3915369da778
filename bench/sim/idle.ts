import { sink } from "../../src/sim/network/apps/bulk.ts"
import { onOff } from "../../src/sim/network/apps/talk.ts"
import { World } from "../../src/sim/network/world.ts"
import { ipv4 } from "../../src/wire/address.ts"

const HOSTS = 10
const SECOND = 1_000_000
const EVERY = 60 * SECOND
const WORDS = 24 * 60

/** A day of hosts on a switch that have something to say now and then: how much faster than the day it is. */
export const idle = (): { readonly hosts: number; readonly every: number; readonly speed: number } => {
  const names = Array.from({ length: HOSTS }, (_, n) => `host${n}`)
  const world = new World({
    seed: 1,
    hosts: Object.fromEntries([
      ["server", { addresses: ["198.18.0.254/24"] }],
      ...names.map((name, n) => [name, { addresses: [`198.18.0.${n + 1}/24`] }] as const),
    ]),
    switches: { middle: {} },
    links: ["server", ...names].map((name) => ({ ends: [name, "middle"] as const, there: { delay: 5000 } })),
  })
  sink(world.machine("server"), 9)
  for (const name of names) {
    const to = { address: ipv4(0xc61200fe), port: 9 }
    onOff(world.machine(name), { to, burst: 100, silence: EVERY, bursts: WORDS })
  }
  const began = performance.now()
  world.run(EVERY * WORDS)
  return { hosts: HOSTS, every: EVERY, speed: world.now / 1000 / (performance.now() - began) }
}
