import type { Seq } from "../tcp/seq.ts"
import type { Request } from "../tcp/tcb.ts"
import type { Terms } from "../tcp/terms.ts"
import { type Micros, OFF } from "../tcp/time.ts"
import type { IpAddress } from "../wire/address.ts"
import type { FlowTable } from "./flowTable.ts"
import type { Guard } from "./guards.ts"
import { NO_ROW, type Row, Rows } from "./rows.ts"
import type { SocketId } from "./types.ts"

/** What is kept of a request: the rest of one is its listener's. */
export type Kept = Omit<Request, "_tag" | "open" | "context" | "options" | "path">

/** Hashes four values as the connection table does. */
type Hasher = Pick<FlowTable, "hash">

/** Five numbers of 64 bits. */
const SINCE = 0
const OOW_AT = 1
const DEADLINE = 2
const TERMS = 3
const LISTENER = 4

/** Behind them nineteen of 32 bits; addresses are four of them. */
const REMOTE = 10
const LOCAL = 14
/** Local, then remote. */
const PORTS = 18
const ISS = 19
const IRS = 20
const TS_RECENT = 21
const TS_OFFSET = 22
const RCV_BUF = 23
/** The next of the same hash. */
const CHAIN = 24
/** Neighbours in the order of deadlines. */
const BEFORE = 25
const AFTER = 26
/** From the least bit: retransmissions (8), ACK seen (1), IPv6 (1), Fast Open cookie (2), interface (16). */
const STATE = 27
/** Local, then remote, 16 bits each; 0: none. */
const ZONES = 28
const COLUMNS = 30

const RETRANSMITS = 0xff
const ACKED = 1 << 8
const IPV6 = 1 << 9
const COOKIE_SHIFT = 10
const IFACE_SHIFT = 12
const IFACE = 0xffff
const COOKIES: ReadonlyArray<Request["cookie"]> = ["none", "standard", "experimental"]

/** Requests that wait equally long lie in one list, so that whoever comes last is due last: intervals double, up to a cap. */
const LISTS = 8

const FEWEST_CHAINS = 64

/**
 * The half-open requests of a host, packed: anyone can make them, and what one weighs is what a
 * flood weighs. They are found by the hash of their four values, and in the order of their
 * deadlines. `read` makes the record that the reducers work on, `update` takes it back.
 */
export class RequestTable {
  private readonly rows = new Rows(COLUMNS)
  private chains = new Uint32Array(FEWEST_CHAINS)
  private count = 0
  private readonly first = new Uint32Array(LISTS)
  private readonly last = new Uint32Array(LISTS)
  /** Of those few that are signed or protected by their TTL. */
  private readonly guards = new Map<Row, Guard>()

  constructor(private readonly hasher: Hasher) {}

  get size(): number {
    return this.count
  }

  find(local: IpAddress, localPort: number, remote: IpAddress, remotePort: number): Row {
    if (this.count === 0) return NO_ROW
    const hash = this.hasher.hash(local, localPort, remote, remotePort)
    const ports = portsOf(localPort, remotePort)
    const zones = zonesOf(local, remote)
    let row = (this.chains[hash & (this.chains.length - 1)] ?? NO_ROW) as Row
    while (row !== NO_ROW) {
      if (
        this.rows.word(row, PORTS) === ports &&
        this.familyOf(row) === remote.family &&
        this.rows.word(row, ZONES) === zones &&
        this.isAddress(row, REMOTE, remote) &&
        this.isAddress(row, LOCAL, local)
      ) {
        return row
      }
      row = this.rows.word(row, CHAIN) as Row
    }
    return NO_ROW
  }

  add(request: Kept, listener: SocketId, iface: number, guard: Guard | undefined): void {
    if (this.count >= this.chains.length) this.rehash()
    const { rows } = this
    const { local, remote } = request
    const row = rows.take()
    rows.setDouble(row, LISTENER, listener)
    this.setAddress(row, REMOTE, remote.address)
    this.setAddress(row, LOCAL, local.address)
    rows.setWord(row, PORTS, portsOf(local.port, remote.port))
    rows.setWord(row, ZONES, zonesOf(local.address, remote.address))
    rows.setWord(row, STATE, (iface << IFACE_SHIFT) | (remote.address.family === 6 ? IPV6 : 0))
    this.write(row, request)
    this.chain(row)
    this.link(row)
    if (guard !== undefined) this.guards.set(row, guard)
    this.count++
  }

  /** The same request after a step. */
  update(row: Row, request: Kept): void {
    this.unlink(row)
    this.write(row, request)
    this.link(row)
  }

