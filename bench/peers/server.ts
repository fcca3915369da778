/**
 * netfold on a TAP interface, serving echo 7, discard 9 and chargen 19 until it is told to stop:
 *
 *     bun server.ts INTERFACE ADDRESS/LENGTH KERNEL-ADDRESS offload|plain [watched]
 *
 * watched: it answers on standard input how late its event loop is (see delays.ts).
 */
import { Effect } from "effect"
import { openTap } from "../../src/device/tap.ts"
import { chargen, discard, echo, serviceCounters } from "../../src/net/services.ts"
import * as Tcp from "../../src/net/Tcp.ts"
import { Stack } from "../../src/runtime/stack.ts"
import { answerDelays } from "../delays.ts"

const [name = "", address = "", kernelAddress = "", kind = "", watched] = process.argv.slice(2)

const program = Effect.gen(function* () {
  const kernel = Tcp.parseAddress(kernelAddress)
  if (kernel === undefined) return yield* Effect.dieMessage(`no address: ${kernelAddress}`)
  const addresses = [{ address: kernel, prefixLength: Number(address.split("/")[1]) }]
  const device = yield* openTap({ name, addresses, offload: kind === "offload" })
  const stack = yield* Stack.make({ interfaces: [{ device, addresses: [address] }], closeGrace: 0 })
  const counters = serviceCounters()
  const services = [
    [7, echo(counters)],
    [9, discard(counters)],
    [19, chargen(counters)],
  ] as const
  for (const [port, service] of services) {
    const listener = yield* Tcp.listen({ port, noDelay: true }).pipe(Effect.provideService(Stack, stack))
    listener.onConnection(service)
  }
  if (watched !== undefined) answerDelays()
  console.log("ready")
  return yield* Effect.raceFirst(stack.failure, stopped)
})

const stopped = Effect.async<void>((resume) => {
  process.once("SIGTERM", () => resume(Effect.void))
})

// A sleeping stack does not keep a process alive.
const alive = setInterval(() => {}, 2 ** 30)
await Effect.runPromise(Effect.scoped(program))
clearInterval(alive)
if (watched !== undefined) process.exit(0)
