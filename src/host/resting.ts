import { deadlineOf } from "../tcp/deadline.ts"
import { emptyFlight, isEmpty } from "../tcp/flight.ts"
import { EMPTY_REASSEMBLY } from "../tcp/reassembly.ts"
import { emptyQueue } from "../tcp/sendQueue.ts"
import type { Synchronized } from "../tcp/tcb.ts"
import { OFF } from "../tcp/time.ts"
import { type Endpoint, UNSPECIFIED4 } from "../wire/address.ts"
import { type Row, Rows } from "./rows.ts"

/** Shapes at most; a connection that has none of them stays as it is. */
const MOST_SHAPES = 64

/**
 * A part of a block as all blocks of one shape have it: the same in all of them, a number of its
 * own (two parts with the same slot are equal), or a record of such parts.
 */
type Part =
  | { readonly _tag: "Same"; readonly value: unknown }
  | { readonly _tag: "Own"; readonly slot: number }
  | {
      readonly _tag: "Record"
      readonly keys: ReadonlyArray<string>
      readonly parts: ReadonlyArray<Part>
      /** What it was in the example; where no number of its own is in it, in all others too. */
      readonly value: unknown
      readonly common: boolean
    }

type Fields = { [key: string]: unknown }

/** Whose connection it is. */
interface Ends {
  readonly local: Endpoint
  readonly remote: Endpoint
}

/** Blocks that differ in so many numbers only, which lie in rows. */
export class Shape {
  private readonly rows: Rows
  private count = 0

  constructor(
    private readonly example: Synchronized,
    private readonly part: Part,
    private readonly slots: number,
  ) {
    this.rows = new Rows(2 * Math.max(1, slots))
  }

  get unused(): boolean {
    return this.count === 0
  }

  /** The row of a block, if it has this shape. */
  take(tcb: Synchronized): Row | undefined {
    const numbers: Array<number> = []
    if (!matches(this.part, tcb, numbers)) return undefined
    const row = this.rows.take()
    for (let slot = 0; slot < this.slots; slot++) this.rows.setDouble(row, slot, numbers[slot] ?? 0)
    this.count++
    return row
  }

  /** The block again; its row is free. */
  giveBack(row: Row, ends: Ends): Synchronized {
    const tcb = this.read(row, ends)
    this.rows.giveBack(row)
    this.count--
    if (this.count === 0) this.rows.clear()
    return tcb
  }

  read(row: Row, { local, remote }: Ends): Synchronized {
    const tcb = this.filled(this.part, this.example, row) as Synchronized
    const { queue, flight, link } = tcb
    return {
      ...tcb,
      link: { ...link, local, remote },
      queue: emptyQueue(queue.start),
      flight: emptyFlight(flight.una),
    }
  }

  /** A copy of the example has the hidden class that the reducers know; then come the numbers. */
  private filled(part: Part, example: unknown, row: Row): unknown {
    switch (part._tag) {
      case "Same":
        return part.value
      case "Own":
        return this.rows.double(row, part.slot)
      case "Record": {
        if (part.common) return example
        const from = example as Fields
        const copy: Fields = { ...from }
        for (const [index, key] of part.keys.entries()) {
          const inner = part.parts[index]
          if (inner !== undefined && inner._tag !== "Same") copy[key] = this.filled(inner, from[key], row)
        }
        return copy
      }
    }
  }
}

/** A block at rest. */
export interface Resting {
  readonly shape: Shape
  readonly row: Row
}

/**
 * Connections at rest, packed. A block is some twenty records of two hundred fields, so that a step
 * copies little; but of a connection that nothing happens to most of them are what they are in all
 * others, or equal to each other. What is left is some forty numbers.
 */
export class RestingPlace {
  private shapes: Array<Shape> = []

  /** Undefined: the block is not at rest, or like no other. */
  pack(tcb: Synchronized): Resting | undefined {
    const plain = atRest(tcb)
    if (plain === undefined) return undefined
    for (const shape of this.shapes) {
      const row = shape.take(plain)
      if (row !== undefined) return { shape, row }
    }
    if (this.shapes.length >= MOST_SHAPES) this.shapes = this.shapes.filter((shape) => !shape.unused)
    if (this.shapes.length >= MOST_SHAPES) return undefined
    const numbers: Array<number> = []
    const part = partOf(plain, numbers)
    if (part === undefined) return undefined
    const shape = new Shape(plain, part, numbers.length)
    const row = shape.take(plain)
    this.shapes.unshift(shape)
    return row === undefined ? undefined : { shape, row }
  }
}

/** Nothing in flight, queued, out of order or timed: the block without what is then empty, and without its ends. */
const atRest = (tcb: Synchronized): Synchronized | undefined => {
  const { queue, flight, rcv, link } = tcb
  const quiet =
    queue.length === 0 &&
    isEmpty(flight) &&
    flight.sacked === 0 &&
    rcv.queue.pieces === 0 &&
    rcv.queue.fin === undefined &&
    rcv.due === "none" &&
    deadlineOf(tcb) === OFF
  if (!quiet) return undefined
  return {
    ...tcb,
    link: { ...link, local: NOWHERE, remote: NOWHERE },
    rcv: { ...rcv, queue: EMPTY_REASSEMBLY },
    queue: { ...emptyQueue(queue.start), chunks: NONE },
    flight: emptyFlight(flight.una),
  }
}

const NONE: Array<never> = []

const NOWHERE: Endpoint = { address: UNSPECIFIED4, port: 0 }

/** What is shared by identity, and not looked into. */
const SHARED: ReadonlySet<string> = new Set(["context", "authentication", "local", "remote", "chunks"])

/** Numbers that say "none" or count little are alike in many connections for a reason, not by chance. */
const isCommon = (value: number): boolean => value === 0 || value === 1 || value === OFF || value === Infinity

/** How a value looks; its own numbers are added to `numbers`. Undefined: it is nothing that can be packed. */
const partOf = (value: unknown, numbers: Array<number>, name = ""): Part | undefined => {
  if (typeof value === "number" && !isCommon(value)) {
    const known = numbers.indexOf(value)
    return { _tag: "Own", slot: known >= 0 ? known : numbers.push(value) - 1 }
  }
  if (typeof value !== "object" || value === null || SHARED.has(name) || value === EMPTY_REASSEMBLY) {
    return { _tag: "Same", value }
  }
  if (Array.isArray(value) || ArrayBuffer.isView(value)) return undefined
  const fields = value as Fields
  const keys = Object.keys(fields)
  const parts: Array<Part> = []
  for (const key of keys) {
    const part = partOf(fields[key], numbers, key)
    if (part === undefined) return undefined
    parts.push(part)
  }
  return { _tag: "Record", keys, parts, value, common: parts.every(isSame) }
}

const isSame = (part: Part): boolean => part._tag === "Same" || (part._tag === "Record" && part.common)

const matches = (part: Part, value: unknown, numbers: Array<number>): boolean => {
  switch (part._tag) {
    case "Same":
      return part.value === value
    case "Own":
      if (typeof value !== "number") return false
      if (part.slot < numbers.length) return numbers[part.slot] === value
      numbers.push(value)
      return true
    case "Record": {
      if (part.common && value === part.value) return true
      if (typeof value !== "object" || value === null) return false
      const fields = value as Fields
      const { keys, parts } = part
      for (let index = 0; index < keys.length; index++) {
        const inner = parts[index]
        if (inner === undefined || !matches(inner, fields[keys[index] ?? ""], numbers)) return false
      }
      return true
    }
  }
}
