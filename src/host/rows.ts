/** Where a row lies; counted from 1. */
export type Row = number & { readonly Row: unique symbol }

export const NO_ROW = 0 as Row

const PAGE_BITS = 8
/** Rows of one page. */
const PAGE = 1 << PAGE_BITS

/** The column of a free row that leads to the next one. */
const NEXT_FREE = 0

/**
 * Records of fixed length in pages of memory: what is kept by the hundred thousand and rarely looked
 * at costs its octets, and the garbage collector nothing. A row is an array of 32-bit columns; the
 * columns 2n and 2n + 1 together can hold a number of 64 bits, double n.
 */
export class Rows {
  private pages: Array<{ readonly words: Uint32Array; readonly doubles: Float64Array }> = []
  private free = NO_ROW

  /** `columns`: an even number. */
  constructor(private readonly columns: number) {}

  /** A row that nobody uses; what it holds is of no meaning. */
  take(): Row {
    if (this.free === NO_ROW) this.addPage()
    const row = this.free
    this.free = this.word(row, NEXT_FREE) as Row
    return row
  }

  giveBack(row: Row): void {
    this.setWord(row, NEXT_FREE, this.free)
    this.free = row
  }

  /** All rows have been given back: their memory goes, unless it is but one page. True: it has gone. */
  clear(): boolean {
    if (this.pages.length <= 1) return false
    this.pages = []
    this.free = NO_ROW
    return true
  }

  word(row: Row, column: number): number {
    return this.pages[row >> PAGE_BITS]?.words[(row & (PAGE - 1)) * this.columns + column] ?? 0
  }

  setWord(row: Row, column: number, value: number): void {
    const page = this.pages[row >> PAGE_BITS]
    if (page !== undefined) page.words[(row & (PAGE - 1)) * this.columns + column] = value
  }

  double(row: Row, index: number): number {
    return this.pages[row >> PAGE_BITS]?.doubles[(row & (PAGE - 1)) * (this.columns / 2) + index] ?? 0
  }

  setDouble(row: Row, index: number, value: number): void {
    const page = this.pages[row >> PAGE_BITS]
    if (page !== undefined) page.doubles[(row & (PAGE - 1)) * (this.columns / 2) + index] = value
  }

  /** Row 0 stays unused: it is none. */
  private addPage(): void {
    const from = this.pages.length * PAGE
    const buffer = new ArrayBuffer(PAGE * this.columns * 4)
    this.pages.push({ words: new Uint32Array(buffer), doubles: new Float64Array(buffer) })
    for (let row = from + PAGE - 1; row >= Math.max(from, 1); row--) this.giveBack(row as Row)
  }
}
