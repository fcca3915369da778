import { Options } from "@effect/cli"
import { Effect, Option } from "effect"
import type { TransferSpec } from "../sim/network/transfer.ts"
import type { CcName } from "../tcp/congestion/control.ts"
import { ALGORITHMS, isAlgorithm } from "../tcp/congestion/registry.ts"
import { defaultSettings, type TcpSettings } from "../tcp/settings.ts"
import { type Impairment, impairmentProblem, PERFECT } from "../wire/impairment/spec.ts"
import { parseImpairment, queueOf } from "../wire/impairment/text.ts"
import { parseDuration, parseSize } from "../wire/quantity.ts"
import { UserError } from "./errors.ts"

const invalid = (message: string): UserError => new UserError({ message: `simulate: ${message}` })

const words = (name: string, fallback: string, description: string): Options.Options<string> =>
  Options.text(name).pipe(Options.withDefault(fallback), Options.withDescription(description))

const maybe = (name: string, description: string): Options.Options<Option.Option<string>> =>
  Options.text(name).pipe(Options.optional, Options.withDescription(description))

const file = (name: string, description: string): Options.Options<Option.Option<string>> => maybe(name, description)

const whole = (name: string, fallback: number, least: number, most: number, description: string) =>
  Options.integer(name).pipe(
    Options.withDefault(fallback),
    Options.filterMap(
      (n) => (n >= least && n <= most ? Option.some(n) : Option.none()),
      `--${name}: a whole number from ${least} to ${most}`,
    ),
    Options.withDescription(description),
  )

/** Of the way that the data takes; the way back has the rate, the delay and its own loss. */
export const options = {
  rate: words("rate", "100mbit", "bandwidth of the link, both ways; 0bit: no limit"),
  delay: words("delay", "20ms", "propagation each way: half the round trip"),
  jitter: maybe("jitter", "variation of the delay: 5ms[,normal][,overtaking]"),
  loss: maybe("loss", "share of data frames lost: 1%"),
  lossBack: maybe("loss-back", "share of frames lost on the way back"),
  burstLoss: maybe("burst-loss", "Gilbert-Elliott: TO-BAD,TO-GOOD[,LOSS-IN-BAD[,LOSS-IN-GOOD]]"),
  reorder: maybe("reorder", "frames that arrive late: 1%[,DISTANCE][,10ms]"),
  duplicate: maybe("duplicate", "share of frames that arrive twice"),
  corrupt: maybe("corrupt", "share of frames with a bit flipped"),
  down: maybe("down", "outages of the link, both ways: 1s-2s[,5s-]"),
  queue: Options.choice("queue", ["taildrop", "codel", "red"]).pipe(
    Options.withDefault("taildrop"),
    Options.withDescription("what the bottleneck's queue does (RFC 8289, RED)"),
  ),
  buffer: words("buffer", "1bdp", "its length: 100p (packets), 64KiB, or 1bdp (bandwidth times round trip)"),
  ecn: Options.boolean("ecn").pipe(Options.withDescription("both ends agree on ECN; codel and red mark CE")),
  cc: maybe("cc", `congestion control: ${ALGORITHMS.join(", ")}. Default: the stack's`),
  size: maybe("size", "octets of each flow: 50MB. Default: 10MB, or without end where --duration is given"),
  flows: whole("flows", 1, 1, 1000, "connections that share the link"),
  stagger: words("stagger", "0", "between the beginnings of two flows"),
  duration: maybe("duration", "virtual time at most"),
  mtu: whole("mtu", 1500, 576, 65_535, "of both hosts"),
  coalesce: words("coalesce", "0", "how long interfaces keep what arrives, as network cards do: 50us"),
  seed: whole("seed", 1, 0, Number.MAX_SAFE_INTEGER, "decides all chance: the same seed, the same run"),
  json: Options.boolean("json").pipe(Options.withDescription("the result as one JSON document")),
  log: Options.boolean("log").pipe(Options.withDescription("every event with its reason, on standard output")),
  explain: maybe("explain", "as --log, of one flow: its number, from 1"),
  svg: file("svg", "writes the time-sequence, cwnd and RTT graphs of the first flow"),
  record: file("record", "writes all that happened to the sender's host, for `netfold replay`"),
  pcapng: file("pcapng", "writes what the sender's interface sees, each packet with its reason"),
}

export interface SimulateOptions {
  readonly rate: string
  readonly delay: string
  readonly jitter: Option.Option<string>
  readonly loss: Option.Option<string>
  readonly lossBack: Option.Option<string>
  readonly burstLoss: Option.Option<string>
  readonly reorder: Option.Option<string>
  readonly duplicate: Option.Option<string>
  readonly corrupt: Option.Option<string>
  readonly down: Option.Option<string>
  readonly queue: "taildrop" | "codel" | "red"
  readonly buffer: string
  readonly ecn: boolean
  readonly cc: Option.Option<string>
  readonly size: Option.Option<string>
  readonly flows: number
  readonly stagger: string
  readonly duration: Option.Option<string>
  readonly mtu: number
  readonly coalesce: string
  readonly seed: number
  readonly json: boolean
  readonly log: boolean
  readonly explain: Option.Option<string>
  readonly svg: Option.Option<string>
  readonly pcapng: Option.Option<string>
  readonly record: Option.Option<string>
}

