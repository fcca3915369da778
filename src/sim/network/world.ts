import type { Micros } from "../../wire/time.ts"
import { OFF } from "../../wire/time.ts"
import { Fabric } from "./fabric.ts"
import type { Observer } from "./log.ts"
import { Machine } from "./machine.ts"
import { Schedule } from "./schedule.ts"
import { type NetworkSpec, networkProblem } from "./spec.ts"

export class BadNetwork extends Error {}

/**
 * A network in virtual time: hosts with applications, links, switches. The spec, its seed and the
 * applications decide everything that happens.
 *
 *     const world = new World({ seed: 1, hosts: { a: ..., b: ... }, links: [{ ends: ["a", "b"], there: ... }] })
 *     const received = sink(world.machine("b"), 9)
 *     bulk(world.machine("a"), { to: ..., octets: 1_000_000 })
 *     world.run()
 */
export class World {
  readonly schedule = new Schedule()
  readonly fabric: Fabric
  private readonly machines: ReadonlyMap<string, Machine>

  /** `observers` are told all that happens, in order. */
  constructor(spec: NetworkSpec, observers: ReadonlyArray<Observer> = []) {
    const problem = networkProblem(spec)
    if (problem !== undefined) throw new BadNetwork(problem)
    const { schedule } = this
    const observe = together(observers)
    this.fabric = new Fabric(
      spec,
      schedule,
      (host, port, bytes, now, corrupted) => machines.get(host)?.receive(port, bytes, now, corrupted),
      observe ?? (() => {}),
    )
    const machines = new Map(
      Object.entries(spec.hosts).map(([name, host], index) => {
        const link = (port: number): ((bytes: Uint8Array, why: string) => void) => {
          const send = this.fabric.sender(name, port)
          return (bytes, why) => {
            const at = schedule.now
            observe?.({ _tag: "Sent", at, host: name, interface: port, bytes, why })
            send(bytes, at)
          }
        }
        return [name, new Machine(name, index, host, spec.seed, schedule, link, observe)] as const
      }),
    )
    this.machines = machines
  }

  get now(): Micros {
    return this.schedule.now
  }

  machine(name: string): Machine {
    const machine = this.machines.get(name)
    if (machine === undefined) throw new BadNetwork(`there is no host "${name}"`)
    return machine
  }

  /** Something else that happens. */
  at(time: Micros, call: () => void): void {
    this.schedule.at(time, call)
  }

  /** Until nothing is left to happen, or to the end of `until`. Says whether something is left. */
  run(until: Micros = Number.POSITIVE_INFINITY): boolean {
    const { schedule } = this
    for (;;) {
      const next = schedule.next()
      if (next === OFF) return false
      if (next > until) {
        schedule.runDue(until)
        return true
      }
      schedule.runDue(next)
    }
  }

  /** Connections that can never move again: nothing is armed or under way, and data waits. */
  stuck(): ReadonlyArray<string> {
    if (this.schedule.next() !== OFF || this.fabric.inFlight > 0) return []
    return [...this.machines.values()].flatMap(({ name, host }) =>
      host
        .sockets()
        .filter(({ state, sendQ }) => state !== "LISTEN" && state !== "CLOSED" && sendQ > 0)
        .map(({ state, sendQ }) => `${name}: ${sendQ} octets wait in ${state}`),
    )
  }
}

const together = (observers: ReadonlyArray<Observer>): Observer | undefined => {
  const [only] = observers
  if (observers.length <= 1) return only
  return (event) => {
    for (const observe of observers) observe(event)
  }
}