  read(row: Row): Kept {
    const { rows } = this
    const state = rows.word(row, STATE)
    const ports = rows.word(row, PORTS)
    return {
      local: { address: this.address(row, LOCAL), port: ports >>> 16 },
      remote: { address: this.address(row, REMOTE), port: ports & 0xffff },
      iss: rows.word(row, ISS) as Seq,
      irs: rows.word(row, IRS) as Seq,
      terms: rows.double(row, TERMS) as Terms,
      tsRecent: rows.word(row, TS_RECENT),
      tsOffset: rows.word(row, TS_OFFSET),
      rcvBuf: rows.word(row, RCV_BUF),
      since: rows.double(row, SINCE),
      retransmits: state & RETRANSMITS,
      acked: (state & ACKED) !== 0,
      oowAt: rows.double(row, OOW_AT),
      deadline: rows.double(row, DEADLINE),
      cookie: COOKIES[(state >>> COOKIE_SHIFT) & 3] ?? "none",
    }
  }

  listenerOf(row: Row): SocketId {
    return this.rows.double(row, LISTENER) as SocketId
  }

  /** Where its segments leave: an index into the host's interfaces. */
  ifaceOf(row: Row): number {
    return (this.rows.word(row, STATE) >>> IFACE_SHIFT) & IFACE
  }

  guardOf(row: Row): Guard | undefined {
    return this.guards.size === 0 ? undefined : this.guards.get(row)
  }

  remove(row: Row): void {
    this.unchain(row)
    this.unlink(row)
    this.guards.delete(row)
    this.rows.giveBack(row)
    this.count--
    if (this.count > 0) return
    // The memory of a flood goes with the last of it.
    this.rows.clear()
    this.chains = new Uint32Array(FEWEST_CHAINS)
  }

  /** The request that is due first, or NO_ROW. */
  next(): Row {
    let first = NO_ROW
    for (let list = 0; this.count > 0 && list < LISTS; list++) {
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
    const stays = rows.word(row, STATE) & (IPV6 | (IFACE << IFACE_SHIFT))
    const cookie = COOKIES.indexOf(request.cookie) << COOKIE_SHIFT
    const retransmits = Math.min(request.retransmits, RETRANSMITS)
    rows.setWord(row, STATE, stays | cookie | (request.acked ? ACKED : 0) | retransmits)
  }

  private rehash(): void {
    this.chains = new Uint32Array(this.chains.length * 2)
    for (const row of this) this.chain(row)
  }

  private chain(row: Row): void {
    const at = this.chainOf(row)
    this.rows.setWord(row, CHAIN, this.chains[at] ?? NO_ROW)
    this.chains[at] = row
  }

  private unchain(row: Row): void {
    const at = this.chainOf(row)
    const after = this.rows.word(row, CHAIN)
    let before = (this.chains[at] ?? NO_ROW) as Row
    if (before === row) {
      this.chains[at] = after
      return
    }
    for (let next = before; next !== row && next !== NO_ROW; next = this.rows.word(before, CHAIN) as Row) before = next
    this.rows.setWord(before, CHAIN, after)
  }

  private chainOf(row: Row): number {
    const ports = this.rows.word(row, PORTS)
    const hash = this.hasher.hash(this.address(row, LOCAL), ports >>> 16, this.address(row, REMOTE), ports & 0xffff)
    return hash & (this.chains.length - 1)
  }

  private listOf(row: Row): number {
    return Math.min(this.rows.word(row, STATE) & RETRANSMITS, LISTS - 1)
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

  private familyOf(row: Row): 4 | 6 {
    return (this.rows.word(row, STATE) & IPV6) === 0 ? 4 : 6
  }

  private isAddress(row: Row, at: number, { a, b, c, d }: IpAddress): boolean {
    const { rows } = this
    return (
      rows.word(row, at + 3) === d &&
      rows.word(row, at + 2) === c &&
      rows.word(row, at + 1) === b &&
      rows.word(row, at) === a
    )
  }

  private address(row: Row, at: number): IpAddress {
    const { rows } = this
    const zones = rows.word(row, ZONES)
    const zone = at === LOCAL ? zones >>> 16 : zones & 0xffff
    const a = rows.word(row, at)
    const b = rows.word(row, at + 1)
    const c = rows.word(row, at + 2)
    const d = rows.word(row, at + 3)
    return zone === 0 ? { family: this.familyOf(row), a, b, c, d } : { family: 6, a, b, c, d, zone }
  }

  private setAddress(row: Row, at: number, { a, b, c, d }: IpAddress): void {
    this.rows.setWord(row, at, a)
    this.rows.setWord(row, at + 1, b)
    this.rows.setWord(row, at + 2, c)
    this.rows.setWord(row, at + 3, d)
  }
}

const zonesOf = (local: IpAddress, remote: IpAddress): number => (((local.zone ?? 0) << 16) | (remote.zone ?? 0)) >>> 0

const portsOf = (local: number, remote: number): number => ((local << 16) | remote) >>> 0
