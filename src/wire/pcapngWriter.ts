import * as P from "./pcapng.ts"

/** Each function returns one whole block, little-endian; a file is a section, interfaces, packets. */

interface Option {
  readonly code: number
  readonly value: Uint8Array
}

const LONGEST_OPTION = 0xffff

export const sectionHeader = (application: string | undefined): Uint8Array => {
  const options = text(P.OPTION_SECTION_APPLICATION, application)
  const { out, view } = block(P.BLOCK_SECTION, 16, options)
  view.setUint32(8, P.BYTE_ORDER_MAGIC, true)
  view.setUint16(12, 1, true)
  // The section's length is left open: all ones.
  view.setBigInt64(16, -1n, true)
  return out
}

export const interfaceDescription = (description: P.PcapngInterface): Uint8Array => {
  const resolution = { code: P.OPTION_INTERFACE_RESOLUTION, value: Uint8Array.of(description.resolution) }
  const options = [...text(P.OPTION_INTERFACE_NAME, description.name), resolution]
  const { out, view } = block(P.BLOCK_INTERFACE, 8, options)
  view.setUint16(8, description.linkType, true)
  view.setUint32(12, description.snapLength, true)
  return out
}

export const enhancedPacket = (packet: P.PcapngPacket): Uint8Array => {
  const options = [...text(P.OPTION_COMMENT, packet.comment), ...direction(packet.direction)]
  const { out, view } = block(P.BLOCK_ENHANCED_PACKET, 20 + P.padded(packet.data.length), options)
  view.setUint32(8, packet.interfaceId, true)
  view.setUint32(12, Number((packet.timestamp >> 32n) & 0xffff_ffffn), true)
  view.setUint32(16, Number(packet.timestamp & 0xffff_ffffn), true)
  view.setUint32(20, packet.data.length, true)
  view.setUint32(24, packet.originalLength, true)
  out.set(packet.data, 28)
  return out
}

const direction = (value: P.PcapngPacket["direction"]): ReadonlyArray<Option> =>
  value === "unknown"
    ? []
    : [{ code: P.OPTION_PACKET_FLAGS, value: Uint8Array.of(value === "inbound" ? 1 : 2, 0, 0, 0) }]

const text = (code: number, value: string | undefined): ReadonlyArray<Option> =>
  value === undefined ? [] : [{ code, value: new TextEncoder().encode(value).subarray(0, LONGEST_OPTION) }]

/** A block with room for `fixed` octets of fields, its options behind them. */
const block = (type: number, fixed: number, options: ReadonlyArray<Option>): { out: Uint8Array; view: DataView } => {
  const length = P.BLOCK_FRAME + fixed + optionsLength(options)
  const out = new Uint8Array(length)
  const view = new DataView(out.buffer)
  view.setUint32(0, type, true)
  view.setUint32(4, length, true)
  view.setUint32(length - 4, length, true)
  let at = 8 + fixed
  for (const { code, value } of options) {
    view.setUint16(at, code, true)
    view.setUint16(at + 2, value.length, true)
    out.set(value, at + 4)
    at += 4 + P.padded(value.length)
  }
  return { out, view }
}

/** The list and the empty option that ends it. */
const optionsLength = (options: ReadonlyArray<Option>): number =>
  options.length === 0 ? 0 : options.reduce((sum, { value }) => sum + 4 + P.padded(value.length), 4)
