/**
 * netfold on a TAP interface, serving echo 7, discard 9 and chargen 19 until it is told to stop:
 *
 *     bun server.ts INTERFACE ADDRESS/LENGTH KERNEL-ADDRESS offload|plain [watched] [cold] [busy]
 *
 * watched: it answers on standard input how late its event loop is (see delays.ts). cold: it does not warm up, and so has
 * nothing in its heap but what it uses. busy: it looks for frames for 50 ms before it sleeps.
 */
import { Effect } from "effect"
import { openTap } from "../../src/device/tap.ts"
import { chargen, discard, echo, serviceCounters } from "../../src/net/services.ts"
import * as Tcp from "../../src/net/Tcp.ts"
import * as WarmUp from "../../src/net/WarmUp.ts"
import { Stack } from "../../src/runtime/stack.ts"
import { answerDelays } from "../delays.ts"

const [name = "", address = "", kernelAddress = "", kind = "", ...flags] = process.argv.slice(2)
const watched = flags.includes("watched")
const busyPoll = flags.includes("busy") ? "50 millis" : 0

const program = Effect.gen(function* () {
  const kernel = Tcp.parseAddress(kernelAddress)
  if (kernel === undefined) return yield* Effect.dieMessage(`no address: ${kernelAddress}`)
  const addresses = [{ address: kernel, prefixLength: Number(address.split("/")[1]) }]
  const device = yield* openTap({ name, addresses, offload: kind === "offload" })
  const stack = yield* Stack.make({ interfaces: [{ device, addresses: [address] }], closeGrace: 0, busyPoll })
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
  if (!flags.includes("cold")) yield* Effect.provideService(WarmUp.run, Stack, stack)
  if (watched) answerDelays()
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
if (watched) process.exit(0)
