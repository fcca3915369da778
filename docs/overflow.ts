/**
 * A listener whose application never accepts, and more clients than fit: `bun docs/overflow.ts`, then
 * look at it with `netfold ss` and `netfold nstat` from another terminal. Ctrl-C ends it.
 */
import { Effect } from "effect"
import { memoryPair, Stack, Tcp } from "../src/index.ts"
import * as ControlSocket from "../src/net/ControlSocket.ts"

const PORT = 80
const BACKLOG = 4
const CLIENTS = 8

const program = Effect.gen(function* () {
  const [near, far] = memoryPair()
  const client = yield* Stack.make({ interfaces: [{ device: near, addresses: ["198.18.0.1/24"] }] })
  const server = yield* Stack.make({ interfaces: [{ device: far, addresses: ["198.18.0.2/24"] }] })
  yield* ControlSocket.open({ name: "overflow", stacks: { server, client } })
  yield* Tcp.listen({ port: PORT, backlog: BACKLOG }).pipe(Effect.provideService(Stack, server))
  yield* Effect.forEach(
    Array.from({ length: CLIENTS }),
    () => Effect.fork(Effect.provideService(Tcp.connect({ host: "198.18.0.2", port: PORT }), Stack, client)),
    { discard: true },
  )
  console.log(`${CLIENTS} clients, backlog ${BACKLOG}, and nobody who accepts. Try: netfold ss -ltn`)
  yield* Effect.never
})

await Effect.runPromise(Effect.scoped(program))
