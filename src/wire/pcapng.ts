/**
 * The pcapng capture format (draft-ietf-opsawg-pcapng) as data: what the writer takes and the
 * reader returns. Timestamps count units of the interface's resolution, from 1970 on live ones.
 */
export interface PcapngInterface {
  readonly linkType: number
  /** Octets kept of a packet, 0: all. */
  readonly snapLength: number
  readonly name: string | undefined
  /** `MICROSECONDS`, `NANOSECONDS`, or any other octet of option if_tsresol. */
  readonly resolution: number
}

export interface PcapngPacket {
  /** Counted over the whole file, from 0. */
  readonly interfaceId: number
  readonly timestamp: bigint
  readonly direction: "unknown" | "inbound" | "outbound"
  /** As it was on the wire; more than `data` has when the capture cut it. */
  readonly originalLength: number
  readonly data: Uint8Array
  readonly comment: string | undefined
}

export const LINKTYPE_ETHERNET = 1
/** Packets begin with the IP header. */
export const LINKTYPE_RAW = 101

export const MICROSECONDS = 6
export const NANOSECONDS = 9

/** How many units make a second: a power of ten, or of two when the first bit is set. */
export const unitsPerSecond = (resolution: number): bigint =>
  (resolution & 0x80 ? 2n : 10n) ** BigInt(resolution & 0x7f)

export const BLOCK_SECTION = 0x0a0d0d0a
export const BLOCK_INTERFACE = 1
export const BLOCK_ENHANCED_PACKET = 6

/** Read in the section's own byte order, this tells which one that is. */
export const BYTE_ORDER_MAGIC = 0x1a2b3c4d

export const OPTION_END = 0
export const OPTION_COMMENT = 1
export const OPTION_SECTION_APPLICATION = 4
export const OPTION_INTERFACE_NAME = 2
export const OPTION_INTERFACE_RESOLUTION = 9
export const OPTION_PACKET_FLAGS = 2

/** Type, length, and the length once more at the end. */
export const BLOCK_FRAME = 12

/** Fields and options begin at multiples of 4. */
export const padded = (length: number): number => (length + 3) & ~3
