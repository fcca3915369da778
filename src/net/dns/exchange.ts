import { Chunk, Effect, Option, type Scope } from "effect"
import { Stack, type StackService } from "../../runtime/stack.ts"
import type { Endpoint } from "../../wire/address.ts"
import { getU16, setU16 } from "../../wire/bytes.ts"
import { opened } from "../connect.ts"
import type { Connection } from "../connection.ts"
import * as Udp from "../Udp.ts"
import type { Exchange, ExchangeFailed } from "./resolver.ts"

const failed = (error: { readonly message: string }): ExchangeFailed => ({ why: error.message })

/** Questions over the stack's own sockets. Each has a port of its own, which nobody can guess (RFC 5452 section 9.2). */
export const exchangeOver = (stack: StackService): Exchange => ({
  udp: (server, message, accepts) =>
    Effect.scoped(
      Effect.gen(function* () {
        const socket = yield* Udp.connect({ host: server.address, port: server.port })
        yield* socket.send(message)
        for (;;) {
          const { payload } = yield* socket.receive
          // Somebody else's, or a late one: the answer may still come.
          if (accepts(payload)) return payload
        }
      }),
    ).pipe(Effect.provideService(Stack, stack), Effect.mapError(failed)),
  tcp: (server, message) =>
    Effect.scoped(
      Effect.gen(function* () {
        const connection = yield* connected(stack, server)
        yield* Effect.mapError(connection.write(lengthed(message)), failed)
        return yield* lengthedAnswer(connection)
      }),
    ),
})

const connected = (
  stack: StackService,
  { address, port }: Endpoint,
): Effect.Effect<Connection, ExchangeFailed, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.interruptible(Effect.mapError(opened(stack, { host: address, port }), failed)),
    ({ close }) => close,
  )

/** RFC 1035 section 4.2.2: two octets of length before the message. */
const lengthed = (message: Uint8Array): Uint8Array => {
  const out = new Uint8Array(2 + message.length)
  setU16(out, 0, message.length)
  out.set(message, 2)
  return out
}

const lengthedAnswer = (connection: Connection): Effect.Effect<Uint8Array, ExchangeFailed> =>
  Effect.gen(function* () {
    let parts = Chunk.empty<Uint8Array>()
    for (;;) {
      const next = yield* Effect.mapError(connection.read, failed)
      if (Option.isNone(next)) return yield* Effect.fail({ why: "the server closed the connection before its answer" })
      parts = Chunk.append(parts, next.value)
      const bytes = new Uint8Array(Buffer.concat([...parts]))
      if (bytes.length >= 2 && bytes.length >= 2 + getU16(bytes, 0)) return bytes.slice(2, 2 + getU16(bytes, 0))
    }
  })
