/** Runs in a network namespace of its own (see sections.ts) and prints its sections as JSON. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Either, type Scope } from "effect"
import { bringUpLoopback } from "../../ffi/namespace.ts"
import type { Device } from "../../src/device/device.ts"
import { memoryPair } from "../../src/device/memory.ts"
import { openTap } from "../../src/device/tap.ts"
import type { PlainConnection } from "../../src/net/plain.ts"
import * as Tcp from "../../src/net/Tcp.ts"
import { Stack } from "../../src/runtime/stack.ts"
import type { CcName } from "../../src/tcp/congestion/control.ts"
import { PERFECT } from "../../src/wire/impairment/spec.ts"
import { readArguments } from "../arguments.ts"
import { summary } from "../measure.ts"
import { sampleOf, startServer } from "../peers/processes.ts"
import { compileC } from "../peers/programs.ts"
import { progress, progressDone } from "../progress.ts"
import type { Rate, Section } from "../report.ts"
import { cellTransfer, expected, LINK } from "../sim/grid.ts"
import { type Far, openFar, whyNoFar } from "./far.ts"
import { Path, type Punctuality } from "./path.ts"
import { JOB, LOSS, methodOf, RTT, TITLE, WARM_UP } from "./sections.ts"

const NEAR = "198.18.60.1"
const FAR = "198.18.60.2"
const OURS = "198.18.60.3"
const DISCARD = 9
const MEGA = 1_000_000
const CONTROLS: ReadonlyArray<CcName> = ["cubic", "reno"]

const way = { ...PERFECT, rate: LINK, delay: RTT / 2 }
const there = { ...way, loss: LOSS, queue: { _tag: "taildrop" as const, packets: 0, octets: (LINK * RTT) / 8 / MEGA } }

interface Way {
  readonly by: string
  readonly cc: CcName
  /** Bits per second of the seed's run. */
  readonly run: (seed: number) => Promise<number>
}

const kept: Array<Punctuality> = []

/** Runs `body` while the wire joins two devices. */
const joined = async (left: Device, right: Device, seed: number, body: () => Promise<number>): Promise<number> => {
  const path = new Path(left, right, there, way, seed)
  const carried = path.run()
  try {
    return await body()
  } finally {
    path.stop()
    await carried
    kept.push(path.punctuality)
  }
}

const kernelSends = (near: Device, far: Device, load: string, cc: CcName, seconds: number): Way => ({
  by: `Linux, ${cc}`,
  cc,
  run: (seed) =>
    joined(near, far, seed, async () => {
      const words = ["env", `LOAD_CONGESTION=${cc}`, load, "sink", FAR, String(WARM_UP), String(seconds)]
      const { rate, error } = await sampleOf(words, WARM_UP + seconds)
      if (error !== "") throw new Error(error)
      return rate * 1e9
    }),
})

const stackSends = (far: Device, cc: CcName, seconds: number): Way => ({
  by: `netfold, ${cc}`,
  cc,
  run: (seed) => {
    const [ours, wires] = memoryPair({ capacity: 4096 })
    return joined(wires, far, seed, () => Effect.runPromise(Effect.scoped(sent(ours, cc, seconds))))
  },
})

/** Octets that the peer acknowledges in the measured seconds, as bits per second. */
const sent = (device: Device, cc: CcName, seconds: number) =>
  Effect.gen(function* () {
    const stack = yield* Stack.make({
      interfaces: [{ device, addresses: [`${OURS}/24`] }],
      settings: { tcpCongestionControl: cc },
      closeGrace: 0,
    })
    const chunk = new Uint8Array(65_536)
    const fill = (connection: PlainConnection): void => {
      while (connection.tryWrite(chunk) === chunk.length);
    }
    const connection = Tcp.connectPlain(stack, { host: FAR, port: DISCARD }, { onConnect: fill, onDrain: fill })
    if (Either.isLeft(connection)) return yield* Effect.die(connection.left)
    const acked = Effect.sync(() => [performance.now(), connection.right.info()?.tcpi_bytes_acked ?? 0] as const)
    yield* Effect.sleep(WARM_UP * 1000)
    const [began, before] = yield* acked
    yield* Effect.sleep(seconds * 1000)
    const [ended, after] = yield* acked
    connection.right.abort()
    return ((after - before) * 8000) / (ended - began)
  })

