import { Command, Options } from "@effect/cli"
import { Effect, Option, Schedule, type Scope } from "effect"
import * as Workers from "../net/Workers.ts"
import {
  type Addressing,
  addressing,
  networkOptions,
  sayLearnt,
  tryText,
  whereFields,
  whereText,
} from "./addressing.ts"
import { control, noControl } from "./control.ts"
import { UserError } from "./errors.ts"
import * as Own from "./options.ts"
import { type Report, reportFor, type Snapshot } from "./report.ts"
import { isSnapshot } from "./serveWorker.ts"
import {
  CHARGEN_PORT,
  DISCARD_PORT,
  ECHO_PORT,
  NO_SNAPSHOT,
  type OutsideSpec,
  serveAll,
  serviceSettings,
  sharedDevice,
  snapshotOf,
  stackOn,
  sumOf,
  warming,
} from "./services.ts"
import { untilSignal } from "./signals.ts"
import { offloads, type Wire, wire } from "./wire.ts"

const options = {
  device: Own.device("tap"),
  ends: Own.ends,
  workers: Options.integer("workers").pipe(
    Options.withDescription(
      "stacks on threads of their own, each on a queue of the device; default: one stack, no threads",
    ),
    Options.optional,
  ),
  ...networkOptions,
  json: Own.json,
  noControl,
  wire,
}

interface ServeOptions extends Addressing {
  readonly device: OutsideSpec
  readonly noControl: boolean
  readonly wire: Wire
}

/** What serves: its device's name, what it has done, and how it ends by itself. */
interface Running<E> {
  readonly device: string
  readonly snapshot: () => Snapshot
  /** As `snapshot`, and not a second old. */
  readonly latest: Effect.Effect<Snapshot>
  readonly failure: Effect.Effect<never, E>
}

const single = (given: ServeOptions, report: Report) =>
  Effect.gen(function* () {
    const { stack, device } = yield* stackOn(given)
    const counters = yield* serveAll(stack)
    yield* warming(stack)
    yield* sayLearnt(stack, given, report)
    yield* control(given.noControl, { name: "serve", stacks: { [device]: stack } })
    const snapshot = snapshotOf(counters, stack)
    return { device, snapshot, latest: Effect.sync(snapshot), failure: stack.failure }
  })

/** How often the workers are asked what they have done. */
const ASK = "1 second"

const onWorkers = (given: ServeOptions, count: number) =>
  Effect.gen(function* () {
    if (given.dhcp !== false || given.slaac) {
      // One client asks, and what it is told comes to one queue: the others would have no addresses.
      return yield* new UserError({
        message: "serve: --dhcp and --slaac are for one stack, without --workers: give the workers their --address",
      })
    }
    if (!offloads(given.wire) || Option.isSome(given.wire.capture)) {
      return yield* new UserError({ message: "serve: --impair and --capture are for one stack, without --workers" })
    }
    const workers = yield* Workers.make({
      count,
      device: sharedDevice(given),
      addresses: given.addresses,
      // As for one stack: nobody else is on the link.
      dadTransmits: 0,
      settings: yield* serviceSettings,
      application: new URL("./serveWorker.ts", import.meta.url),
      input: { noControl: given.noControl },
    })
    let known: Snapshot = NO_SNAPSHOT
    const latest = Effect.map(workers.ask, (answers) => {
      known = sumOf(answers.filter(isSnapshot))
      return known
    }).pipe(Effect.orElseSucceed(() => known))
    yield* Effect.forkScoped(Effect.repeat(latest, Schedule.spaced(ASK)))
    return { device: workers.device, snapshot: () => known, latest, failure: workers.failure }
  })

const run = <E, F>(
  starting: Effect.Effect<Running<F>, E, Scope.Scope>,
  options: ServeOptions,
  report: Report,
  workers: number,
) =>
  Effect.gen(function* () {
    const { device, snapshot, latest, failure } = yield* starting
    yield* Effect.addFinalizer(() => Effect.flatMap(latest, report.end))
    const threads = workers > 1 ? `, ${workers} workers` : ""
    yield* report.say(
      `echo ${ECHO_PORT}, discard ${DISCARD_PORT} and chargen ${CHARGEN_PORT} on ${whereText(options)}, interface ${device}${threads}${tryText(options, (address) => `nc ${address} ${ECHO_PORT}`)}`,
      "start",
      {
        device,
        ...whereFields(options),
        echo: ECHO_PORT,
        discard: DISCARD_PORT,
        chargen: CHARGEN_PORT,
        workers,
      },
    )
    yield* Effect.raceFirst(untilSignal, Effect.raceFirst(report.watch(snapshot), failure))
  })

export const command = Command.make("serve", options, ({ device, workers, json, ...given }) =>
  Effect.scoped(
    Effect.gen(function* () {
      if (device._tag === "Memory") {
        return yield* new UserError({
          message: "serve: nobody could reach a memory device: use tap, or the command echo",
        })
      }
      const { noControl, wire } = given
      const outside: ServeOptions = { ...(yield* addressing("serve", { ...given, device })), device, noControl, wire }
      const report = reportFor(json)
      const count = Option.getOrElse(workers, () => 1)
      yield* count === 1
        ? run(single(outside, report), outside, report, count)
        : run(onWorkers(outside, count), outside, report, count)
    }),
  ),
).pipe(
  Command.withDescription("Echo, discard and chargen (RFC 862, 863, 864) on an interface, made here or there already."),
)
