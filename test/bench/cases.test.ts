import { expect, test } from "bun:test"
import { reassemblyCases } from "../../bench/growth/reassembly.ts"
import { KINDS, makeScene } from "../../bench/growth/scenes.ts"
import { scoreboardCases } from "../../bench/growth/scoreboard.ts"
import { hostCases } from "../../bench/micro/host.ts"
import { reducerCases } from "../../bench/micro/reducer.ts"

/** A case throws when it did not do the work that it is the time of. */

for (const kind of KINDS) {
  test(`growth: 100 ${kind}`, async () => {
    const { cases, sizes } = await makeScene(kind, 100)
    for (const one of cases) expect(await one.sample(1)).toBeGreaterThan(0)
    for (const octets of Object.values(sizes)) expect(octets).toBeGreaterThan(0)
  }, 60_000)
}

for (const { name, prepare, run } of [...reassemblyCases(), ...scoreboardCases(), ...reducerCases(), ...hostCases()]) {
  test(name, () => {
    prepare?.()
    expect(run()).toBeGreaterThan(0)
  }, 30_000)
}
