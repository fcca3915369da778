import { deadlineOf } from "../tcp/deadline.ts"
import { draftOf, rcvDraft } from "../tcp/draft.ts"
import { emptyFlight, isEmpty } from "../tcp/flight.ts"
import { EMPTY_REASSEMBLY } from "../tcp/reassembly.ts"
import { emptyQueue } from "../tcp/sendQueue.ts"
import type { Synchronized } from "../tcp/tcb.ts"
import { OFF } from "../tcp/time.ts"
import type { Endpoint } from "../wire/address.ts"
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
 * A part of a connection as all connections of one shape have it: the same in all of them, one of the connection's two
 * ends, which are kept elsewhere, a number of its own (two parts with the same slot are equal), or a record of such parts.
 */
type Part = Same | End | Own | RecordPart

interface Same {
  readonly _tag: "Same"
  readonly value: unknown
}

interface End {
  readonly _tag: "End"
  readonly end: "local" | "remote"
}

interface Own {
  readonly _tag: "Own"
  readonly slot: number
  /** No part before it has this slot. */
  readonly first: boolean
}

interface RecordPart {
  readonly _tag: "Record"
  readonly keys: ReadonlyArray<string>
  readonly parts: ReadonlyArray<Part>
  /** Indices of those parts that are not the same in all connections. */
  readonly own: ReadonlyArray<number>
  /** What it was in the example; where nothing of its own is in it, in all others too. */
  readonly value: Fields
}

type Fields = { [key: string]: unknown }

/** Connections that differ in so many numbers only, which lie in rows. */
class Shape {
  private readonly rows: Rows
  private count = 0
  /** Where the number of each slot lies: a column, or ~ a double. Sequence numbers and the like need 32 bits. */
  private readonly places: Int32Array
  /** Of the connection that is looked at, by slot. */
  private readonly numbers: Array<number>

  constructor(
    private readonly part: RecordPart,
    numbers: ReadonlyArray<number>,
  ) {
    const doubles = numbers.filter((number) => !isWord(number)).length
    let word = 2 * doubles
    let double = 0
    this.places = Int32Array.from(numbers, (number) => (isWord(number) ? word++ : ~double++))
    this.rows = new Rows(Math.max(2, word + (word & 1)))
    this.numbers = [...numbers]
  }

  get unused(): boolean {
    return this.count === 0
  }

  /** The row of a connection, if it has this shape. */
  take(connection: Quiet): Row | undefined {
    if (!this.fits(this.part, connection) || !this.hasRoom()) return undefined
    const { places, rows, numbers } = this
    const row = rows.take()
    for (let slot = 0; slot < numbers.length; slot++) {
      const place = places[slot] ?? 0
      const number = numbers[slot] ?? 0
      if (place < 0) rows.setDouble(row, ~place, number)
      else rows.setWord(row, place, number)
    }
    this.count++
    return row
  }

  private hasRoom(): boolean {
    const { places, numbers } = this
    for (let slot = 0; slot < numbers.length; slot++) {
      if ((places[slot] ?? 0) >= 0 && !isU32(numbers[slot] ?? 0)) return false
    }
    return true
  }

  /** Whether a value is as this part says; its own numbers go to `numbers`. */
  private fits(part: Part, value: unknown): boolean {
    switch (part._tag) {
      case "Same":
        return value === part.value
      case "End":
        return true
      case "Own": {
        const { numbers } = this
        if (typeof value !== "number") return false
        if (!part.first) return numbers[part.slot] === value
        numbers[part.slot] = value
        return true
      }
      case "Record": {
        // Most connections of a listener share their options and what has never changed.
        if (value === part.value && part.own.length === 0) return true
        if (typeof value !== "object" || value === null) return false
        const fields = value as Fields
        let index = 0
        for (const key in fields) {
          const inner = part.parts[index]
          if (inner === undefined || key !== part.keys[index] || !this.fits(inner, fields[key])) return false
          index++
        }
        return index === part.keys.length
      }
    }
  }

  giveBack(row: Row): void {
    this.rows.giveBack(row)
    this.count--
    if (this.count === 0) this.rows.clear()
  }

  read(row: Row, local: Endpoint, remote: Endpoint): Quiet {
    return this.filled(this.part, row, local, remote) as Quiet
  }

