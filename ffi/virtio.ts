/**
 * struct virtio_net_hdr (linux/virtio_net.h), ten octets in the machine's order, before each frame of a
 * TAP opened with IFF_VNET_HDR:
 *
 *     0 flags u8   1 gso_type u8   2 hdr_len u16   4 gso_size u16   6 csum_start u16   8 csum_offset u16
 */
export const VNET_FLAGS = 0
export const VNET_GSO_TYPE = 1
export const VNET_HDR_LEN = 2
export const VNET_GSO_SIZE = 4
export const VNET_CSUM_START = 6
export const VNET_CSUM_OFFSET = 8

/** The checksum is partial: whoever sends the frame on fills it in. */
export const VIRTIO_NET_HDR_F_NEEDS_CSUM = 1
/** The checksum has been verified. */
export const VIRTIO_NET_HDR_F_DATA_VALID = 2

export const VIRTIO_NET_HDR_GSO_NONE = 0
export const VIRTIO_NET_HDR_GSO_TCPV4 = 1
export const VIRTIO_NET_HDR_GSO_TCPV6 = 4
/** UDP: each piece is a datagram with the same headers. */
export const VIRTIO_NET_HDR_GSO_UDP_L4 = 5
