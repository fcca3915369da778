import type { TcpEffect } from "../../src/tcp/effect.ts"
import { type Flight, recordsOf } from "../../src/tcp/flight.ts"
import { reduce, type TcpEvent } from "../../src/tcp/reduce.ts"
import { type SendQueue, slice } from "../../src/tcp/sendQueue.ts"
import type { Tcb } from "../../src/tcp/tcb.ts"

const isQueue = (value: object): value is SendQueue => "chunks" in value && "length" in value

const isFlight = (value: object): value is Flight => "chunks" in value && "una" in value

/** Freezes everything but octets and the lists that versions of a send queue, and of a scoreboard, share by design. */
export const deepFreeze = (value: unknown): void => {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value) || Object.isFrozen(value)) return
  Object.freeze(value)
  for (const [name, part] of Object.entries(value)) if (name !== "chunks") deepFreeze(part)
}

/** A value as plain data in which two send queues are equal when they hold the same octets. */
export const canonical = (value: unknown): unknown => {
  if (typeof value !== "object" || value === null) return typeof value === "function" ? "function" : value
  if (value instanceof Uint8Array) return `${value.length}:${Bun.hash(value)}`
  if (Array.isArray(value)) return value.map(canonical)
  if (isQueue(value)) {
    return { start: value.start, length: value.length, bytes: canonical(slice(value, value.start, value.length)) }
  }
  if (isFlight(value)) {
    const { chunks: _, first, last, ...rest } = value
    return { ...rest, records: recordsOf(value).map(canonical) }
  }
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, canonical(part)]))
}

/** Why an effect could not be written down and read again, or undefined. */
export const unserialisable = (effect: TcpEffect): string | undefined => {
  // A new block's context holds the stack's keys, which are functions: whoever reads it puts them back.
  const value = effect._tag === "Spawn" ? { ...effect, tcb: withoutContext(effect.tcb) } : effect
  return firstOdd(value, effect._tag)
}

const withoutContext = (value: object): object =>
  Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => name !== "context")
      .map(([name, part]) => [
        name,
        name === "link" || name === "request" || name === "tcb" ? withoutContext(part) : part,
      ]),
  )

const firstOdd = (value: unknown, path: string): string | undefined => {
  switch (typeof value) {
    case "string":
    case "boolean":
    case "undefined":
      return undefined
    case "number":
      return Number.isFinite(value) ? undefined : `${path} is ${value}`
    case "object":
      break
    default:
      return `${path} is a ${typeof value}`
  }
  if (value === null || value instanceof Uint8Array) return undefined
  const proto: unknown = Object.getPrototypeOf(value)
  if (proto !== null && proto !== Object.prototype && proto !== Array.prototype) return `${path} is not plain`
  for (const [name, part] of Object.entries(value)) {
    const odd = firstOdd(part, `${path}.${name}`)
    if (odd !== undefined) return odd
  }
  return undefined
}

/** `reduce`, twice on a frozen block: fails unless both answers are equal and the block is as it was. */
export const reducePurely: typeof reduce = (tcb: Tcb, event: TcpEvent, now) => {
  const before = canonical(tcb)
  deepFreeze(tcb)
  const first = reduce(tcb, event, now)
  const firstSeen = canonical(first)
  const second = reduce(tcb, event, now)
  if (!Bun.deepEquals(firstSeen, canonical(second), true)) throw new Error("two answers to the same input differ")
  if (!Bun.deepEquals(firstSeen, canonical(first), true)) throw new Error("an answer changed after it was given")
  if (!Bun.deepEquals(before, canonical(tcb), true)) throw new Error("the block changed")
  if (!("_tag" in first)) {
    for (const effect of first.effects) {
      const odd = unserialisable(effect)
      if (odd !== undefined) throw new Error(`not serialisable: ${odd}`)
    }
  }
  return first
}
