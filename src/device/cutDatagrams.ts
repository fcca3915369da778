import { finish, sum } from "../wire/checksum.ts"
import type { ReceivedFrame } from "./device.ts"

const UDP_HEADER = 8
const IPV4_TOTAL_LENGTH = 2
const IPV4_IDENTIFICATION = 4
const IPV4_CHECKSUM = 10
const IPV6_HEADER = 40
const IPV6_PAYLOAD_LENGTH = 4
const UDP_LENGTH = 4
/** Link, IP with options, UDP. */
const MAX_HEADERS = 18 + 60 + UDP_HEADER

const headers = new Uint8Array(MAX_HEADERS)

/**
 * Visits the datagrams of which the kernel has made one frame (UDP segmentation: the same headers, `segmentSize`
 * octets each but for the last). The stack above counts datagrams, so they are told apart here. In place:
 * each one's headers are written over the end of the one before. `ipStart` and `udpStart` count from the
 * frame's first octet. Returns how many there were; 0, and none visited, where the frame is no such thing.
 */
export const cutDatagrams = (
  frame: ReceivedFrame,
  ipStart: number,
  udpStart: number,
  visit: (frame: ReceivedFrame) => void,
): number => {
  const { bytes, offset: first, length: whole, segmentSize } = frame
  const headerLength = udpStart + UDP_HEADER
  if (segmentSize === 0 || headerLength > MAX_HEADERS || headerLength > whole || udpStart < ipStart + 20) return 0
  const view = new DataView(bytes.buffer, bytes.byteOffset + first, whole)
  const version = view.getUint8(ipStart) >> 4
  if (version === 6 && udpStart < ipStart + IPV6_HEADER) return 0
  const identification = version === 4 ? view.getUint16(ipStart + IPV4_IDENTIFICATION) : 0
  headers.set(bytes.subarray(first, first + headerLength))
  frame.segmentSize = 0
  let count = 0
  for (let from = headerLength; from < whole; from += segmentSize) {
    const n = Math.min(segmentSize, whole - from)
    const start = from - headerLength
    if (start > 0) bytes.set(headers.subarray(0, headerLength), first + start)
    view.setUint16(start + udpStart + UDP_LENGTH, UDP_HEADER + n)
    if (version === 4) {
      const ip = start + ipStart
      view.setUint16(ip + IPV4_TOTAL_LENGTH, headerLength - ipStart + n)
      view.setUint16(ip + IPV4_IDENTIFICATION, (identification + count) & 0xffff)
      view.setUint16(ip + IPV4_CHECKSUM, 0)
      view.setUint16(ip + IPV4_CHECKSUM, finish(sum(bytes, first + ip, udpStart - ipStart)))
    } else view.setUint16(start + ipStart + IPV6_PAYLOAD_LENGTH, headerLength - ipStart - IPV6_HEADER + n)
    frame.offset = first + start
    frame.length = headerLength + n
    visit(frame)
    count++
  }
  return count
}
