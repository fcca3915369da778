import type { Arguments } from "../arguments.ts"
import { measureInside } from "../namespace.ts"
import type { Section } from "../report.ts"

/** Where each microsecond of a segment goes: see profile.ts for the parts. */
export const budgetSections = (given: Arguments): Promise<ReadonlyArray<Section>> =>
  measureInside("budget/inside.ts", "Budget", given)
