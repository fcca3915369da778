import type { UdpDatagram } from "../host/udp/types.ts"
import type { PlainUdp, UdpHandlers } from "./plainUdp.ts"
import { chargenPattern } from "./services.ts"

/** What a datagram service has done. */
export interface UdpServiceCounters {
  datagramsIn: number
  datagramsOut: number
  bytesIn: number
  bytesOut: number
}

export const udpServiceCounters = (): UdpServiceCounters => ({
  datagramsIn: 0,
  datagramsOut: 0,
  bytesIn: 0,
  bytesOut: 0,
})

/** Services that answer whatever comes: two of them would talk for ever (CERT CA-1996-01). */
const ANSWERING_PORTS = new Set([7, 13, 17, 19, 37])

/** RFC 864: a datagram of 0 to 512 characters. */
const MOST_CHARACTERS = 512

/** Echo (RFC 862): each datagram goes back to its sender. */
export const udpEcho = (counters: UdpServiceCounters): UdpHandlers => answering(counters, ({ payload }) => payload)

/** Discard (RFC 863). */
export const udpDiscard = (counters: UdpServiceCounters): UdpHandlers => answering(counters, () => undefined)

/** Character generator (RFC 864), with as many characters as came, so that nobody is hit harder through it than directly. */
export const udpChargen = (counters: UdpServiceCounters): UdpHandlers => {
  const pattern = chargenPattern()
  return answering(counters, ({ payload }) => pattern.subarray(0, Math.min(payload.length, MOST_CHARACTERS)))
}

const answering = (
  counters: UdpServiceCounters,
  answer: (datagram: UdpDatagram) => Uint8Array | undefined,
): UdpHandlers => ({
  onDatagram: (socket: PlainUdp, datagram: UdpDatagram) => {
    counters.datagramsIn++
    counters.bytesIn += datagram.payload.length
    if (ANSWERING_PORTS.has(datagram.source.port)) return
    const payload = answer(datagram)
    // Refused where there is no way back: then there is nobody to tell.
    if (payload === undefined || socket.trySend(payload, datagram.source) !== undefined) return
    counters.datagramsOut++
    counters.bytesOut += payload.length
  },
})
