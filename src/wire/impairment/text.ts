import { parseDuration, parseRate, parseShare, parseSize } from "../quantity.ts"
import type { Micros } from "../time.ts"
import { CODEL, DEFAULT_QUEUE, type Impairment, impairmentProblem, PERFECT, type QueueSpec, red } from "./spec.ts"

type Part = (words: ReadonlyArray<string>, soFar: Impairment) => Partial<Impairment> | undefined

export const IMPAIRMENT_SYNTAX = [
  "rate 10mbit",
  "delay 40ms",
  "jitter 5ms[,normal][,overtaking]",
  "loss 1%",
  "burst-loss TO-BAD,TO-GOOD[,LOSS-IN-BAD[,LOSS-IN-GOOD]]",
  "corrupt 0.1%",
  "duplicate 0.1%",
  "reorder 1%[,DISTANCE][,10ms]",
  "mtu 1400",
  "queue taildrop|codel|red[,100p][,64KiB][,ecn]",
  "down 1s-2s[,5s-6s]",
].join(", ")

/** Reads "loss 1% reorder 1%,3,10ms": pairs of a name and its values. A string is what is wrong with it. */
export const parseImpairment = (text: string): Impairment | string => {
  const words = text.trim().split(/\s+/)
  let result = PERFECT
  for (let at = 0; at < words.length; at += 2) {
    const name = words[at] ?? ""
    const part = PARTS[name]
    if (part === undefined) return `"${name}" is no impairment: ${IMPAIRMENT_SYNTAX}`
    const value = words[at + 1]
    const read = value === undefined ? undefined : part(value.split(","), result)
    if (read === undefined) return `"${name} ${value ?? ""}": write it as in ${IMPAIRMENT_SYNTAX}`
    result = { ...result, ...read }
  }
  return impairmentProblem(result) ?? result
}

const share =
  (name: "loss" | "corrupt" | "duplicate"): Part =>
  ([word = "", ...rest]) => {
    const value = parseShare(word)
    return value === undefined || rest.length > 0 ? undefined : { [name]: value }
  }

const one =
  (name: "rate" | "delay" | "mtu", parse: (text: string) => number | undefined): Part =>
  ([word = "", ...rest]) => {
    const value = parse(word)
    return value === undefined || rest.length > 0 ? undefined : { [name]: value }
  }

const jitter: Part = ([word = "", ...shapes]) => {
  const spread = parseDuration(word)
  if (spread === undefined || shapes.some((shape) => shape !== "normal" && shape !== "overtaking")) return undefined
  return {
    jitter: {
      spread,
      shape: shapes.includes("normal") ? "normal" : "uniform",
      overtaking: shapes.includes("overtaking"),
    },
  }
}

const burstLoss: Part = (words) => {
  const [toBad, toGood, lossInBad = 1, lossInGood = 0] = words.map(parseShare)
  if (toBad === undefined || toGood === undefined || words.length > 4 || words.map(parseShare).includes(undefined)) {
    return undefined
  }
  return { burstLoss: { toBad, toGood, lossInBad, lossInGood } }
}

const LATE: Micros = 10_000

const reorder: Part = ([word = "", ...rest]) => {
  const probability = parseShare(word)
  const distance = rest.find((value) => /^\d+$/.test(value))
  const delay = rest.find((value) => value !== distance)
  const late = delay === undefined ? LATE : parseDuration(delay)
  if (probability === undefined || late === undefined || rest.length > 2) return undefined
  return { reorder: { probability, distance: Number(distance ?? 0), delay: late } }
}

const queue: Part = ([kind = "", ...rest]) => parseQueue(kind, rest)

const parseQueue = (kind: string, rest: ReadonlyArray<string>): { readonly queue: QueueSpec } | undefined => {
  let packets: number | undefined
  let octets: number | undefined
  let ecn = false
  for (const word of rest) {
    if (word === "ecn") ecn = true
    else if (/^\d+p$/.test(word)) packets = Number(word.slice(0, -1))
    else octets = parseSize(word)
    if (word !== "ecn" && packets === undefined && octets === undefined) return undefined
  }
  const spec = queueOf(kind, packets, octets, ecn)
  return spec === undefined ? undefined : { queue: spec }
}

/** Octets that stand for one packet where a queue is told in packets and works in octets. */
const FULL_FRAME = 1514

/** A queue of a kind, limited as asked or as usual; undefined: there is no such kind, or it cannot mark. */
export const queueOf = (
  kind: string,
  packets: number | undefined,
  octets: number | undefined,
  ecn: boolean,
): QueueSpec | undefined => {
  const unlimited = packets === undefined && octets === undefined
  const limits = unlimited
    ? { packets: DEFAULT_QUEUE.packets, octets: 0 }
    : { packets: packets ?? 0, octets: octets ?? 0 }
  switch (kind) {
    case "taildrop":
      return ecn ? undefined : { _tag: "taildrop", ...limits }
    case "codel":
      return { ...CODEL, ...limits, ecn }
    case "red":
      return red(octets ?? (packets ?? DEFAULT_QUEUE.packets) * FULL_FRAME, ecn)
    default:
      return undefined
  }
}

const down: Part = (words) => {
  const outages = words.map((word) => {
    const [from = "", to = "", ...more] = word.split("-")
    const start = parseDuration(from)
    const end = to === "" ? Number.POSITIVE_INFINITY : parseDuration(to)
    return start === undefined || end === undefined || more.length > 0 ? undefined : ([start, end] as const)
  })
  const whole = outages.filter((outage) => outage !== undefined)
  return whole.length < outages.length ? undefined : { outages: whole }
}

const parseMtu = (text: string): number | undefined => (/^\d+$/.test(text) ? Number(text) : undefined)

const PARTS: Readonly<Record<string, Part>> = {
  rate: one("rate", parseRate),
  delay: one("delay", parseDuration),
  mtu: one("mtu", parseMtu),
  loss: share("loss"),
  corrupt: share("corrupt"),
  duplicate: share("duplicate"),
  jitter,
  "burst-loss": burstLoss,
  reorder,
  queue,
  down,
}
