import type { Arguments } from "../arguments.ts"
import { measureInside } from "../namespace.ts"
import type { Section } from "../report.ts"

export const deviceSections = (given: Arguments): Promise<ReadonlyArray<Section>> =>
  measureInside("device/inside.ts", "TAP device", given)
