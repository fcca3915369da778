import { LARGEST_DATAGRAM } from "../../src/net/Udp.ts"
import { octets } from "./octets.ts"

/** What one fragment carries under an MTU of 1500, a multiple of eight octets. */
const ROOM = { 4: 1480, 6: 1448 } as const
/** Every size up to here: two whole fragments and some more. */
const SMALL = 4200
const TOP = 200
/** Datagrams on their way at once: what the kernel keeps for a socket unless root says otherwise is counted in whole pages. */
const MOST_DATAGRAMS = 32
const MOST_OCTETS = 100_000

const every = (first: number, last: number): ReadonlyArray<number> =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index)

/**
 * Sizes of datagrams: every small one, two around each multiple of a fragment and each power of two, and the
 * largest; with NETFOLD_UDP_SIZES=all every size that there is.
 */
export const sizesFor = (family: 4 | 6): ReadonlyArray<number> => {
  const largest = LARGEST_DATAGRAM[family]
  if (process.env["NETFOLD_UDP_SIZES"] === "all") return every(0, largest)
  const around = (size: number): ReadonlyArray<number> => every(size - 2, size + 2)
  const sizes = [
    ...every(0, SMALL),
    ...every(1, 45).flatMap((fragments) => around(fragments * ROOM[family] - 8)),
    ...every(13, 16).flatMap((bits) => around(2 ** bits)),
    ...every(largest - TOP, largest),
  ]
  return [...new Set(sizes.filter((size) => size >= 0 && size <= largest))].sort((x, y) => x - y)
}

/** Consecutive sizes that may be on their way together. */
export const batchesOf = (sizes: ReadonlyArray<number>): ReadonlyArray<ReadonlyArray<number>> => {
  const batches: Array<Array<number>> = []
  let octetsIn = Number.POSITIVE_INFINITY
  for (const size of sizes) {
    const last = batches.at(-1)
    if (last !== undefined && last.length < MOST_DATAGRAMS && octetsIn + size <= MOST_OCTETS) {
      last.push(size)
      octetsIn += size
    } else {
      batches.push([size])
      octetsIn = size
    }
  }
  return batches
}

const NOISE = octets(2 ** 17)

/** A datagram of this size: another place in the noise for each, so that none can be taken for another. */
export const payloadOf = (size: number): Uint8Array => {
  const from = (size * 7919) & 0xffff
  return NOISE.subarray(from, from + size)
}
