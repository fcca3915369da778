import { Random } from "../../../wire/random.ts"

/** A prime, so that neither segments nor buffers fall into step with it. */
const PERIOD = 65_521

/** Octets that tell where in a transfer they belong: what is lost, doubled or out of order shows. */
export class Content {
  private readonly block: Uint8Array

  constructor(seed: number) {
    const random = new Random(seed, 0xc0)
    this.block = Uint8Array.from({ length: PERIOD }, () => random.below(256))
  }

  /** Some of the octets from `position` on, `most` at most: a view that never changes. */
  at(position: number, most: number): Uint8Array {
    const from = position % PERIOD
    return this.block.subarray(from, Math.min(PERIOD, from + most))
  }

  /** The octets are those from `position` on. */
  matches(bytes: Uint8Array, position: number): boolean {
    const { block } = this
    let from = position % PERIOD
    for (let i = 0; i < bytes.length; i++) {
      if (bytes[i] !== block[from]) return false
      if (++from === PERIOD) from = 0
    }
    return true
  }
}
