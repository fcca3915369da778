import { deadlineOf } from "../tcp/deadline.ts"
import { emptyFlight, isEmpty } from "../tcp/flight.ts"
import { EMPTY_REASSEMBLY } from "../tcp/reassembly.ts"
import { emptyQueue } from "../tcp/sendQueue.ts"
import type { Synchronized } from "../tcp/tcb.ts"
import { OFF } from "../tcp/time.ts"
import { type Endpoint, UNSPECIFIED4 } from "../wire/address.ts"
import type { Sharing } from "./portTable.ts"
import { type Row, Rows } from "./rows.ts"
import type { TotalsRecord } from "./totals.ts"

/** A connection that nothing happens to: all that there is of it but its two ends and its number. */
export interface Quiet {
  readonly tcb: Synchronized
  readonly iface: number
  readonly identification: number
  readonly sharing: Sharing
  readonly ended: boolean
  readonly shut: boolean
  readonly lowWater: number
  readonly wantsRoom: boolean
  readonly totals: TotalsRecord
}

/** Shapes at most; a connection that has none of them stays as it is. */
export const MOST_SHAPES = 64

/**
 * A part of a connection as all connections of one shape have it: the same in all of them, a number
 * of its own (two parts with the same slot are equal), or a record of such parts.
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

/** Connections that differ in so many numbers only, which lie in rows. */
class Shape {
  private readonly rows: Rows
  private count = 0
  /** Where the number of each slot lies: a column, or ~ a double. Sequence numbers and the like need 32 bits. */
  private readonly places: Int32Array

  /** `leaves` are the example's, and `slots` says of each where its number goes; see `partOf`. */
  constructor(
    private readonly example: Quiet,
    private readonly part: Part,
    private readonly leaves: ReadonlyArray<unknown>,
    private readonly slots: ReadonlyArray<number>,
    numbers: ReadonlyArray<number>,
  ) {
    const doubles = numbers.filter((number) => !isWord(number)).length
    let word = 2 * doubles
    let double = 0
    this.places = Int32Array.from(numbers, (number) => (isWord(number) ? word++ : ~double++))
    this.rows = new Rows(Math.max(2, word + (word & 1)))
  }

  get unused(): boolean {
    return this.count === 0
  }

  /** The row of a connection with these leaves, if it has this shape. */
  take(leaves: ReadonlyArray<unknown>): Row | undefined {
    const numbers = this.numbersOf(leaves)
    if (numbers === undefined) return undefined
    const { places, rows } = this
    for (const [slot, number] of numbers.entries()) if ((places[slot] ?? 0) >= 0 && !isU32(number)) return undefined
    const row = rows.take()
    for (const [slot, number] of numbers.entries()) {
      const place = places[slot] ?? 0
      if (place < 0) rows.setDouble(row, ~place, number)
      else rows.setWord(row, place, number)
    }
    this.count++
    return row
  }

  private numbersOf(leaves: ReadonlyArray<unknown>): ReadonlyArray<number> | undefined {
    if (leaves.length !== this.leaves.length) return undefined
    const numbers: Array<number> = []
    for (let index = 0; index < leaves.length; index++) {
      const leaf = leaves[index]
      const slot = this.slots[index] ?? SAME
      if (slot === SAME) {
        if (leaf !== this.leaves[index]) return undefined
      } else if (typeof leaf !== "number" || (numbers[slot] ?? leaf) !== leaf) return undefined
      else numbers[slot] = leaf
    }
    return numbers
  }

  giveBack(row: Row): void {
    this.rows.giveBack(row)
    this.count--
    if (this.count === 0) this.rows.clear()
  }

  read(row: Row): Quiet {
    return this.filled(this.part, this.example, row) as Quiet
  }

