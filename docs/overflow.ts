/**
 * A listener whose application never accepts, and more clients than fit: `bun docs/overflow.ts`, then
 * look at it with `netfold ss` and `netfold nstat` from another terminal. Ctrl-C ends it.
 */
import { Effect } from "effect"
import { impaired } from "../src/device/impair.ts"
import { memoryPair, Stack, Tcp } from "../src/index.ts"
import * as ControlSocket from "../src/net/ControlSocket.ts"
import { PERFECT } from "../src/wire/impairment/spec.ts"

const PORT = 80
const BACKLOG = 4
/** Those who find room, and those who come together after them. */
const CLIENTS = [3, 5]
/** A far wire: SYNs that leave together arrive before the first of their ACKs. */
const DELAY = { ...PERFECT, delay: 20_000 }

const program = Effect.gen(function* () {
  const [near, far] = memoryPair()
  const wire = yield* impaired(far, { outgoing: DELAY, incoming: DELAY, seed: 1 })
  const client = yield* Stack.make({ interfaces: [{ device: near, addresses: ["198.18.0.1/24"] }] })
  const server = yield* Stack.make({ interfaces: [{ device: wire, addresses: ["198.18.0.2/24"] }] })
  yield* ControlSocket.open({ name: "overflow", stacks: { server, client } })
  yield* Tcp.listen({ port: PORT, backlog: BACKLOG }).pipe(Effect.provideService(Stack, server))
  for (const count of CLIENTS) {
    yield* Effect.forEach(
      Array.from({ length: count }),
      () => Effect.fork(Effect.provideService(Tcp.connect({ host: "198.18.0.2", port: PORT }), Stack, client)),
      { discard: true },
    )
    yield* Effect.sleep("200 millis")
  }
  const clients = CLIENTS.reduce((sum, count) => sum + count)
  console.log(`${clients} clients, backlog ${BACKLOG}, and nobody who accepts. Try: netfold ss -ltn`)
  yield* Effect.never
})

await Effect.runPromise(Effect.scoped(program))
