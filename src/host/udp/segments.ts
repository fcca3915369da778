import { refuse } from "../refusal.ts"
import type { HostRefusal } from "../types.ts"

/** Datagrams that one call makes at most: Linux's UDP_MAX_SEGMENTS. */
export const MAX_SEGMENTS = 64

/** Whether a size can be asked for: 16 bits, of which 0 means that nothing is cut. */
export const isGsoSize = (size: number): boolean => Number.isInteger(size) && size >= 0 && size <= 65_535

export const BAD_GSO_SIZE = refuse("EINVAL", "Linux:udp_lib_setsockopt:UDP_SEGMENT")

/** Why `length` octets cannot be cut into datagrams of `gsoSize`; `fits` says of a payload whether the path takes it whole. */
export const refuseSegments = (
  length: number,
  gsoSize: number,
  fits: (payload: number) => boolean,
): HostRefusal | undefined => {
  // A datagram of a train is never fragmented, whatever the socket says of fragments.
  if (!fits(Math.min(length, gsoSize)))
    return refuse("EMSGSIZE", "Linux:udp_send_skb:segment-longer-than-the-path-takes")
  return length > gsoSize * MAX_SEGMENTS ? refuse("EINVAL", "Linux:udp_send_skb:UDP_MAX_SEGMENTS") : undefined
}

/** Views of the payload of each datagram; 0: of one. */
export const segmentsOf = (payload: Uint8Array, gsoSize: number): ReadonlyArray<Uint8Array> => {
  if (gsoSize === 0 || payload.length <= gsoSize) return [payload]
  return Array.from({ length: Math.ceil(payload.length / gsoSize) }, (_, n) =>
    payload.subarray(n * gsoSize, (n + 1) * gsoSize),
  )
}
