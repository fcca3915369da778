import type { WireDrop } from "./drop.ts"
import * as P from "./pcapng.ts"

export interface PcapngFile {
  readonly interfaces: ReadonlyArray<P.PcapngInterface>
  /** Their `data` are views of the file. */
  readonly packets: ReadonlyArray<P.PcapngPacket>
  /** What ended the reading before the file's end; everything before it is here. */
  readonly problem: WireDrop | undefined
}

/** One block's contents, between its two length fields. */
interface Body {
  readonly bytes: Uint8Array
  readonly view: DataView
  readonly little: boolean
  readonly start: number
  readonly end: number
}

/** Reads sections of either byte order, one after another, and passes over blocks of other kinds. */
export const readPcapng = (bytes: Uint8Array): PcapngFile => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const interfaces: Array<P.PcapngInterface> = []
  const packets: Array<P.PcapngPacket> = []
  const stop = (problem: WireDrop | undefined): PcapngFile => ({ interfaces, packets, problem })

  let little = true
  // Packets count interfaces from their own section's first.
  let firstInterface = 0
  let inSection = false
  let at = 0
  while (at < bytes.length) {
    if (bytes.length - at < P.BLOCK_FRAME) return stop("pcapng:truncated")
    // A section header's type reads the same both ways: its byte order is still to be found out.
    const opensSection = view.getUint32(at, true) === P.BLOCK_SECTION
    if (opensSection) {
      const order = byteOrder(view, at + 8)
      if (order === undefined) return stop("pcapng:not-pcapng")
      little = order === "little"
      firstInterface = interfaces.length
      inSection = true
    }
    if (!inSection) return stop("pcapng:not-pcapng")

    const length = view.getUint32(at + 4, little)
    if (length < P.BLOCK_FRAME || length % 4 !== 0) return stop("pcapng:bad-block-length")
    if (length > bytes.length - at) return stop("pcapng:truncated")
    if (view.getUint32(at + length - 4, little) !== length) return stop("pcapng:bad-block-length")
    const body: Body = { bytes, view, little, start: at + 8, end: at + length - 4 }
    const type = view.getUint32(at, little)
    if (type === P.BLOCK_INTERFACE) {
      const description = readInterface(body)
      if (description === undefined) return stop("pcapng:bad-block-length")
      interfaces.push(description)
    } else if (type === P.BLOCK_ENHANCED_PACKET) {
      const packet = readPacket(body, firstInterface)
      if (packet === undefined) return stop("pcapng:bad-block-length")
      packets.push(packet)
    }
    at += length
  }
  return stop(inSection ? undefined : "pcapng:truncated")
}

const byteOrder = (view: DataView, at: number): "little" | "big" | undefined => {
  if (view.getUint32(at, true) === P.BYTE_ORDER_MAGIC) return "little"
  return view.getUint32(at, false) === P.BYTE_ORDER_MAGIC ? "big" : undefined
}

const readInterface = (body: Body): P.PcapngInterface | undefined => {
  const { view, little, start, end } = body
  if (end - start < 8) return undefined
  let name: string | undefined
  let resolution = P.MICROSECONDS
  eachOption(body, start + 8, (code, from, to) => {
    if (code === P.OPTION_INTERFACE_NAME) name = text(body, from, to)
    if (code === P.OPTION_INTERFACE_RESOLUTION && to - from === 1) resolution = view.getUint8(from)
  })
  return {
    linkType: view.getUint16(start, little),
    snapLength: view.getUint32(start + 4, little),
    name,
    resolution,
  }
}

const readPacket = (body: Body, firstInterface: number): P.PcapngPacket | undefined => {
  const { bytes, view, little, start, end } = body
  if (end - start < 20) return undefined
  const captured = view.getUint32(start + 12, little)
  if (captured > end - start - 20) return undefined
  let comment: string | undefined
  let direction: P.PcapngPacket["direction"] = "unknown"
  eachOption(body, start + 20 + P.padded(captured), (code, from, to) => {
    if (code === P.OPTION_COMMENT) comment = text(body, from, to)
    if (code === P.OPTION_PACKET_FLAGS && to - from === 4) direction = directionOf(view.getUint32(from, little))
  })
  return {
    interfaceId: firstInterface + view.getUint32(start, little),
    timestamp: (BigInt(view.getUint32(start + 4, little)) << 32n) | BigInt(view.getUint32(start + 8, little)),
    direction,
    originalLength: view.getUint32(start + 16, little),
    data: bytes.subarray(start + 20, start + 20 + captured),
    comment,
  }
}

const directionOf = (flags: number): P.PcapngPacket["direction"] => {
  switch (flags & 3) {
    case 1:
      return "inbound"
    case 2:
      return "outbound"
    default:
      return "unknown"
  }
}

/** Stops at the end of the list, or at an option that overruns the block. */
const eachOption = (body: Body, start: number, visit: (code: number, from: number, to: number) => void): void => {
  let at = start
  while (body.end - at >= 4) {
    const code = body.view.getUint16(at, body.little)
    const length = body.view.getUint16(at + 2, body.little)
    if (code === P.OPTION_END || length > body.end - at - 4) return
    visit(code, at + 4, at + 4 + length)
    at += 4 + P.padded(length)
  }
}

const text = ({ bytes }: Body, from: number, to: number): string =>
  new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes.subarray(from, to))
