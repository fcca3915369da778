import { Effect } from "effect"
import { echo, type ServiceCounters, serviceCounters } from "../net/services.ts"
import type { StackService } from "../runtime/stack.ts"
import { memoryStacks } from "./memoryStacks.ts"
import { ECHO_PORT, serve } from "./services.ts"
import type { Wire } from "./wire.ts"

export interface MemoryEcho {
  readonly counters: ServiceCounters
  readonly server: StackService
  readonly client: StackService
  /** What the kernel's socket got. */
  readonly port: number
}

/**
 * The echo service on a stack, a second stack joined to it by a memory wire, and a kernel socket
 * whose connections are carried over that wire, each as one TCP connection of ours.
 */
export const memoryEcho = (hostname: string, port: number, allPorts: boolean, wire: Wire) =>
  Effect.gen(function* () {
    const { server, client, reachable } = yield* memoryStacks(wire)
    const counters = serviceCounters()
    yield* serve(server, allPorts ? "every" : ECHO_PORT, echo(counters))
    const listening = yield* reachable(hostname, port, ECHO_PORT)
    return { counters, server, client, port: listening } satisfies MemoryEcho
  })