const simulated = (cc: CcName, seconds: number): Way => ({
  by: `netfold, ${cc}, virtual time`,
  cc,
  run: async (seed) => {
    const transfer = cellTransfer({ cc, bdp: 1, rtt: RTT, loss: LOSS }, (WARM_UP + seconds) * MEGA, seed)
    transfer.run()
    const total = (second: number): number => transfer.perSecond[second - 1]?.[0] ?? 0
    return ((total(WARM_UP + seconds) - total(WARM_UP)) * 8) / seconds
  },
})

const rateOf = ({ by, cc }: Way, rates: ReadonlyArray<number>): Rate => {
  const { nanos: median, low, high, samples } = summary(rates.map((rate) => rate / MEGA))
  const theory = expected(cc, LOSS, RTT)
  return { job: JOB, by, unit: "Mbit/s", median, low, high, samples, ratio: theory && (median * MEGA) / theory }
}

const lateness = (): Rate => {
  const { nanos: median, low, high, samples } = summary(kept.map(({ late }) => late))
  return {
    job: "how late the wire was, mean of a run",
    by: "the wire",
    unit: "us",
    median,
    low,
    high,
    samples,
    ratio: undefined,
  }
}

/** The far kernel takes its end of the wire along, and serves. */
const farEnd = (far: Far, load: string): Effect.Effect<Device, Error, Scope.Scope> =>
  Effect.gen(function* () {
    const device = yield* openTap({ name: "far0", existing: false })
    far.take("far0")
    far.run("ip", "address", "add", `${FAR}/24`, "dev", "far0")
    far.run("ip", "link", "set", "far0", "up")
    yield* Effect.acquireRelease(
      Effect.promise(() => startServer(far.command(load, "serve", FAR))),
      (server) => Effect.promise(server.stop),
    )
    return device
  })

const program = (far: Far, load: string, quick: boolean) =>
  Effect.gen(function* () {
    const address = Tcp.parseAddress(NEAR)
    if (address === undefined) return yield* Effect.dieMessage(NEAR)
    const near = yield* openTap({ name: "near0", existing: false, addresses: [{ address, prefixLength: 24 }] })
    const farDevice = yield* farEnd(far, load)
    // A connection must not begin with what the one before has learned.
    writeFileSync("/proc/sys/net/ipv4/tcp_no_metrics_save", "1")
    const [seeds, seconds] = quick ? [1, 5] : [5, 20]
    const ways = CONTROLS.flatMap((cc) => [
      kernelSends(near, farDevice, load, cc, seconds),
      stackSends(farDevice, cc, seconds),
      simulated(cc, seconds),
    ])
    const leftOut: Array<string> = []
    const rates = ways.map((): Array<number> => [])
    for (let seed = 1; seed <= seeds; seed++) {
      for (const [index, way] of ways.entries()) {
        progress((seed - 1) * ways.length + index, seeds * ways.length, way.by)
        try {
          rates[index]?.push(yield* Effect.promise(() => way.run(seed)))
        } catch (cause) {
          leftOut.push(`${way.by}, seed ${seed}: ${cause instanceof Error ? cause.message : String(cause)}`)
        }
      }
    }
    progressDone()
    const found = ways.map((way, index) => [way, rates[index] ?? []] as const).filter(([, of]) => of.length > 0)
    const section: Section = {
      title: TITLE,
      method: methodOf(seconds),
      rates: [...found.map(([way, of]) => rateOf(way, of)), lateness()],
      leftOut,
    }
    return section
  })

const leftOut = (why: string): Section => ({ title: TITLE, method: "", leftOut: [`all of it: ${why}`] })

const measured = async (quick: boolean): Promise<Section> => {
  const missing = whyNoFar()
  if (missing !== undefined) return leftOut(missing)
  const directory = mkdtempSync(join(tmpdir(), "netfold-wire-"))
  try {
    const load = compileC(join(directory, "load"), join(import.meta.dir, "../client/load.c"))
    if (typeof load !== "string") return leftOut(load.why)
    const far = await openFar()
    try {
      return await Effect.runPromise(Effect.scoped(program(far, load, quick)))
    } finally {
      far.close()
    }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

bringUpLoopback()
console.log(JSON.stringify([await measured(readArguments(process.argv.slice(2)).quick)]))
process.exit(0)
