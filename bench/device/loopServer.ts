/**
 * netfold on a TAP with offload, serving echo 7, discard 9 and chargen 19, that keeps an eye on its own event loop:
 *
 *     bun loopServer.ts INTERFACE ADDRESS/LENGTH KERNEL-ADDRESS
 *
 * A line on standard input asks for the delays since the last one; the answer is a line of JSON, in milliseconds.
 */
import { Effect } from "effect"
import { openTap } from "../../src/device/tap.ts"
import { chargen, discard, echo, serviceCounters } from "../../src/net/services.ts"
import * as Tcp from "../../src/net/Tcp.ts"
import { Stack } from "../../src/runtime/stack.ts"
import { quantile } from "../measure.ts"

const [name = "", address = "", kernelAddress = ""] = process.argv.slice(2)
/** How often the application has something to do of its own, milliseconds. */
const PERIOD = 2

const delays: Array<number> = []

/** What an application's own timer is late by. */
const sample = (): void => {
  const due = performance.now() + PERIOD
  setTimeout(() => {
    delays.push(performance.now() - due)
    if (watching) sample()
  }, PERIOD)
}
let watching = false

const answer = (line: string): void => {
  if (line === "watch") {
    watching = true
    delays.length = 0
    sample()
    return
  }
  watching = false
  const sorted = delays.toSorted((x, y) => x - y)
  console.log(
    JSON.stringify({
      samples: sorted.length,
      median: quantile(sorted, 0.5),
      p99: quantile(sorted, 0.99),
      max: sorted.at(-1) ?? 0,
    }),
  )
}

const program = Effect.gen(function* () {
  const kernel = Tcp.parseAddress(kernelAddress)
  if (kernel === undefined) return yield* Effect.dieMessage(`no address: ${kernelAddress}`)
  const addresses = [{ address: kernel, prefixLength: Number(address.split("/")[1]) }]
  const device = yield* openTap({ name, addresses, offload: true })
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
  console.log("ready")
  return yield* Effect.raceFirst(stack.failure, stopped)
})

const stopped = Effect.async<void>((resume) => {
  process.once("SIGTERM", () => resume(Effect.void))
})

process.stdin.setEncoding("utf8")
process.stdin.on("data", (text: string) => {
  for (const line of text.split("\n").filter(Boolean)) answer(line)
})
await Effect.runPromise(Effect.scoped(program))
process.exit(0)
