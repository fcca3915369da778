import { Effect } from "effect"
import { memoryPair } from "../device/memory.ts"
import { connectPlain } from "../net/Tcp.ts"
import { Stack } from "../runtime/stack.ts"
import { kernelListener } from "./kernelListener.ts"
import { serviceSettings } from "./services.ts"
import { behind, offloads, type Wire } from "./wire.ts"

const CLIENT = "198.18.0.1/24"
const SERVER = "198.18.0.2"

/** Two stacks on a memory wire; `reachable` opens a kernel socket whose connections go over it to a port of the server. */
export const memoryStacks = (wire: Wire) =>
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
    const reachable = (hostname: string, kernelPort: number, port: number) =>
      kernelListener(hostname, kernelPort, (handlers) =>
        connectPlain(client, { host: SERVER, port, noDelay: true }, handlers),
      )
    return { server, client, reachable }
  })
