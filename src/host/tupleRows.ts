import type { Endpoint, IpAddress } from "../wire/address.ts"
import type { FlowTable } from "./flowTable.ts"
import { NO_ROW, type Row, Rows } from "./rows.ts"

/** Hashes four values as the connection table does. */
export type Hasher = Pick<FlowTable, "hash">

/** Addresses are four words. */
const REMOTE = 0
const LOCAL = 4
/** Local, then remote. */
const PORTS = 8
/** Local, then remote, 16 bits each; 0: none. */
const ZONES = 9
/** The next of the same hash. */
const CHAIN = 10
/** The least bit: IPv6; the others are the user's. */
const NOTE = 11

/** The first column that is the user's; an even one. */
export const FIRST_COLUMN = 12

const IPV6 = 1
const FEWEST_CHAINS = 64

/** Rows that begin with the two ends of a connection, and are found by them. */
export class TupleRows {
  readonly rows: Rows
  private chains = new Uint32Array(FEWEST_CHAINS)
  private count = 0

  /** `columns`: an even number, those of the ends included. */
  constructor(
    columns: number,
    private readonly hasher: Hasher,
  ) {
    this.rows = new Rows(columns)
  }

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

  add(local: Endpoint, remote: Endpoint): Row {
    if (this.count >= this.chains.length) this.rehash()
    const { rows } = this
    const row = rows.take()
    this.setAddress(row, REMOTE, remote.address)
    this.setAddress(row, LOCAL, local.address)
    rows.setWord(row, PORTS, portsOf(local.port, remote.port))
    rows.setWord(row, ZONES, zonesOf(local.address, remote.address))
    rows.setWord(row, NOTE, remote.address.family === 6 ? IPV6 : 0)
    this.chain(row)
    this.count++
    return row
  }

  remove(row: Row): void {
    this.unchain(row)
    this.rows.giveBack(row)
    this.count--
    // The memory of a flood goes with the last of it.
    if (this.count === 0 && this.rows.clear()) this.chains = new Uint32Array(FEWEST_CHAINS)
  }

  /** In no order that means anything; the rows must not change meanwhile. */
  *[Symbol.iterator](): Generator<Row> {
    for (const first of this.chains) {
      for (let row = first as Row; row !== NO_ROW; row = this.rows.word(row, CHAIN) as Row) yield row
    }
  }

  local(row: Row): Endpoint {
    return { address: this.address(row, LOCAL), port: this.rows.word(row, PORTS) >>> 16 }
  }

  remote(row: Row): Endpoint {
    return { address: this.address(row, REMOTE), port: this.rows.word(row, PORTS) & 0xffff }
  }

  /** 31 bits that are the user's; 0 in a row that has just been added. */
  note(row: Row): number {
    return this.rows.word(row, NOTE) >>> 1
  }

  setNote(row: Row, note: number): void {
    this.rows.setWord(row, NOTE, (note << 1) | (this.rows.word(row, NOTE) & IPV6))
  }

  private rehash(): void {
    const { chains } = this
    this.chains = new Uint32Array(chains.length * 2)
    for (const first of chains) {
      let row = first as Row
      while (row !== NO_ROW) {
        const next = this.rows.word(row, CHAIN) as Row
        this.chain(row)
        row = next
      }
    }
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

  private familyOf(row: Row): 4 | 6 {
    return (this.rows.word(row, NOTE) & IPV6) === 0 ? 4 : 6
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
