import { Effect } from "effect"
import { memoryPair } from "../device/memory.ts"
import { echo, type ServiceCounters, serviceCounters } from "../net/services.ts"
import { connectPlain } from "../net/Tcp.ts"
import { Stack, type StackService } from "../runtime/stack.ts"
import { kernelListener } from "./kernelListener.ts"
import { ECHO_PORT, serve, serviceSettings } from "./services.ts"
import { behind, offloads, type Wire } from "./wire.ts"

const CLIENT = "198.18.0.1/24"
const SERVER = "198.18.0.2"

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
    const settings = yield* serviceSettings
    const offload = offloads(wire)
    const names = ["client", "server"] as const
    const [near, far] = memoryPair({ checksumOffload: offload, segmentationOffload: offload, names })
    const server = yield* Stack.make({ interfaces: [{ device: far, addresses: [`${SERVER}/24`] }], settings })
    const client = yield* Stack.make({
      interfaces: [{ device: yield* behind(wire, near), addresses: [CLIENT] }],
      settings,
    })
    const counters = serviceCounters()
    yield* serve(server, allPorts ? "every" : ECHO_PORT, echo(counters))
    const listening = yield* kernelListener(hostname, port, (handlers) =>
      connectPlain(client, { host: SERVER, port: ECHO_PORT, noDelay: true }, handlers),
    )
    return { counters, server, client, port: listening } satisfies MemoryEcho
  })