  /** A copy of the example has the hidden class that the reducers know; then come the numbers. */
  private filled(part: Part, example: unknown, row: Row): unknown {
    switch (part._tag) {
      case "Same":
        return part.value
      case "Own": {
        const place = this.places[part.slot] ?? 0
        return place < 0 ? this.rows.double(row, ~place) : this.rows.word(row, place)
      }
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

/** Where a connection at rest lies: which shape, and which of its rows. */
export interface Resting {
  readonly shape: number
  readonly row: Row
}

/**
 * Connections at rest, packed. A block is some twenty records of two hundred fields, so that a step
 * copies little; but of a connection that nothing happens to most of them are what they are in all
 * others, or equal to each other. What is left is some fifty numbers.
 */
export class RestingPlace {
  private readonly shapes: Array<Shape> = []
  /** Their indices, the last one that fitted first: those who rest together have been through the same. */
  private readonly order: Array<number> = []

  /** Undefined: the connection is not at rest, or like no other. */
  pack(connection: Quiet): Resting | undefined {
    const tcb = atRest(connection.tcb)
    if (tcb === undefined) return undefined
    const quiet: Quiet = { ...connection, tcb }
    const leaves: Array<unknown> = []
    if (!addLeaves(leaves, quiet)) return undefined
    for (const [turn, index] of this.order.entries()) {
      const row = this.shapes[index]?.take(leaves)
      if (row === undefined) continue
      this.toFront(turn, index)
      return { shape: index, row }
    }
    const free = this.shapes.findIndex((shape) => shape.unused)
    const index = this.shapes.length < MOST_SHAPES ? this.shapes.length : free
    if (index < 0) return undefined
    const numbers: Array<number> = []
    const slots: Array<number> = []
    const shape = new Shape(quiet, partOf(quiet, numbers, slots), leaves, slots, numbers)
    const row = shape.take(leaves)
    this.shapes[index] = shape
    this.toFront(this.order.indexOf(index), index)
    return row === undefined ? undefined : { shape: index, row }
  }

  private toFront(turn: number, index: number): void {
    if (turn === 0) return
    if (turn > 0) this.order.splice(turn, 1)
    this.order.unshift(index)
  }

  /** The connection between these ends. */
  read({ shape, row }: Resting, local: Endpoint, remote: Endpoint): Quiet | undefined {
    const quiet = this.shapes[shape]?.read(row)
    if (quiet === undefined) return undefined
    const { tcb } = quiet
    const { queue, flight, link } = tcb
    return {
      ...quiet,
      tcb: {
        ...tcb,
        link: { ...link, local, remote },
        queue: emptyQueue(queue.start),
        flight: emptyFlight(flight.una),
      },
    }
  }

  giveBack({ shape, row }: Resting): void {
    this.shapes[shape]?.giveBack(row)
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

/** A record of counts: they are equal by chance, and 0 for a reason only. */
const COUNTS = "counts"

/** Numbers that say "none" or count little are alike in many connections for a reason, not by chance. */
const isCommon = (value: number): boolean => value === 0 || value === 1 || value === OFF || value === Infinity

const isU32 = (value: number): boolean => value >>> 0 === value && !Object.is(value, -0)

/**
 * Kept in 32 bits: sequence numbers, and what else is as large. Smaller ones are not taken for
 * such, since rates and round trips may be whole by chance.
 */
const isWord = (value: number): boolean => value >= 2 ** 24 && isU32(value)

/** Of what is the same in all connections of a shape. */
const SAME = -1

/** Not looked into. */
const isLeaf = (value: unknown, name: string): boolean =>
  typeof value !== "object" || value === null || SHARED.has(name) || value === EMPTY_REASSEMBLY

/**
 * All that a value has in it, in one row: two of them can be compared without a walk through their records, of which
 * there are many. Of a record its keys too. False: it is nothing that can be packed.
 */
const addLeaves = (leaves: Array<unknown>, value: unknown, name = ""): boolean => {
  if (isLeaf(value, name)) {
    leaves.push(value)
    return true
  }
  if (Array.isArray(value) || ArrayBuffer.isView(value)) return false
  const fields = value as Fields
  const keys = Object.keys(fields)
  leaves.push(keys.length)
  for (const key of keys) {
    leaves.push(key)
    if (!addLeaves(leaves, fields[key], key)) return false
  }
  return true
}

/** How a value looks whose leaves were added; its own numbers go to `numbers`, and of each leaf its slot, or SAME, to `slots`. */
const partOf = (value: unknown, numbers: Array<number>, slots: Array<number>, name = "", within = ""): Part => {
  if (isLeaf(value, name)) {
    const slot = typeof value === "number" ? slotOf(value, numbers, within) : SAME
    slots.push(slot)
    return slot === SAME ? { _tag: "Same", value } : { _tag: "Own", slot }
  }
  const fields = value as Fields
  const keys = Object.keys(fields)
  slots.push(SAME)
  const parts = keys.map((key) => {
    slots.push(SAME)
    return partOf(fields[key], numbers, slots, key, name)
  })
  return { _tag: "Record", keys, parts, value, common: parts.every(isSame) }
}

const slotOf = (value: number, numbers: Array<number>, within: string): number => {
  if (within === COUNTS) return value === 0 ? SAME : numbers.push(value) - 1
  if (isCommon(value)) return SAME
  const known = numbers.indexOf(value)
  return known >= 0 ? known : numbers.push(value) - 1
}

const isSame = (part: Part): boolean => part._tag === "Same" || (part._tag === "Record" && part.common)