  /** A copy of the example has the hidden class that the reducers know; then comes what is its own. */
  private filled(part: Part, row: Row, local: Endpoint, remote: Endpoint): unknown {
    switch (part._tag) {
      case "Same":
        return part.value
      case "End":
        return part.end === "local" ? local : remote
      case "Own": {
        const place = this.places[part.slot] ?? 0
        return place < 0 ? this.rows.double(row, ~place) : this.rows.word(row, place)
      }
      case "Record": {
        const { own, keys, parts, value } = part
        if (own.length === 0) return value
        const copy: Fields = { ...value }
        for (const index of own) {
          const key = keys[index]
          const inner = parts[index]
          if (key !== undefined && inner !== undefined) copy[key] = this.filled(inner, row, local, remote)
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
    for (let turn = 0; turn < this.order.length; turn++) {
      const index = this.order[turn] ?? 0
      const row = this.shapes[index]?.take(quiet)
      if (row === undefined) continue
      this.toFront(turn, index)
      return { shape: index, row }
    }
    const free = this.shapes.findIndex((shape) => shape.unused)
    const index = this.shapes.length < MOST_SHAPES ? this.shapes.length : free
    const shape = index < 0 ? undefined : shapeOf(quiet)
    const row = shape?.take(quiet)
    if (shape === undefined || row === undefined) return undefined
    this.shapes[index] = shape
    this.toFront(this.order.indexOf(index), index)
    return { shape: index, row }
  }

  private toFront(turn: number, index: number): void {
    if (turn === 0) return
    if (turn > 0) this.order.splice(turn, 1)
    this.order.unshift(index)
  }

  /** The connection between these ends. */
  read({ shape, row }: Resting, local: Endpoint, remote: Endpoint): Quiet | undefined {
    return this.shapes[shape]?.read(row, local, remote)
  }

  giveBack({ shape, row }: Resting): void {
    this.shapes[shape]?.giveBack(row)
  }
}

/** Nothing in flight, queued, out of order or timed: the block with what is then empty as in all others. */
const atRest = (tcb: Synchronized): Synchronized | undefined => {
  const { queue, flight, rcv } = tcb
  const quiet =
    queue.length === 0 &&
    isEmpty(flight) &&
    flight.sacked === 0 &&
    rcv.queue.pieces === 0 &&
    rcv.queue.fin === undefined &&
    rcv.due === "none" &&
    deadlineOf(tcb) === OFF
  if (!quiet) return undefined
  const next = draftOf(tcb)
  next.queue = emptyQueue(queue.start)
  next.flight = emptyFlight(flight.una)
  if (rcv.queue !== EMPTY_REASSEMBLY) {
    const received = rcvDraft(rcv)
    received.queue = EMPTY_REASSEMBLY
    next.rcv = received
  }
  return next
}

/** What is shared by identity, and not looked into. */
const SHARED: ReadonlySet<string> = new Set(["context", "authentication", "chunks"])

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

const isEnd = (name: string): name is End["end"] => name === "local" || name === "remote"

/** The shape that a connection is the example of; undefined: something in it cannot be packed. */
const shapeOf = (connection: Quiet): Shape | undefined => {
  const numbers: Array<number> = []
  const part = partOf(connection, numbers)
  return part?._tag === "Record" ? new Shape(part, numbers) : undefined
}

/** How a value looks; its own numbers go to `numbers`. */
const partOf = (value: unknown, numbers: Array<number>, name = "", within = ""): Part | undefined => {
  if (isEnd(name)) return { _tag: "End", end: name }
  if (typeof value === "number") return numberOf(value, numbers, within)
  if (typeof value !== "object" || value === null || SHARED.has(name) || value === EMPTY_REASSEMBLY) {
    return { _tag: "Same", value }
  }
  if (Array.isArray(value) || ArrayBuffer.isView(value)) return undefined
  const fields = value as Fields
  const keys = Object.keys(fields)
  const parts: Array<Part> = []
  for (const key of keys) {
    const part = partOf(fields[key], numbers, key, name)
    if (part === undefined) return undefined
    parts.push(part)
  }
  const own = [...parts.keys()].filter((index) => !isSame(parts[index]))
  return { _tag: "Record", keys, parts, own, value: fields }
}

const numberOf = (value: number, numbers: Array<number>, within: string): Part => {
  const counts = within === COUNTS
  if (counts ? value === 0 : isCommon(value)) return { _tag: "Same", value }
  const known = counts ? -1 : numbers.indexOf(value)
  return known >= 0
    ? { _tag: "Own", slot: known, first: false }
    : { _tag: "Own", slot: numbers.push(value) - 1, first: true }
}

const isSame = (part: Part | undefined): boolean =>
  part?._tag === "Same" || (part?._tag === "Record" && part.own.length === 0)
