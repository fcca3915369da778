import { writeFileSync } from "node:fs"
import { Command } from "@effect/cli"
import { Effect, Option } from "effect"
import { fromConfig } from "../net/Settings.ts"
import { capture } from "../sim/network/capture.ts"
import { explain, hasPort } from "../sim/network/explain.ts"
import { LogHash } from "../sim/network/hash.ts"
import type { LogEvent, Observer } from "../sim/network/log.ts"
import { followWindows, SequenceTrace } from "../sim/network/trace.ts"
import { SENDER, Transfer, type TransferSpec } from "../sim/network/transfer.ts"
import { Recorder } from "../sim/recording.ts"
import { formatDuration, formatRate, formatSize } from "../wire/quantity.ts"
import { UserError } from "./errors.ts"
import { nativeDigest } from "./nativeDigest.ts"
import { options, type SimulateOptions, settingsOf, specOf } from "./simulateOptions.ts"
import { drawTransfer } from "./simulatePlot.ts"
import { type Outcome, printOutcome, toJson } from "./simulateReport.ts"

/** Virtual time between two looks at the wall clock. */
const STEP = 50_000
/** Wall-clock time between two lines of progress, milliseconds. */
const PROGRESS = 100
const CLEAR_LINE = "\r\x1b[K"

const run = (given: SimulateOptions) =>
  Effect.gen(function* () {
    const settings = yield* settingsOf(given, yield* fromConfig)
    const cc = settings.tcpCongestionControl
    const record = new Recorder()
    const spec: TransferSpec = {
      ...(yield* specOf(given)),
      settings,
      receiverSettings: settings,
      ...(Option.isSome(given.record) ? { makeSender: record.makeHost } : {}),
    }
    const flow = Option.map(given.explain, Number)
    if (Option.isSome(flow) && !(flow.value >= 1 && flow.value <= spec.flows)) {
      return yield* new UserError({ message: `simulate: --explain: a flow's number is 1 to ${spec.flows}` })
    }
    const outcome = yield* simulate(spec, given, flow)
    if (given.json) console.log(JSON.stringify(toJson(spec, cc, outcome), undefined, 2))
    else console.log(printOutcome(spec, cc, outcome))
    const { svg } = given
    if (Option.isSome(svg)) yield* save("svg", svg.value, drawTransfer(spec, cc, outcome))
    const { packets } = outcome
    if (Option.isSome(given.pcapng)) yield* save("pcapng", given.pcapng.value, Buffer.concat(packets))
    if (Option.isSome(given.record)) yield* save("record", given.record.value, record.text())
  })

const save = (option: string, path: string, content: string | Uint8Array): Effect.Effect<void, UserError> =>
  Effect.try({
    try: () => writeFileSync(path, content),
    catch: (cause) =>
      new UserError({
        message: `simulate: --${option} ${path}: ${cause instanceof Error ? cause.message : String(cause)}`,
      }),
  })

/** Runs it, in slices between which the terminal hears how far it is, and signals are heard. */
const simulate = (
  spec: TransferSpec,
  given: SimulateOptions,
  flow: Option.Option<number>,
): Effect.Effect<Outcome, UserError> =>
  Effect.gen(function* () {
    const hash = new LogHash(nativeDigest())
    const trace = new SequenceTrace(SENDER)
    const packets: Array<Uint8Array> = []
    const observers: Array<Observer> = [hash.observe]
    if (Option.isSome(given.svg)) observers.push(trace.observe)
    if (Option.isSome(given.pcapng)) observers.push(capture(SENDER, 0, (block) => packets.push(block)))
    let running: Transfer | undefined
    const portOf = (number: number): number => running?.sendings[number - 1]?.localPort ?? 0
    const wanted = (event: LogEvent): boolean => Option.isNone(flow) || hasPort(portOf(flow.value))(event)
    if (given.log || Option.isSome(flow)) observers.push((event) => void (wanted(event) && console.log(explain(event))))

    const began = performance.now()
    const transfer: Transfer = yield* Effect.try({
      try: () => new Transfer(spec, observers),
      catch: (cause) => new UserError({ message: `simulate: ${String(cause)}` }),
    })
    running = transfer
    const [windows] = followWindows(
      transfer.sender,
      transfer.sendings.slice(0, 1).map(({ socket }) => socket),
    )
    const showsProgress = process.stderr.isTTY && !given.log && Option.isNone(flow)
    let shownAt = began
    while (!transfer.step(STEP)) {
      if (performance.now() - shownAt < PROGRESS) continue
      shownAt = performance.now()
      if (showsProgress) process.stderr.write(`${CLEAR_LINE}${progress(spec, transfer)}`)
      yield* Effect.yieldNow()
    }
    const real = performance.now() - began
    if (showsProgress) process.stderr.write(CLEAR_LINE)
    return {
      result: transfer.result(),
      windows: windows?.points ?? [],
      trace,
      packets,
      hash: hash.digest(),
      events: hash.events,
      real,
    }
  })

const progress = (spec: TransferSpec, { now, delivered }: Transfer): string => {
  const whole = spec.flows * spec.octets
  const share = Number.isFinite(whole) ? delivered / whole : now / spec.until
  const rate = formatRate((delivered * 8_000_000) / Math.max(1, now))
  return `${formatDuration(now)} of virtual time · ${formatSize(delivered)} · ${rate} · ${Math.floor(100 * share)} %`
}

export const command = Command.make("simulate", options, run).pipe(
  Command.withDescription(
    "Bulk data over a link with limits and faults, in virtual time: the same seed gives the same run, to the octet.",
  ),
)
