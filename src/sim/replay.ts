import { sha256 } from "@noble/hashes/sha2.js"
import { bytesToHex } from "@noble/hashes/utils.js"
import { makeHost } from "../host/host.ts"
import type { HostApi, HostConfig, HostEffect } from "../host/types.ts"
import { slice } from "../tcp/sendQueue.ts"
import { SYN } from "../wire/tcpSegment.ts"
import type { Micros } from "../wire/time.ts"

/**
 * A host is a fold: the same inputs give the same effects. A recording holds all calls of a host that
 * change it, in order, and what came of each; `replay` makes them again on another host.
 */
export type Recorded =
  | {
      readonly call: "frame"
      readonly interface: number
      readonly bytes: Uint8Array
      readonly vouched: boolean
      readonly now: Micros
    }
  | { readonly call: "take"; readonly effects: ReadonlyArray<string> }
  | { readonly call: Call | PartCall; readonly arguments: ReadonlyArray<unknown>; readonly result: string }

/** Calls whose result the recording compares. */
type Call = Exclude<
  { [K in keyof HostApi]: HostApi[K] extends (...given: never) => unknown ? K : never }[keyof HostApi],
  "frame" | "take" | "nextDeadline" | "status" | "sockets"
>

/** The parts of a host with calls of their own: its datagram sockets. */
const PARTS = ["udp", "echo"] as const
type Part = (typeof PARTS)[number]
type PartCall = `${Part}.${string}`

/** The first call whose outcome was another than the recorded one. */
export interface Divergence {
  /** Place in the recording. */
  readonly index: number
  readonly call: string
  readonly recorded: string
  readonly replayed: string
}

const SHORT_HASH = 16

/** An effect as text: equal texts put equal octets on the wire. */
export const canonical = (effect: HostEffect): string =>
  JSON.stringify(effect, (_, value: unknown) => {
    if (value instanceof Uint8Array) return hashOf(value)
    return isTransmit(value) ? { ...value, queue: payloadOf(value) } : value
  })

const payloadOf = ({ queue, seq, flags, length }: Extract<HostEffect, { _tag: "SendSegment" }>["segment"]): string =>
  queue === undefined ? "" : hashOf(slice(queue, (seq + (flags & SYN ? 1 : 0)) >>> 0, length))

const isTransmit = (value: unknown): value is Extract<HostEffect, { _tag: "SendSegment" }>["segment"] =>
  typeof value === "object" &&
  value !== null &&
  "_tag" in value &&
  value._tag === "Transmit" &&
  "chunks" in Object((value as { readonly queue?: unknown }).queue ?? {})

const hashOf = (bytes: Uint8Array): string => `${bytes.length}:${bytesToHex(sha256(bytes)).slice(0, SHORT_HASH)}`

const textOf = (result: unknown): string =>
  result instanceof Uint8Array ? hashOf(result) : (JSON.stringify(result) ?? "undefined")

/** Calls that only look. */
const LOOKS: ReadonlyArray<string> = ["nextDeadline", "status", "sockets"]

/** Octets that the caller may change once the call is over. */
const kept = (argument: unknown): unknown =>
  argument instanceof Uint8Array
    ? argument.slice()
    : argument !== null && typeof argument === "object" && "payload" in argument
      ? { ...argument, payload: kept(argument.payload) }
      : argument

/** The host, with all that is done to it handed to `keep`. */
export const recorded = (host: HostApi, keep: (recorded: Recorded) => void): HostApi => {
  const own: Pick<HostApi, "frame" | "take"> = {
    frame: (iface, bytes, offset, length, vouched, now) => {
      const copy = new Uint8Array(bytes.subarray(offset, offset + length))
      keep({ call: "frame", interface: iface, bytes: copy, vouched, now })
      host.frame(iface, bytes, offset, length, vouched, now)
    },
    take: () => {
      const effects = host.take()
      keep({ call: "take", effects: effects.map(canonical) })
      return effects
    },
  }
  const parts = Object.fromEntries(
    PARTS.map((part) => [part, watched(host[part], (name) => `${part}.${name}` as const, keep)]),
  )
  return new Proxy(
    watched(host, (name) => name as Call, keep),
    {
      get: (target, name) => {
        if (name === "frame" || name === "take") return own[name]
        return PARTS.some((part) => part === name) ? parts[String(name)] : Reflect.get(target, name)
      },
    },
  )
}

const watched = <T extends object>(
  target: T,
  nameOf: (name: string) => Call | PartCall,
  keep: (recorded: Recorded) => void,
): T =>
  new Proxy(target, {
    get: (_, name) => {
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== "function" || typeof name !== "string") return value
      return (...given: ReadonlyArray<unknown>): unknown => {
        const before = given.map(kept)
        const result: unknown = Reflect.apply(value, target, given)
        if (!LOOKS.includes(name)) keep({ call: nameOf(name), arguments: before, result: textOf(result) })
        return result
      }
    },
  })

/** Sees each call of a recording as it has been made again, and what the host wants done after a `take`. */
export type Watch = (step: Recorded, effects: ReadonlyArray<HostEffect>) => void

/** Makes all calls of a recording on a new host; undefined: everything came out as recorded. */
export const replay = (
  config: HostConfig,
  recording: ReadonlyArray<Recorded>,
  make: (config: HostConfig) => HostApi = makeHost,
  watch: Watch = () => {},
): Divergence | undefined => {
  const host = make(config)
  for (const [index, step] of recording.entries()) {
    const [before, after] = outcomes(host, step, watch)
    if (before !== after) return { index, call: step.call, recorded: before, replayed: after }
  }
  return undefined
}

const outcomes = (host: HostApi, step: Recorded, watch: Watch): readonly [recorded: string, replayed: string] => {
  switch (step.call) {
    case "frame":
      host.frame(step.interface, step.bytes, 0, step.bytes.length, step.vouched, step.now)
      watch(step, [])
      return ["", ""]
    case "take": {
      const effects = host.take()
      watch(step, effects)
      return [step.effects.join("\n"), effects.map(canonical).join("\n")]
    }
    default: {
      const [part, name] = step.call.split(".")
      const target: object =
        PARTS.some((each) => each === part) && name !== undefined ? Reflect.get(host, part ?? "") : host
      // The arguments are those with which the same method was called.
      const result = textOf(Reflect.apply(Reflect.get(target, name ?? step.call), target, [...step.arguments]))
      watch(step, [])
      return [step.result, result]
    }
  }
}
