import type { Arguments } from "../arguments.ts"
import { measureInside } from "../namespace.ts"
import type { Section } from "../report.ts"
import { goalsOf } from "./goals.ts"

export const PEERS = "Peers"

export const peerSections = async (given: Arguments): Promise<ReadonlyArray<Section>> =>
  (await measureInside("peers/inside.ts", PEERS, given)).map((section) =>
    section.rates === undefined ? section : { ...section, goals: goalsOf(section.rates) },
  )
