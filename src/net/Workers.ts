import { Data, Deferred, Duration, Effect, type Scope } from "effect"
import type { InterfaceAddress, RouteConfig } from "../host/types.ts"
import { InvalidArgument } from "../runtime/errors.ts"
import type { Stack } from "../runtime/stack.ts"
import { defaultSettings, type TcpSettings } from "../tcp/settings.ts"
import type { FromWorker, SharedDevice, Start, ToWorker } from "./workers/protocol.ts"

export type { SharedDevice } from "./workers/protocol.ts"

/** What an application learns of its worker. */
export interface WorkerContext {
  /** From 0. */
  readonly index: number
  readonly count: number
  /** As it was given to `Workers.make`, cloned. */
  readonly input: unknown
}

/**
 * The default export of an application's module: it listens on its worker's stack, as it would on any. What it
 * returns makes a snapshot for `WorkersService.ask`, of anything that can be cloned.
 */
export type WorkerApplication = (context: WorkerContext) => Effect.Effect<() => unknown, unknown, Stack | Scope.Scope>

export interface WorkersOptions {
  /** Stacks, each on a thread and a queue of its own: 1 to 64. */
  readonly count: number
  readonly device: SharedDevice
  /** The addresses that all the stacks have in common. */
  readonly addresses: ReadonlyArray<InterfaceAddress | string>
  readonly routes?: ReadonlyArray<RouteConfig>
  /** As in `StackInterface`: how often to ask whether somebody else has an IPv6 address before it is used. Default 1. */
  readonly dadTransmits?: number
  readonly settings?: Partial<TcpSettings>
  /** The module that each worker runs, as `new URL("./server.ts", import.meta.url)`. */
  readonly application: URL | string
  readonly input?: unknown
  /** As in `StackOptions`: how long each stack looks for the next frame before it sleeps. Default: none. */
  readonly busyPoll?: Duration.DurationInput
  /** How long the end of the scope waits for peers to acknowledge the FINs. Default: 1 second. */
  readonly closeGrace?: Duration.DurationInput
}

export interface WorkersService {
  /** As the system calls the device. */
  readonly device: string
  readonly count: number
  /** Every worker's snapshot, in their order. */
  readonly ask: Effect.Effect<ReadonlyArray<unknown>, WorkerFailed>
  /** Never succeeds; fails when a worker has ended by itself. */
  readonly failure: Effect.Effect<never, WorkerFailed>
}

/** A worker could not start, or has ended by itself. */
export class WorkerFailed extends Data.TaggedError("WorkerFailed")<{
  readonly worker: number
  readonly message: string
}> {}

const MAX_WORKERS = 64
const DEFAULT_CLOSE_GRACE: Duration.DurationInput = "1 second"
const SECRET_LENGTH = 32

/**
 * One server on several threads: `count` stacks with the same addresses, each on a queue of the same device. The
 * kernel (or the NIC) spreads connections over the queues by a hash of their addresses and ports, and each
 * is served by the stack at whose queue it arrives. What one stack learns of a neighbour, all learn, and a
 * connection that one of them opens comes back to it (see siblings.ts).
 *
 * The end of the scope ends all stacks as that of a `Stack` does, and their devices after that.
 */
export const make = (
  options: WorkersOptions,
): Effect.Effect<WorkersService, WorkerFailed | InvalidArgument, Scope.Scope> =>
  Effect.gen(function* () {
    const { count } = options
    if (!(Number.isInteger(count) && count >= 1 && count <= MAX_WORKERS)) {
      return yield* new InvalidArgument({ argument: "workers", reason: `${count}: it is 1 to ${MAX_WORKERS}` })
    }
    const closeGrace = Duration.toMillis(options.closeGrace ?? DEFAULT_CLOSE_GRACE)
    const failure = yield* Deferred.make<never, WorkerFailed>()
    const threads: Array<Thread> = []
    yield* Effect.addFinalizer(() => closeAll(threads, closeGrace))
    const common = {
      count,
      device: options.device,
      addresses: options.addresses,
      routes: options.routes ?? [],
      dadTransmits: options.dadTransmits,
      settings: options.settings ?? {},
      secret: crypto.getRandomValues(new Uint8Array(SECRET_LENGTH)),
      channel: `netfold-${crypto.randomUUID()}`,
      portRanges: shares(options.settings?.ipLocalPortRange ?? defaultSettings.ipLocalPortRange, count),
      application: String(options.application),
      input: options.input,
      busyPoll: Duration.toMillis(options.busyPoll ?? Duration.zero),
      closeGrace,
    }
    let opened: Start["opened"]
    // One after the other: the first makes the interface, and two threads in dlopen at once crash Bun.
    for (let index = 0; index < count; index++) {
      const thread = new Thread(index, (error) => Deferred.unsafeDone(failure, Effect.fail(error)))
      threads.push(thread)
      opened = yield* thread.start({ _tag: "Start", ...common, index, opened })
    }
    return {
      device: opened?.name ?? "",
      count,
      ask: Effect.forEach(threads, (thread) => thread.ask(), { concurrency: "unbounded" }),
      failure: Deferred.await(failure),
    }
  })

