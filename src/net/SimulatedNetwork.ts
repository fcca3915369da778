import { Duration, Effect, type Scope } from "effect"
import { InvalidArgument } from "../runtime/errors.ts"
import { Stack, type StackService } from "../runtime/stack.ts"
import { Fabric, type LinkReport } from "../sim/network/fabric.ts"
import type { Observer } from "../sim/network/log.ts"
import { portMac } from "../sim/network/port.ts"
import { DEFAULT_MTU, type HostSpec, interfacesOf, type NetworkSpec, networkProblem } from "../sim/network/spec.ts"
import { Random } from "../wire/random.ts"
import { SimulatedDevice } from "./simulatedDevice.ts"
import { VirtualTime } from "./virtualTime.ts"

export type { LinkReport } from "../sim/network/fabric.ts"
export type { LogEvent, Observer } from "../sim/network/log.ts"
export type { HostSpec, InterfaceSpec, LinkSpec, NetworkSpec, SwitchSpec } from "../sim/network/spec.ts"
export type { BurstLoss, Impairment, Jitter, QueueSpec, Reorder } from "../wire/impairment/spec.ts"

/**
 * A network of stacks in virtual time, for programs that are to be tested on a network of one's choice:
 * every `Effect.sleep`, timeout and retransmission in it takes no time at all, and a seed always gives
 * the same run.
 *
 *     const program = Effect.gen(function* () {
 *       const network = yield* SimulatedNetwork.make({
 *         seed: 1,
 *         hosts: { client: { addresses: ["198.18.0.1/24"] }, server: { addresses: ["198.18.0.2/24"] } },
 *         links: [{ ends: ["client", "server"], there: { delay: 150_000, loss: 0.05 } }],
 *       })
 *       yield* Effect.forkScoped(network.on("server")(server))
 *       return yield* network.on("client")(client)
 *     })
 *
 * Delays and times of a link are microseconds, rates bits per second; see `Impairment`.
 */
export interface SimulatedNetwork<Host extends string> {
  readonly stacks: { readonly [name in Host]: StackService }
  /** Runs a program on a host's stack, in virtual time. */
  readonly on: (host: Host) => <A, E, R>(program: Effect.Effect<A, E, R>) => Effect.Effect<A, E, Exclude<R, Stack>>
  /** Runs a program in virtual time, on no stack in particular. */
  readonly inside: <A, E, R>(program: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Virtual time since the network was made. */
  readonly now: Effect.Effect<Duration.Duration>
  /** Takes a host or switch off its links; what is under way still arrives. */
  readonly cut: (node: string) => Effect.Effect<void>
  readonly join: (node: string) => Effect.Effect<void>
  /** What each direction of each link has done. */
  readonly links: Effect.Effect<ReadonlyArray<LinkReport>>
}

export interface Options {
  /** Told all frames that leave, arrive and are lost, in order. */
  readonly observers?: ReadonlyArray<Observer>
  /** How long the end of the scope waits for FINs to be acknowledged, by the wall clock. Default: 100 ms. */
  readonly closeGrace?: Duration.DurationInput
}

const SECRET = 32

export const make = <const Spec extends NetworkSpec>(
  spec: Spec,
  { observers = [], closeGrace = "100 millis" }: Options = {},
): Effect.Effect<SimulatedNetwork<keyof Spec["hosts"] & string>, InvalidArgument, Scope.Scope> =>
  Effect.gen(function* () {
    type Host = keyof Spec["hosts"] & string
    const problem = networkProblem(spec)
    if (problem !== undefined) return yield* new InvalidArgument({ argument: "network", reason: problem })
    const devices = new Map<string, ReadonlyArray<SimulatedDevice>>()
    const all: Array<SimulatedDevice> = []
    const time = new VirtualTime(() => all.some(({ isBusy }) => isBusy))
    const { schedule } = time
    const observe: Observer = (event) => {
      for (const one of observers) one(event)
    }
    const fabric = new Fabric(
      spec,
      schedule,
      (host, port, bytes, at) => {
        observe({ _tag: "Arrived", at, host, interface: port, bytes })
        devices.get(host)?.[port]?.arrive(bytes)
        time.touch()
      },
      observe,
    )
    // First, so that it goes on while the stacks close.
    yield* Effect.addFinalizer(() => Effect.sync(() => time.stop()))

    const hosts: Readonly<Record<string, HostSpec>> = spec.hosts
    const made = yield* Effect.forEach(Object.entries(hosts), ([host, given], index) => {
      const own = interfacesOf(given).map(({ mtu = DEFAULT_MTU }, port) => {
        const transmit = fabric.sender(host, port)
        const send = (bytes: Uint8Array): void => {
          observe({ _tag: "Sent", at: schedule.now, host, interface: port, bytes, why: "" })
          transmit(bytes, schedule.now)
          time.touch()
        }
        return new SimulatedDevice(`${host}.eth${port}`, portMac(index, port), mtu, send)
      })
      devices.set(host, own)
      all.push(...own)
      const random = new Random(spec.seed, index + 1)
      const stack = Stack.make({
        interfaces: interfacesOf(given).flatMap(({ addresses }, port) => {
          const device = own[port]
          return device === undefined ? [] : [{ device, addresses }]
        }),
        routes: given.routes ?? [],
        settings: given.settings ?? {},
        secret: Uint8Array.from({ length: SECRET }, () => random.below(256)),
        closeGrace,
        ...(given.makeHost === undefined ? {} : { makeHost: given.makeHost }),
      })
      return Effect.map(time.inside(stack), (service) => [host, service] as const)
    })
    const stacks = new Map<string, StackService>(made)
    const network: SimulatedNetwork<Host> = {
      stacks: Object.fromEntries(made) as { readonly [name in Host]: StackService },
      on: (host) => (program) => {
        const stack = stacks.get(host)
        if (stack === undefined) return Effect.die(new Error(`there is no host "${host}"`))
        return time.inside(Effect.provideService(program, Stack, stack))
      },
      inside: time.inside,
      now: Effect.sync(() => Duration.micros(BigInt(schedule.now))),
      cut: (node) => Effect.sync(() => fabric.cut(node)),
      join: (node) => Effect.sync(() => fabric.cut(node, false)),
      links: Effect.sync(() => fabric.reports()),
    }
    return network
  })
