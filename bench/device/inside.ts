/** Runs in a network namespace of its own (see sections.ts) and prints its sections as JSON. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, type Scope } from "effect"
import { getuid } from "../../ffi/libc.ts"
import { loadNetmap, netmapLibraryPath, netmapModuleLoaded } from "../../ffi/netmap.ts"
import { type Device, NO_OFFLOAD } from "../../src/device/device.ts"
import { memoryPair } from "../../src/device/memory.ts"
import { openNetmap } from "../../src/device/netmap.ts"
import { openTap } from "../../src/device/tap.ts"
import { ipv4 } from "../../src/wire/address.ts"
import { compiler, openShim, shimLibrary } from "../../test/device/shim/build.ts"
import { readArguments } from "../arguments.ts"
import { type Case, measure } from "../measure.ts"
import { progress } from "../progress.ts"
import type { Section } from "../report.ts"
import { drain, FRAMES, frameFor, SIZES } from "./frames.ts"
import { closeTaps, tapCases } from "./taps.ts"
import { wireCases } from "./wires.ts"

const leftOut: Array<string> = []
/** A hundred cases, each of which has as much to prepare as to do. */
const THOROUGH = { samples: 9, sampleMillis: 12, warmUpMillis: 100 }
const BRIEF = { samples: 3, sampleMillis: 4, warmUpMillis: 30 }
type Cases = Effect.Effect<ReadonlyArray<Case>, unknown, Scope.Scope>

const onTaps = (offload: boolean): Cases =>
  Effect.gen(function* () {
    const line = offload ? "TAP, virtio header" : "TAP"
    const devices = new Map<number, { readonly device: Device; readonly net: number }>()
    const all: Array<Case> = []
    for (const [length, mtu] of SIZES) {
      const net = 10 + devices.size + (offload ? 10 : 0)
      const known = devices.get(mtu)
      const addresses = [{ address: ipv4(0xc6120001 + net * 256), prefixLength: 24 }]
      const made = known ?? { device: yield* openTap({ mtu, offload, napi: false, name: "bench%d", addresses }), net }
      devices.set(mtu, made)
      // The kernel is not to ask whether we are still there.
      writeFileSync(`/proc/sys/net/ipv4/neigh/${made.device.name}/delay_first_probe_time`, "3600")
      all.push(...tapCases(line, made.device, made.net, length))
      if (known === undefined && all.length > 0 && mtu === 1500 && !offload) all.unshift(...callCases(made.device))
    }
    return all
  })

const ignore = (): void => {}

/** What a call costs that does nothing. */
const callCases = (tap: Device): ReadonlyArray<Case> => [
  {
    name: "the least system call: getuid",
    per: "call",
    garbage: 16,
    run: () => {
      for (let n = 0; n < FRAMES; n++) getuid()
      return FRAMES
    },
  },
  {
    name: "TAP: receive, nothing waiting",
    per: "call",
    garbage: 16,
    prepare: () => drain(tap),
    run: () => {
      for (let n = 0; n < FRAMES; n++) tap.receive(ignore, 1)
      return FRAMES
    },
  },
]

const onMemory: Cases = Effect.sync(() =>
  SIZES.flatMap(([length, mtu]) => {
    const [near, far] = memoryPair({ mtu })
    return wireCases("memory", near, far, length)
  }),
)

/** The kernel's netmap where there is one, else the shim of the tests, which does its switching in our own time. */
const netmap = (): { readonly line: string; readonly library: string } | undefined => {
  if (netmapModuleLoaded()) {
    try {
      loadNetmap()
      return { line: "netmap, VALE", library: netmapLibraryPath() }
    } catch (cause) {
      leftOut.push(`the kernel's netmap: ${String(cause)}`)
    }
  }
  const cc = compiler()
  if (cc !== undefined) return { line: "netmap, shim", library: shimLibrary(cc) }
  leftOut.push("netmap: neither a kernel module nor a C compiler for the shim")
  return undefined
}

const onNetmap: Cases = Effect.gen(function* () {
  const found = netmap()
  if (found === undefined) return []
  const { line, library } = found
  if (line.includes("shim")) {
    const directory = mkdtempSync(join(tmpdir(), "netfold-bench-"))
    openShim(library).directory(directory)
    yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(directory, { recursive: true })))
  }
  const all: Array<Case> = []
  for (const [index, [length, mtu]] of SIZES.entries()) {
    // A frame of 64 KiB has 32 slots: a ring of 1024 would hold 31 of them.
    const slots = length * FRAMES > 1_000_000 ? "@conf:slots=16384" : ""
    const near = yield* openNetmap({ port: `valebench${index}:a${slots}`, library, mtu })
    const far = yield* openNetmap({ port: `valebench${index}:b${slots}`, library, mtu })
    if (index === 0) all.push(...slotCases(line, near, far))
    all.push(...wireCases(line, near, far, length))
  }
  return all
})

const slotCases = (line: string, near: Device, far: Device): ReadonlyArray<Case> => {
  const frame = frameFor(far.mac, near.mac, 64)
  return [
    {
      name: `${line}: receive, nothing waiting`,
      per: "call",
      garbage: 16,
      prepare: () => drain(far),
      run: () => {
        for (let n = 0; n < FRAMES; n++) far.receive(ignore, 1)
        return FRAMES
      },
    },
    {
      name: `${line}: fill a slot of 64 octets, no call`,
      per: "frame",
      octets: 64,
      garbage: 16,
      prepare: () => {
        near.flush()
        drain(far)
      },
      run: () => {
        for (let n = 0; n < FRAMES; n++) {
          near.reserve(64)?.set(frame)
          near.commit(64, NO_OFFLOAD)
        }
        return FRAMES
      },
    },
  ]
}

const main = Effect.scoped(
  Effect.gen(function* () {
    const { quick, only } = readArguments(process.argv.slice(2))
    // An interface's own announcements would be among the frames.
    writeFileSync("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1")
    const groups = [yield* onTaps(false), yield* onTaps(true), yield* onMemory, yield* onNetmap]
    const cases = groups.flat().filter(({ name }) => name.includes(only))
    const costs = measure(cases, quick ? BRIEF : THOROUGH, progress)
    closeTaps()
    const section: Section = {
      title: "Devices",
      method: `Processor time of the thread; ${FRAMES} frames at once where nothing else is said. write: a copy into transmit memory, and what it takes to be rid of it (a TAP's write(2) lasts until the kernel has received the frame and thrown it away). read: frames that wait already. round trip: there and back; from a TAP the kernel's answer to a ping.`,
      costs,
      leftOut,
    }
    console.log(JSON.stringify([section]))
  }),
)

await Effect.runPromise(main)
