import { Effect, type Scope } from "effect"
import type { Device } from "../../src/device/device.ts"
import { type MemoryOptions, memoryPair } from "../../src/device/memory.ts"
import type { InvalidArgument } from "../../src/runtime/errors.ts"
import { Stack, type StackInterface, type StackOptions, type StackService } from "../../src/runtime/stack.ts"

export const SERVER = "10.0.0.1"
export const CLIENT = "10.0.0.2"

export interface Pair {
  readonly server: StackService
  readonly client: StackService
  /** The server's device, then the client's. */
  readonly devices: readonly [Device, Device]
}

/** Two stacks joined by a memory wire, until the scope ends. */
export const pair = (
  settings: StackOptions["settings"] = {},
  wire: MemoryOptions = { segmentationOffload: true, checksumOffload: true },
  more: Partial<StackOptions> = {},
  network: Partial<StackInterface> = {},
): Effect.Effect<Pair, InvalidArgument, Scope.Scope> =>
  Effect.gen(function* () {
    const devices = memoryPair(wire)
    const make = (device: Device, address: string) =>
      Stack.make({
        interfaces: [{ device, addresses: [`${address}/24`], ...network }],
        settings: { ipUnprivilegedPortStart: 0, ...settings },
        closeGrace: "200 millis",
        ...more,
      })
    const server = yield* make(devices[0], SERVER)
    const client = yield* make(devices[1], CLIENT)
    return { server, client, devices }
  })

/** Runs an effect on one of the stacks. */
export const on =
  (stack: StackService) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, Exclude<R, Stack>> =>
    Effect.provideService(effect, Stack, stack)

export const run = <A, E>(effect: Effect.Effect<A, E, Scope.Scope>): Promise<A> =>
  Effect.runPromise(Effect.scoped(effect))

export const text = (value: string): Uint8Array => new TextEncoder().encode(value)
export const string = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

/** Octets that tell a wrong order from a right one. */
export const pattern = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 8)) & 0xff)

export const concat = (chunks: Iterable<Uint8Array>): Uint8Array => {
  const list = [...chunks]
  const out = new Uint8Array(list.reduce((n, { length }) => n + length, 0))
  let at = 0
  for (const chunk of list) {
    out.set(chunk, at)
    at += chunk.length
  }
  return out
}

/** Lets the stacks work until nothing moves any more: no waiting on the wall clock. */
export const settle = (rounds = 200): Effect.Effect<void> =>
  Effect.promise(async () => {
    for (let i = 0; i < rounds; i++) await new Promise((resolve) => setImmediate(resolve))
  })
