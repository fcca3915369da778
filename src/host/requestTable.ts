import type { Seq } from "../tcp/seq.ts"
import type { Request } from "../tcp/tcb.ts"
import type { Terms } from "../tcp/terms.ts"
import { type Micros, OFF } from "../tcp/time.ts"
import type { IpAddress } from "../wire/address.ts"
import type { Guard } from "./guards.ts"
import { NO_ROW, type Row, type Rows } from "./rows.ts"
import { FIRST_COLUMN, type Hasher, TupleRows } from "./tupleRows.ts"
import type { SocketId } from "./types.ts"

/** What is kept of a request: the rest of one is its listener's. */
export type Kept = Omit<Request, "_tag" | "open" | "context" | "options" | "path">

/** Behind the two ends, five numbers of 64 bits. */
const SINCE = FIRST_COLUMN / 2
const OOW_AT = SINCE + 1
const DEADLINE = SINCE + 2
const TERMS = SINCE + 3
const LISTENER = SINCE + 4

/** Behind them seven of 32 bits. */
const ISS = FIRST_COLUMN + 10
const IRS = ISS + 1
const TS_RECENT = ISS + 2
const TS_OFFSET = ISS + 3
const RCV_BUF = ISS + 4
/** Neighbours in the order of deadlines. */
const BEFORE = ISS + 5
const AFTER = ISS + 6
/** An even number. */
const COLUMNS = ISS + 8

/** A row's note, from the least bit: retransmissions (8), ACK seen (1), Fast Open cookie (2), interface (16). */
const RETRANSMITS = 0xff
const ACKED = 1 << 8
const COOKIE_SHIFT = 9
const IFACE_SHIFT = 11
const IFACE = 0xffff
const COOKIES: ReadonlyArray<Request["cookie"]> = ["none", "standard", "experimental"]

/** Requests that wait equally long lie in one list, so that whoever comes last is due last: intervals double, up to a cap. */
const LISTS = 8

/**
 * The half-open requests of a host, packed: anyone can make them, and what one weighs is what a
 * flood weighs. They are found by the hash of their four values, and in the order of their
 * deadlines. `read` makes the record that the reducers work on, `update` takes it back.
 */
export class RequestTable {
  private readonly tuples: TupleRows
  private readonly rows: Rows
  private readonly first = new Uint32Array(LISTS)
  private readonly last = new Uint32Array(LISTS)
  /** Of those few that are signed or protected by their TTL. */
  private readonly guards = new Map<Row, Guard>()

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

  add(request: Kept, listener: SocketId, iface: number, guard: Guard | undefined): void {
    const row = this.tuples.add(request.local, request.remote)
    this.rows.setDouble(row, LISTENER, listener)
    this.tuples.setNote(row, iface << IFACE_SHIFT)
    this.write(row, request)
    this.link(row)
    if (guard !== undefined) this.guards.set(row, guard)
  }

  /** The same request after a step. */
  update(row: Row, request: Kept): void {
    this.unlink(row)
    this.write(row, request)
    this.link(row)
  }

  read(row: Row): Kept {
    const { rows, tuples } = this
    const note = tuples.note(row)
    return {
      local: tuples.local(row),
      remote: tuples.remote(row),
      iss: rows.word(row, ISS) as Seq,
      irs: rows.word(row, IRS) as Seq,
      terms: rows.double(row, TERMS) as Terms,
      tsRecent: rows.word(row, TS_RECENT),
      tsOffset: rows.word(row, TS_OFFSET),
      rcvBuf: rows.word(row, RCV_BUF),
      since: rows.double(row, SINCE),
      retransmits: note & RETRANSMITS,
      acked: (note & ACKED) !== 0,
      oowAt: rows.double(row, OOW_AT),
      deadline: rows.double(row, DEADLINE),
      cookie: COOKIES[(note >>> COOKIE_SHIFT) & 3] ?? "none",
    }
  }

  listenerOf(row: Row): SocketId {
    return this.rows.double(row, LISTENER) as SocketId
  }

  /** Where its segments leave: an index into the host's interfaces. */
  ifaceOf(row: Row): number {
    return (this.tuples.note(row) >>> IFACE_SHIFT) & IFACE
  }

  guardOf(row: Row): Guard | undefined {
    return this.guards.size === 0 ? undefined : this.guards.get(row)
  }

  remove(row: Row): void {
    this.unlink(row)
    this.guards.delete(row)
    this.tuples.remove(row)
  }

  /** The request that is due first, or NO_ROW. */
  next(): Row {
    let first = NO_ROW
    for (let list = 0; this.size > 0 && list < LISTS; list++) {
      const row = (this.first[list] ?? NO_ROW) as Row
      if (row === NO_ROW) continue
      if (first === NO_ROW || this.deadlineOf(row) < this.deadlineOf(first)) first = row
    }
    return first
  }

  /** When that is, or OFF. */
  nextDeadline(): Micros {
    const row = this.next()
    return row === NO_ROW ? OFF : this.deadlineOf(row)
  }

  /** In the order of their lists; the table must not change meanwhile. */
  *[Symbol.iterator](): Generator<Row> {
    for (const first of this.first) {
      for (let row = first as Row; row !== NO_ROW; row = this.rows.word(row, AFTER) as Row) yield row
    }
  }

  private deadlineOf(row: Row): Micros {
    return this.rows.double(row, DEADLINE)
  }

  private write(row: Row, request: Kept): void {
    const { rows } = this
    rows.setDouble(row, SINCE, request.since)
    rows.setDouble(row, OOW_AT, request.oowAt)
    rows.setDouble(row, DEADLINE, request.deadline)
    rows.setDouble(row, TERMS, request.terms)
    rows.setWord(row, ISS, request.iss)
    rows.setWord(row, IRS, request.irs)
    rows.setWord(row, TS_RECENT, request.tsRecent)
    rows.setWord(row, TS_OFFSET, request.tsOffset)
    rows.setWord(row, RCV_BUF, request.rcvBuf)
    const stays = this.tuples.note(row) & (IFACE << IFACE_SHIFT)
    const cookie = COOKIES.indexOf(request.cookie) << COOKIE_SHIFT
    const retransmits = Math.min(request.retransmits, RETRANSMITS)
    this.tuples.setNote(row, stays | cookie | (request.acked ? ACKED : 0) | retransmits)
  }

  private listOf(row: Row): number {
    return Math.min(this.tuples.note(row) & RETRANSMITS, LISTS - 1)
  }

  /** Behind all that are due before it: at the end of its list, unless settings have changed. */
  private link(row: Row): void {
    const list = this.listOf(row)
    const at = this.deadlineOf(row)
    let before = (this.last[list] ?? NO_ROW) as Row
    while (before !== NO_ROW && this.deadlineOf(before) > at) before = this.rows.word(before, BEFORE) as Row
    const after = (before === NO_ROW ? this.first[list] : this.rows.word(before, AFTER)) as Row
    this.join(list, before, row)
    this.join(list, row, after)
  }

  private unlink(row: Row): void {
    this.join(this.listOf(row), this.rows.word(row, BEFORE) as Row, this.rows.word(row, AFTER) as Row)
  }

  private join(list: number, before: Row, after: Row): void {
    if (before === NO_ROW) this.first[list] = after
    else this.rows.setWord(before, AFTER, after)
    if (after === NO_ROW) this.last[list] = before
    else this.rows.setWord(after, BEFORE, before)
  }
}