/** Equal, consecutive parts of a range of ports. */
export const shares = (
  [first, last]: readonly [number, number],
  count: number,
): ReadonlyArray<readonly [number, number]> => {
  const width = Math.floor((last - first + 1) / count)
  return Array.from({ length: count }, (_, index) => {
    const from = first + index * width
    return [from, index === count - 1 ? last : from + width - 1] as const
  })
}

/** First FINs from all of them, then the queues: none may go while another still talks. */
const closeAll = (threads: ReadonlyArray<Thread>, closeGrace: number): Effect.Effect<void> => {
  const every = (step: "Drain" | "Close") =>
    Effect.forEach(threads, (thread) => thread.end(step), { concurrency: "unbounded", discard: true })
  return Effect.zipRight(every("Drain"), every("Close")).pipe(
    // A thread whose application does not return must not keep us.
    Effect.timeoutOption(Duration.millis(closeGrace + 2000)),
    Effect.ensuring(
      Effect.sync(() => {
        for (const thread of threads) thread.terminate()
      }),
    ),
  )
}

/** One worker, as its owner sees it. */
class Thread {
  readonly #index: number
  readonly #worker = new Worker(new URL("./workers/worker.ts", import.meta.url))
  readonly #onFailure: (error: WorkerFailed) => void
  /** By the tag of the message that they wait for, or by the number of their question. */
  readonly #waiting = new Map<FromWorker["_tag"] | number, (message: FromWorker) => void>()
  #failed: WorkerFailed | undefined
  /** Its thread has thrown: it answers nothing any more. */
  #dead = false
  #lastId = 0

  constructor(index: number, onFailure: (error: WorkerFailed) => void) {
    this.#index = index
    this.#onFailure = onFailure
    this.#worker.onmessage = ({ data }: MessageEvent<FromWorker>) => this.#heard(data)
    this.#worker.onerror = (event) => {
      this.#dead = true
      this.#heard({ _tag: "Failed", message: event.message })
    }
  }

  start(start: Start): Effect.Effect<{ readonly name: string; readonly mac: number }, WorkerFailed> {
    return Effect.flatMap(this.#answer("Ready", start), (message) =>
      message._tag === "Ready" ? Effect.succeed(message) : Effect.fail(this.#error("an answer out of turn")),
    )
  }

  ask(): Effect.Effect<unknown, WorkerFailed> {
    return Effect.suspend(() => {
      const id = ++this.#lastId
      return Effect.map(this.#answer(id, { _tag: "Ask", id }), (message) =>
        message._tag === "Answer" ? message.value : undefined,
      )
    })
  }

  /** A worker that has failed may still hold its queue, which ends with no thread but with the process. */
  end(step: "Drain" | "Close"): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.#dead) return Effect.void
      return Effect.ignore(this.#exchange(step === "Drain" ? "Drained" : "Closed", { _tag: step }))
    })
  }

  terminate(): void {
    this.#worker.terminate()
  }

  #answer(key: FromWorker["_tag"] | number, message: ToWorker): Effect.Effect<FromWorker, WorkerFailed> {
    return Effect.suspend(() => this.#failed ?? this.#exchange(key, message))
  }

  #exchange(key: FromWorker["_tag"] | number, message: ToWorker): Effect.Effect<FromWorker, WorkerFailed> {
    return Effect.async((resume) => {
      this.#waiting.set(key, (answer) => {
        resume(answer._tag === "Failed" ? Effect.fail(this.#error(answer.message)) : Effect.succeed(answer))
      })
      this.#worker.postMessage(message)
    })
  }

  #heard(message: FromWorker): void {
    if (message._tag === "Failed") {
      this.#failed ??= this.#error(message.message)
      this.#onFailure(this.#failed)
      for (const resume of this.#waiting.values()) resume(message)
      this.#waiting.clear()
      return
    }
    const key = message._tag === "Answer" ? message.id : message._tag
    this.#waiting.get(key)?.(message)
    this.#waiting.delete(key)
  }

  #error(message: string): WorkerFailed {
    return new WorkerFailed({ worker: this.#index, message })
  }
}
