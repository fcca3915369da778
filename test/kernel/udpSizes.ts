import { LARGEST_DATAGRAM } from "../../src/net/Udp.ts"

/** What one fragment carries under an MTU of 1500, a multiple of eight octets. */
const ROOM = { 4: 1480, 6: 1448 } as const

/** Sizes of datagrams around every multiple of a fragment and every power of two, and the ends. */
export const sizesFor = (family: 4 | 6): ReadonlyArray<number> => {
  const largest = LARGEST_DATAGRAM[family]
  const around = (size: number): ReadonlyArray<number> => [size - 1, size, size + 1]
  const sizes = [
    ...[0, 1, 2, 3, 7, 8, 9, 500, 1000, largest - 1, largest],
    ...Array.from({ length: 45 }, (_, index) => (index + 1) * ROOM[family] - 8).flatMap(around),
    ...Array.from({ length: 12 }, (_, index) => 2 ** (index + 5)).flatMap(around),
  ]
  return [...new Set(sizes.filter((size) => size >= 0 && size <= largest))].sort((x, y) => x - y)
}
