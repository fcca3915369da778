import type { Arguments } from "../arguments.ts"
import { measureInside } from "../namespace.ts"
import type { Section } from "../report.ts"

export const LOSS = 0.001
/** Microseconds. */
export const RTT = 20_000

export const JOB = "one flow, 100 Mbit/s, 20 ms, 0.1% loss"

export const TITLE = "Linux and netfold over one lossy wire"

/** Seconds before the measured ones: slow start is over then. */
export const WARM_UP = 5

export const methodOf = (seconds: number): string =>
  `Senders to Linux in a second namespace, over two TAPs without offload that a program joins in real time: 100 Mbit/s, 10 ms each way, a drop-tail queue of one bandwidth-delay product, 0.1% of data frames lost by seed. What is acknowledged in ${seconds} s after ${WARM_UP} s of warm-up, and the same seconds in virtual time; base: the response function (RFC 9438 section 5.1).`

export const wireSections = (given: Arguments): Promise<ReadonlyArray<Section>> =>
  measureInside("wire/inside.ts", TITLE, given)
