import type { Random } from "../random.ts"
import type { BurstLoss } from "./spec.ts"

/** Gilbert's and Elliott's channel: says of each frame whether it is lost. Begins in the good state. */
export class BurstChannel {
  private bad = false

  constructor(
    private readonly spec: BurstLoss,
    private readonly random: Random,
  ) {}

  loses(): boolean {
    const { spec, random } = this
    if (random.chance(this.bad ? spec.toGood : spec.toBad)) this.bad = !this.bad
    return random.chance(this.bad ? spec.lossInBad : spec.lossInGood)
  }
}

/** The channel's share of frames lost in the long run. */
export const meanLoss = ({ toBad, toGood, lossInBad, lossInGood }: BurstLoss): number => {
  if (toBad === 0) return lossInGood
  const inBad = toBad / (toBad + toGood)
  return inBad * lossInBad + (1 - inBad) * lossInGood
}
