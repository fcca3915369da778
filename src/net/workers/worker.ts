/** The thread of one of the stacks that Workers.ts starts: opens its queue, runs a stack on it and the application on that. */
import { availableParallelism } from "node:os"
import { Cause, Effect, Exit, Scope } from "effect"
import type { Device } from "../../device/device.ts"
import { checkedMac } from "../../device/mac.ts"
import { type NetmapError, openNetmap } from "../../device/netmap.ts"
import { type PassedFrame, type SiblingChannel, sibling } from "../../device/siblings.ts"
import { openTap, type TapError } from "../../device/tap.ts"
import { Stack } from "../../runtime/stack.ts"
import type { WorkerApplication } from "../Workers.ts"
import type { FromWorker, Start, ToWorker } from "./protocol.ts"

declare const self: Worker

const say = (message: FromWorker): void => postMessage(message)

const fail = (cause: Cause.Cause<unknown>): void => {
  const error = Cause.squash(cause)
  say({ _tag: "Failed", message: error instanceof Error ? error.message : String(error) })
}

/** The queue's own scope ends after the stack's: the siblings' hash must not change while one of them still talks. */
const queue = Effect.runSync(Scope.make())
const stack = Effect.runSync(Scope.make())
let snapshot: () => unknown = () => undefined

const open = ({ device, index, count, opened }: Start): Effect.Effect<Device, TapError | NetmapError, Scope.Scope> => {
  const mac = opened === undefined ? {} : { mac: checkedMac(opened.mac) }
  switch (device._tag) {
    case "Tap": {
      const { _tag, ...options } = device
      const name = opened === undefined ? {} : { name: opened.name, existing: true }
      const ip = options.layer === "ip"
      const napi = availableParallelism() > count
      return openTap({ napi, ...options, ...(ip ? {} : mac), ...name, multiQueue: true })
    }
    case "Netmap": {
      const { _tag, port, ...options } = device
      // One ring of the port, before its options.
      return openNetmap({ ...options, ...mac, port: port.replace(/(?=[/@])|$/, `-${index}`) })
    }
  }
}

const channelOf = (name: string): SiblingChannel => {
  const channel = new BroadcastChannel(name)
  channel.unref()
  return {
    post: (frame) => channel.postMessage(frame),
    listen: (onFrame) => {
      channel.onmessage = ({ data }) => {
        const frame: PassedFrame = data
        onFrame(frame)
      }
    },
  }
}

const applicationOf = (url: string): Effect.Effect<WorkerApplication> =>
  Effect.promise(async () => (await import(url)).default)

const start = (given: Start) =>
  Effect.gen(function* () {
    const { index, portRanges } = given
    const device: Device = yield* open(given).pipe(Scope.extend(queue))
    const service = yield* Stack.make({
      interfaces: [
        {
          device: sibling(device, { index, portRanges, channel: channelOf(given.channel) }),
          addresses: given.addresses,
          ...(given.dadTransmits === undefined ? {} : { dadTransmits: given.dadTransmits }),
        },
      ],
      routes: given.routes,
      settings: { ...given.settings, ipLocalPortRange: portRanges[index] ?? [0, 0] },
      secret: given.secret,
      busyPoll: given.busyPoll,
      closeGrace: given.closeGrace,
    }).pipe(Scope.extend(stack))
    const application = yield* applicationOf(given.application)
    snapshot = yield* application({ index, count: given.count, input: given.input }).pipe(
      Effect.provideService(Stack, service),
      Scope.extend(stack),
    )
    yield* Effect.forkIn(
      Effect.catchAllCause(service.failure, (cause) => Effect.sync(() => fail(cause))),
      stack,
    )
    say({ _tag: "Ready", name: device.name, mac: device.mac })
  })

const run = (effect: Effect.Effect<void, unknown>): void => {
  Effect.runPromiseExit(effect).then((exit) => {
    if (Exit.isFailure(exit)) fail(exit.cause)
  })
}

self.onmessage = ({ data }: MessageEvent<ToWorker>) => {
  switch (data._tag) {
    case "Start":
      return run(start(data))
    case "Ask":
      return say({ _tag: "Answer", id: data.id, value: snapshot() })
    case "Drain":
      return run(
        Effect.zipRight(
          Scope.close(stack, Exit.void),
          Effect.sync(() => say({ _tag: "Drained" })),
        ),
      )
    case "Close":
      return run(
        Effect.zipRight(
          Scope.close(queue, Exit.void),
          Effect.sync(() => say({ _tag: "Closed" })),
        ),
      )
  }
}
