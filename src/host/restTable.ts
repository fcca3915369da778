import type { Endpoint, IpAddress } from "../wire/address.ts"
import type { Resting } from "./resting.ts"
import { NO_ROW, type Row, type Rows } from "./rows.ts"
import { FIRST_COLUMN, type Hasher, TupleRows } from "./tupleRows.ts"
import type { SocketId } from "./types.ts"

/** A number of 64 bits. */
const ID = FIRST_COLUMN / 2
/** The row in its shape. */
const PLACE = FIRST_COLUMN + 2
/** The next socket of the same chain. */
const CHAIN = FIRST_COLUMN + 3
const COLUMNS = FIRST_COLUMN + 4

const FEWEST_CHAINS = 64

/**
 * Where the connections at rest lie: found by their four values, and by their sockets' numbers.
 * A row's note is its shape.
 */
export class RestTable {
  private readonly tuples: TupleRows
  private readonly rows: Rows
  /** Sockets are numbered in their order, so that the number itself spreads them evenly. */
  private chains = new Uint32Array(FEWEST_CHAINS)

  constructor(hasher: Hasher) {
    this.tuples = new TupleRows(COLUMNS, hasher)
    this.rows = this.tuples.rows
  }

  get size(): number {
    return this.tuples.size
  }

  find(local: IpAddress, localPort: number, remote: IpAddress, remotePort: number): Row {
    return this.tuples.find(local, localPort, remote, remotePort)
  }

  findSocket(id: SocketId): Row {
    if (this.size === 0) return NO_ROW
    let row = (this.chains[id % this.chains.length] ?? NO_ROW) as Row
    while (row !== NO_ROW && this.idOf(row) !== id) row = this.rows.word(row, CHAIN) as Row
    return row
  }

  add(id: SocketId, local: Endpoint, remote: Endpoint, { shape, row: place }: Resting): void {
    if (this.size >= this.chains.length) this.rehash()
    const row = this.tuples.add(local, remote)
    this.rows.setDouble(row, ID, id)
    this.rows.setWord(row, PLACE, place)
    this.tuples.setNote(row, shape)
    this.chain(row)
  }

  remove(row: Row): void {
    this.unchain(row)
    this.tuples.remove(row)
    if (this.size === 0) this.chains = new Uint32Array(FEWEST_CHAINS)
  }

  idOf(row: Row): SocketId {
    return this.rows.double(row, ID) as SocketId
  }

  localOf(row: Row): Endpoint {
    return this.tuples.local(row)
  }

  remoteOf(row: Row): Endpoint {
    return this.tuples.remote(row)
  }

  placeOf(row: Row): Resting {
    return { shape: this.tuples.note(row), row: this.rows.word(row, PLACE) as Row }
  }

  /** The table must not change meanwhile. */
  [Symbol.iterator](): Generator<Row> {
    return this.tuples[Symbol.iterator]()
  }

  private rehash(): void {
    this.chains = new Uint32Array(this.chains.length * 2)
    for (const row of this) this.chain(row)
  }

  private chain(row: Row): void {
    const at = this.idOf(row) % this.chains.length
    this.rows.setWord(row, CHAIN, this.chains[at] ?? NO_ROW)
    this.chains[at] = row
  }

  private unchain(row: Row): void {
    const at = this.idOf(row) % this.chains.length
    const after = this.rows.word(row, CHAIN)
    let before = (this.chains[at] ?? NO_ROW) as Row
    if (before === row) {
      this.chains[at] = after
      return
    }
    for (let next = before; next !== row && next !== NO_ROW; next = this.rows.word(before, CHAIN) as Row) before = next
    this.rows.setWord(before, CHAIN, after)
  }
}
