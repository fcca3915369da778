import type { Arguments } from "../arguments.ts"
import { measureInside } from "../namespace.ts"
import type { Section } from "../report.ts"

export const peerSections = (given: Arguments): Promise<ReadonlyArray<Section>> =>
  measureInside("peers/inside.ts", "Peers", given)
