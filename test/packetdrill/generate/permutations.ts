import { accepted, type Generated, script } from "./script.ts"

const MSS = 1000
const COUNT = 5

/** RFC 2018 section 4, written down once more and apart from the stack: what a receiver answers to each segment. */
class Receiver {
  private next = 1
  /** Runs beyond `next`, that with the latest arrival first. */
  private runs: Array<readonly [left: number, right: number]> = []

  /** The acknowledgment of the segment at `left`: its number, and its blocks. */
  receive(left: number): string {
    let run: readonly [number, number] = [left, left + MSS]
    const others = this.runs.filter(([from, to]) => {
      if (to < run[0] || from > run[1]) return true
      run = [Math.min(from, run[0]), Math.max(to, run[1])]
      return false
    })
    if (run[0] === this.next) {
      this.next = run[1]
      this.runs = others
    } else this.runs = [run, ...others]
    const blocks = this.runs.map(([from, to]) => `${from}:${to}`).join(" ")
    return `ack ${this.next}${blocks === "" ? "" : ` <nop,nop,sack ${blocks}>`}`
  }
}

const permutations = (items: ReadonlyArray<number>): ReadonlyArray<ReadonlyArray<number>> =>
  items.length <= 1
    ? [items]
    : items.flatMap((first) => permutations(items.filter((x) => x !== first)).map((rest) => [first, ...rest]))

const one = (order: ReadonlyArray<number>): Generated => {
  const receiver = new Receiver()
  const exchange = order.flatMap((index) => {
    const left = 1 + (index - 1) * MSS
    return [`   +0 < . ${left}:${left + MSS}(${MSS}) ack 1 win 32792`, `   +0 > . 1:1(0) ${receiver.receive(left)}`]
  })
  const total = COUNT * MSS
  return script(
    `rfc2018/4-order-${order.join("")}.pkt`,
    [
      `RFC 2018 section 4: five segments arrive in the order ${order.join(" ")}.`,
      "Each that leaves a gap is answered at once (RFC 5681 section 4.2), its own block first,",
      "the others by how recently they were reported; data is delivered once it is in order.",
    ],
    [
      ...accepted(`mss ${MSS},nop,nop,sackOK`, "mss 1460,nop,nop,sackOK"),
      "",
      ...exchange,
      "",
      `   +0 read(4, ..., ${2 * total}) = ${total}`,
    ],
  )
}

/** Every order in which five segments can arrive. */
export const arrivalOrders = (): ReadonlyArray<Generated> =>
  permutations(Array.from({ length: COUNT }, (_, i) => i + 1)).map(one)
