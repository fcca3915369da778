import {
  VIRTIO_NET_HDR_F_DATA_VALID,
  VIRTIO_NET_HDR_F_NEEDS_CSUM,
  VIRTIO_NET_HDR_GSO_NONE,
  VIRTIO_NET_HDR_GSO_TCPV4,
  VIRTIO_NET_HDR_GSO_TCPV6,
  VIRTIO_NET_HDR_GSO_UDP_L4,
  VNET_CSUM_OFFSET,
  VNET_CSUM_START,
  VNET_FLAGS,
  VNET_GSO_SIZE,
  VNET_GSO_TYPE,
  VNET_HDR_LEN,
} from "../../ffi/virtio.ts"
import { UDP_CHECKSUM_OFFSET } from "../wire/udp.ts"
import type { Offload, ReceivedFrame } from "./device.ts"

const VOUCHED = VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID

/** Reads the virtio header at `at` of `view` into what the stack wants to know of a frame. */
export const readVnetHeader = (view: DataView, frame: ReceivedFrame, at = 0): void => {
  frame.checksumVouched = (view.getUint8(at + VNET_FLAGS) & VOUCHED) !== 0
  const whole = view.getUint8(at + VNET_GSO_TYPE) === VIRTIO_NET_HDR_GSO_NONE
  frame.segmentSize = whole ? 0 : view.getUint16(at + VNET_GSO_SIZE, true)
}

/** Where the UDP header begins, from the frame's first octet, where the kernel has joined datagrams; else 0. */
export const joinedDatagrams = (view: DataView, at = 0): number =>
  view.getUint8(at + VNET_GSO_TYPE) === VIRTIO_NET_HDR_GSO_UDP_L4 ? view.getUint16(at + VNET_CSUM_START, true) : 0

/** Writes the virtio header that asks for `offload` at `at` of `view`. */
export const writeVnetHeader = (view: DataView, offload: Offload, at = 0): void => {
  const { checksumStart, segmentSize } = offload
  view.setUint8(at + VNET_FLAGS, checksumStart > 0 ? VIRTIO_NET_HDR_F_NEEDS_CSUM : 0)
  view.setUint8(at + VNET_GSO_TYPE, segmentSize > 0 ? gsoType(offload) : VIRTIO_NET_HDR_GSO_NONE)
  view.setUint16(at + VNET_HDR_LEN, segmentSize > 0 ? offload.headerLength : 0, true)
  view.setUint16(at + VNET_GSO_SIZE, segmentSize, true)
  view.setUint16(at + VNET_CSUM_START, checksumStart, true)
  view.setUint16(at + VNET_CSUM_OFFSET, offload.checksumOffset, true)
}

const gsoType = ({ family, checksumOffset }: Offload): number => {
  if (checksumOffset === UDP_CHECKSUM_OFFSET) return VIRTIO_NET_HDR_GSO_UDP_L4
  return family === 4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6
}
