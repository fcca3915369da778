import type { Arguments } from "../arguments.ts"
import { measureInside } from "../namespace.ts"
import type { Section } from "../report.ts"

export const endToEndSections = (given: Arguments): Promise<ReadonlyArray<Section>> =>
  measureInside("endToEnd/inside.ts", "End to end", given)
