import type { NetmapOptions } from "../../device/netmap.ts"
import type { TapOptions } from "../../device/tap.ts"
import type { InterfaceAddress, RouteConfig } from "../../host/types.ts"
import type { TcpSettings } from "../../tcp/settings.ts"

/**
 * A device that several stacks can share: the queues of a TAP or TUN, or the rings of a netmap port. The kernel's threads
 * (`napi`) need processors too: by default there are none where the workers have them all.
 */
export type SharedDevice =
  | ({ readonly _tag: "Tap" } & Omit<TapOptions, "multiQueue" | "existing">)
  | ({ readonly _tag: "Netmap" } & NetmapOptions)

/** What a worker is told when it starts. All of it survives a structured clone. */
export interface Start {
  readonly _tag: "Start"
  readonly index: number
  readonly count: number
  readonly device: SharedDevice
  /** Its name and MAC as the first worker has found them; absent for the first. */
  readonly opened: { readonly name: string; readonly mac: number } | undefined
  readonly addresses: ReadonlyArray<InterfaceAddress | string>
  readonly routes: ReadonlyArray<RouteConfig>
  readonly dadTransmits: number | undefined
  readonly settings: Partial<TcpSettings>
  readonly secret: Uint8Array
  /** Of the siblings' common channel. */
  readonly channel: string
  readonly portRanges: ReadonlyArray<readonly [number, number]>
  /** URL of the application's module. */
  readonly application: string
  readonly input: unknown
  /** Milliseconds. */
  readonly busyPoll: number
  /** Milliseconds. */
  readonly closeGrace: number
}

export type ToWorker =
  | Start
  | { readonly _tag: "Ask"; readonly id: number }
  /** FINs for all connections; the queue stays. */
  | { readonly _tag: "Drain" }
  | { readonly _tag: "Close" }

export type FromWorker =
  | { readonly _tag: "Ready"; readonly name: string; readonly mac: number }
  | { readonly _tag: "Answer"; readonly id: number; readonly value: unknown }
  | { readonly _tag: "Drained" }
  | { readonly _tag: "Closed" }
  /** It could not start, or has ended by itself: one line for a person. */
  | { readonly _tag: "Failed"; readonly message: string }
