/**
 * Tests of netmap run against the shim, which is compiled for them, and unchanged against the kernel's netmap
 * wherever there is one. Where neither is to be had, every case is skipped, and the suite's name says why.
 */
import { describe, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, type Scope } from "effect"
import { loadNetmap, netmapLibraryPath, netmapModuleLoaded } from "../../ffi/netmap.ts"
import type { Device } from "../../src/device/device.ts"
import { type NetmapError, type NetmapOptions, openNetmap } from "../../src/device/netmap.ts"
import { compiler, openShim, type Shim, shimLibrary } from "./shim/build.ts"

export interface Universe {
  /** Path of libnetmap. */
  readonly library: string
  /** Absent with the real module. */
  readonly shim: Shim | undefined
  /** What child processes need to see the same ports. */
  readonly env: Readonly<Record<string, string>>
  readonly open: (options: NetmapOptions | string) => Effect.Effect<Device, NetmapError, Scope.Scope>
}

export type NetmapTest = (name: string, body: (universe: Universe) => void | Promise<void>, millis?: number) => void

const opening =
  (library: string) =>
  (options: NetmapOptions | string): Effect.Effect<Device, NetmapError, Scope.Scope> =>
    openNetmap({ library, ...(typeof options === "string" ? { port: options } : options) })

/** Runs a body in ports of its own, of which nothing is left. */
export const withShim = async (library: string, body: (universe: Universe) => void | Promise<void>): Promise<void> => {
  const shim = openShim(library)
  const directory = mkdtempSync(join(tmpdir(), "netfold-netmap-"))
  shim.directory(directory)
  try {
    const env = { NETFOLD_SHIM_DIR: directory, NETFOLD_LIBNETMAP: library }
    await body({ library, shim, env, open: opening(library) })
  } finally {
    rmSync(directory, { recursive: true })
  }
}

const realLibrary = (): string | undefined => {
  if (!netmapModuleLoaded()) return undefined
  try {
    loadNetmap()
    return netmapLibraryPath()
  } catch {
    return undefined
  }
}

/** `shimOnly`: what the kernel's netmap has no interface for (a wire between two of its own) or cannot be asked to do. */
export const netmapSuite = (
  title: string,
  define: (test: NetmapTest) => void,
  { shimOnly = false }: { readonly shimOnly?: boolean } = {},
): void => {
  const cc = compiler()
  if (cc === undefined) {
    describe.skip(`${title}, shim (skipped: no C compiler)`, () => define((name) => test(name, () => {})))
  } else {
    describe(`${title}, shim`, () =>
      define((name, body, millis) => test(name, () => withShim(shimLibrary(cc), body), millis)))
  }
  const library = shimOnly ? undefined : realLibrary()
  if (library === undefined) return
  const universe: Universe = {
    library,
    shim: undefined,
    env: { NETFOLD_LIBNETMAP: library },
    open: opening(library),
  }
  describe(`${title}, kernel`, () => define((name, body, millis) => test(name, async () => body(universe), millis)))
}

/** Runs an effect with its scope, and throws the error itself. */
export const scoped = <A, E>(effect: Effect.Effect<A, E, Scope.Scope>): Promise<A> =>
  Effect.runPromise(Effect.scoped(effect))
