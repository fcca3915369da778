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
  | { readonly call: Call; readonly arguments: ReadonlyArray<unknown>; readonly result: string }

/** Calls whose result the recording compares. */
type Call = Exclude<
  { [K in keyof HostApi]: HostApi[K] extends (...given: never) => unknown ? K : never }[keyof HostApi],
  "frame" | "take" | "nextDeadline" | "status" | "sockets"
>

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

/** The host, with all that is done to it handed to `keep`. */
export const recorded = (host: HostApi, keep: (recorded: Recorded) => void): HostApi => {
  const kept = <Result>(call: Call, given: ReadonlyArray<unknown>, result: Result): Result => {
    keep({ call, arguments: given, result: textOf(result) })
    return result
  }
  return {
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
    advance: (...given) => kept("advance", given, host.advance(...given)),
    flush: (...given) => kept("flush", given, host.flush(...given)),
    socket: (...given) => kept("socket", given, host.socket(...given)),
    bind: (...given) => kept("bind", given, host.bind(...given)),
    startListening: (...given) => kept("startListening", given, host.startListening(...given)),
    startConnecting: (...given) => kept("startConnecting", given, host.startConnecting(...given)),
    listen: (...given) => kept("listen", given, host.listen(...given)),
    connect: (...given) => kept("connect", given, host.connect(...given)),
    accept: (...given) => kept("accept", given, host.accept(...given)),
    read: (...given) => kept("read", given, host.read(...given)),
    write: (...given) => kept("write", given, host.write(...given)),
    shutdown: (...given) => kept("shutdown", given, host.shutdown(...given)),
    close: (...given) => kept("close", given, host.close(...given)),
    abort: (...given) => kept("abort", given, host.abort(...given)),
    room: (...given) => kept("room", given, host.room(...given)),
    setOptions: (...given) => kept("setOptions", given, host.setOptions(...given)),
    nextDeadline: () => host.nextDeadline(),
    status: (socket) => host.status(socket),
    sockets: () => host.sockets(),
    get counters() {
      return host.counters
    },
  }
}

/** Makes all calls of a recording on a new host; undefined: everything came out as recorded. */
export const replay = (
  config: HostConfig,
  recording: ReadonlyArray<Recorded>,
  make: (config: HostConfig) => HostApi = makeHost,
): Divergence | undefined => {
  const host = make(config)
  for (const [index, step] of recording.entries()) {
    const [before, after] = outcomes(host, step)
    if (before !== after) return { index, call: step.call, recorded: before, replayed: after }
  }
  return undefined
}

const outcomes = (host: HostApi, step: Recorded): readonly [recorded: string, replayed: string] => {
  switch (step.call) {
    case "frame":
      host.frame(step.interface, step.bytes, 0, step.bytes.length, step.vouched, step.now)
      return ["", ""]
    case "take":
      return [step.effects.join("\n"), host.take().map(canonical).join("\n")]
    default: {
      // The arguments are those with which the same method was called.
      const method = host[step.call] as (...given: ReadonlyArray<unknown>) => unknown
      return [step.result, textOf(method.apply(host, [...step.arguments]))]
    }
  }
}
