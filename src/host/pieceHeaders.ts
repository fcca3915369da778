import { setU8, setU16, setU32 } from "../wire/bytes.ts"
import { finish, sum } from "../wire/checksum.ts"
import { IPV4_HEADER } from "../wire/ipv4.ts"
import { type FrameLayout, pieceFlags, seqOf, writeHeaders } from "./segmentHeaders.ts"
import type { SendSegment } from "./types.ts"

/**
 * The headers of all pieces but the first that a segment is cut into: written once, and copied. What differs is
 * the sequence number and IPv4's identification; of the last piece also its length and flags.
 */
export class PieceHeaders {
  private readonly octets: Uint8Array
  private readonly isIpv4: boolean

  constructor(
    private readonly layout: FrameLayout,
    private readonly effect: SendSegment,
  ) {
    const { segmentSize } = effect.segment
    this.octets = new Uint8Array(layout.payloadStart)
    this.isIpv4 = effect.source.family === 4
    writeHeaders(this.octets, layout, effect, segmentSize, segmentSize, 0)
    // Of a middle piece: the last one's flags are written there.
    setU8(this.octets, layout.tcpStart + FLAGS, MIDDLE & pieceFlags(layout, effect.segment, segmentSize, segmentSize))
  }

  /** Before the `n` octets from `from` on, the TCP checksum left 0. */
  write(out: Uint8Array, from: number, n: number, identification: number): void {
    const { layout, octets, isIpv4 } = this
    const { ipStart, tcpStart, payloadStart } = layout
    const { segment } = this.effect
    out.set(octets)
    setU32(out, tcpStart + SEQ, seqOf(segment, from))
    if (from + n === segment.length) {
      setU8(out, tcpStart + FLAGS, pieceFlags(layout, segment, from, n))
      setU16(out, ipStart + (isIpv4 ? TOTAL_LENGTH : PAYLOAD_LENGTH), payloadStart + n - (isIpv4 ? ipStart : tcpStart))
    }
    if (!isIpv4) return
    setU16(out, ipStart + IDENTIFICATION, identification)
    setU16(out, ipStart + CHECKSUM, 0)
    setU16(out, ipStart + CHECKSUM, finish(sum(out, ipStart, IPV4_HEADER)))
  }
}

/** Where fields are: RFC 791 section 3.1, RFC 8200 section 3, RFC 9293 section 3.1. */
const TOTAL_LENGTH = 2
const IDENTIFICATION = 4
const CHECKSUM = 10
const PAYLOAD_LENGTH = 4
const SEQ = 4
const FLAGS = 13
/** FIN and PSH are for the last piece. */
const MIDDLE = 0xf6
