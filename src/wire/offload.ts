/** What the device must still do to a frame: nothing (`NO_OFFLOAD`), a checksum, or cutting too. */
export interface Offload {
  /** Where the checksummed part starts, from the first octet of the frame; 0: no checksum wanted. */
  readonly checksumStart: number
  /** Where its field is, from `checksumStart`. */
  readonly checksumOffset: number
  /** Payload octets per segment, or per datagram where the checksum is UDP's; 0: do not cut. */
  readonly segmentSize: number
  /** All headers together, octets. */
  readonly headerLength: number
  readonly family: 4 | 6
}

export const NO_OFFLOAD: Offload = { checksumStart: 0, checksumOffset: 0, segmentSize: 0, headerLength: 0, family: 4 }