const DEFAULT_OCTETS = 10_000_000
const FULL_FRAME = 1514
const SMALLEST_BUFFER = 32 * FULL_FRAME

/** Both ends' settings: those of the environment, and what the options say. */
export const settingsOf = (
  given: SimulateOptions,
  own: Partial<TcpSettings>,
): Effect.Effect<Partial<TcpSettings> & { readonly tcpCongestionControl: CcName }, UserError> => {
  const { tcpCongestionControl = defaultSettings.tcpCongestionControl } = own
  const cc = Option.getOrElse(given.cc, () => tcpCongestionControl)
  if (!isAlgorithm(cc)) {
    return Effect.fail(invalid(`there is no congestion control "${cc}": ${ALGORITHMS.join(", ")}`))
  }
  return Effect.succeed({ ...own, ...(given.ecn ? { tcpEcn: 1 } : {}), tcpCongestionControl: cc })
}

/** The run that the options ask for; its settings are the caller's. */
export const specOf = (given: SimulateOptions): Effect.Effect<Omit<TransferSpec, "settings">, UserError> =>
  Effect.gen(function* () {
    const both = yield* impairment([
      ["rate", Option.some(given.rate)],
      ["delay", Option.some(given.delay)],
      ["down", given.down],
    ])
    const data = yield* impairment([
      ["jitter", given.jitter],
      ["loss", given.loss],
      ["burst-loss", given.burstLoss],
      ["reorder", given.reorder],
      ["duplicate", given.duplicate],
      ["corrupt", given.corrupt],
    ])
    const acks = yield* impairment([["loss", given.lossBack]])
    const limits = yield* bufferOf(given.buffer, both)
    const queue = queueOf(given.queue, limits.packets, limits.octets, given.ecn)
    if (queue === undefined)
      return yield* Effect.fail(invalid("--ecn: a taildrop queue does not mark; use codel or red"))
    const common = { rate: both.rate, delay: both.delay, outages: both.outages }
    const there = { ...data, ...common, queue }
    const problem = impairmentProblem(there)
    if (problem !== undefined) return yield* Effect.fail(invalid(problem))
    return {
      seed: given.seed,
      there,
      back: { ...PERFECT, ...common, loss: acks.loss },
      mtu: given.mtu,
      coalesce: yield* read("coalesce", given.coalesce, parseDuration),
      flows: given.flows,
      octets: yield* octetsOf(given),
      startEvery: yield* read("stagger", given.stagger, parseDuration),
      until: Option.isNone(given.duration)
        ? Number.POSITIVE_INFINITY
        : yield* read("duration", given.duration.value, parseDuration),
    }
  })

const octetsOf = ({ size, duration }: SimulateOptions) => {
  if (Option.isSome(size)) return read("size", size.value, parseSize)
  return Effect.succeed(Option.isSome(duration) ? Number.POSITIVE_INFINITY : DEFAULT_OCTETS)
}

const read = (
  name: string,
  text: string,
  parse: (text: string) => number | undefined,
): Effect.Effect<number, UserError> => {
  const value = parse(text)
  return value === undefined ? Effect.fail(invalid(`--${name} "${text}": not understood`)) : Effect.succeed(value)
}

const impairment = (
  parts: ReadonlyArray<readonly [name: string, value: Option.Option<string>]>,
): Effect.Effect<Impairment, UserError> => {
  const text = parts
    .flatMap(([name, value]) => (Option.isSome(value) ? [`${name} ${value.value.trim()}`] : []))
    .join(" ")
  const parsed = text === "" ? PERFECT : parseImpairment(text)
  return typeof parsed === "string" ? Effect.fail(invalid(parsed)) : Effect.succeed(parsed)
}

const bufferOf = (
  text: string,
  { rate, delay }: Impairment,
): Effect.Effect<{ readonly packets?: number; readonly octets?: number }, UserError> => {
  const packets = /^(\d+)p$/.exec(text)?.[1]
  if (packets !== undefined) return Effect.succeed({ packets: Number(packets) })
  const trips = /^(\d+(?:\.\d+)?)bdp$/i.exec(text)?.[1]
  if (trips === undefined) return Effect.map(read("buffer", text, parseSize), (octets) => ({ octets }))
  const product = (rate / 8) * ((2 * delay) / 1_000_000)
  return Effect.succeed({ octets: Math.max(SMALLEST_BUFFER, Math.ceil(Number(trips) * product)) })
}
