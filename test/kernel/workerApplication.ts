import { Effect, Predicate } from "effect"
import { echo, serviceCounters } from "../../src/net/services.ts"
import * as Tcp from "../../src/net/Tcp.ts"
import type { WorkerApplication } from "../../src/net/Workers.ts"

/** Echoes on port 7, and, where told to, on a connection to the kernel that it opens itself. */
const application: WorkerApplication = ({ index, count, input }) =>
  Effect.gen(function* () {
    const counters = serviceCounters()
    const listener = yield* Tcp.listen({ port: 7, noDelay: true })
    listener.onConnection(echo(counters))
    const dial = Predicate.hasProperty(input, "dial") && typeof input.dial === "number" ? input.dial : undefined
    let port = 0
    if (dial !== undefined) {
      const connection = yield* Tcp.connect({ host: "198.18.0.1", port: dial })
      port = connection.plain.local.port
      echo(counters)(connection.plain)
    }
    return () => ({ index, count, port, ...counters })
  })

export default application
