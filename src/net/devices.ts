import { Effect, type Scope } from "effect"
import type { Device } from "../device/device.ts"
import type { NetmapError, NetmapOptions } from "../device/netmap.ts"
import type { TapError, TapOptions } from "../device/tap.ts"

export type { MemoryOptions } from "../device/memory.ts"
export { memoryPair } from "../device/memory.ts"
export type { NetmapError, NetmapOptions } from "../device/netmap.ts"
export type { TapError, TapOptions } from "../device/tap.ts"

/**
 * A TAP or TUN interface of the kernel, until the end of the scope (Linux). The native library is loaded
 * by this call and not before, so that everything else works where there is none.
 */
export const openTap = (options: TapOptions = {}): Effect.Effect<Device, TapError, Scope.Scope> =>
  Effect.flatMap(
    Effect.promise(() => import("../device/tap.ts")),
    (tap) => tap.openTap(options),
  )

/** A netmap port, until the end of the scope. libnetmap is loaded by this call and not before. */
export const openNetmap = (options: NetmapOptions): Effect.Effect<Device, NetmapError, Scope.Scope> =>
  Effect.flatMap(
    Effect.promise(() => import("../device/netmap.ts")),
    (netmap) => netmap.openNetmap(options),
  )
