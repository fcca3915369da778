import type { ScenarioName } from "./scenarios.ts"

/** What netfold may allocate: octets of JavaScript heap, as `bun test/budget/measure.ts` prints them. */
export interface Budget {
  readonly octets: number
  /** Octets of what. */
  readonly per: string
  /** What they are spent on. */
  readonly reason: string
}

/** A scenario may take so much of its budget. Runs differ by a few per cent at most: no clock is read, no collector runs. */
export const SLACK = 1.3

/** The measured numbers, rounded up. Who makes one larger says why here; who makes one smaller writes the smaller one. */
export const BUDGETS: Readonly<Record<ScenarioName, Budget>> = {
  "data in": {
    octets: 2300,
    per: "segment",
    reason: "the decoded packet, a step's copies of the block and of what it receives, the view of a copied payload",
  },
  "bulk out": {
    octets: 4500,
    per: "ACK of two segments",
    reason: "the packet, the step of an ACK with its scoreboard and congestion control, and two Transmits with theirs",
  },
  echo: {
    octets: 6750,
    per: "request of 64 octets and its answer",
    reason: "the steps of data in, of its ACK, of SEND and of output; a batch and its effects for every request",
  },
  "SYN to request": {
    octets: 2850,
    per: "SYN, answered",
    reason: "the packet, the request and its row, the step, and the SYN-ACK with its options",
  },
  "idle connection": {
    octets: 2550,
    per: "connection kept",
    reason: "the block with its parts, its entry in the tables, the socket and its receive queue",
  },
  "connection at rest": {
    octets: 550,
    per: "connection kept",
    reason: "two rows of numbers, and their places in two tables",
  },
}
