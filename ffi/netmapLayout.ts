/**
 * What libnetmap's descriptor and netmap's shared memory look like (net/netmap.h, net/netmap_user.h, libnetmap.h;
 * NETMAP_API 14, 64-bit machines, the machine's order, which is little-endian wherever Bun runs). Offsets in octets.
 */

/** The interface that these offsets describe. The library writes the one that it was built for into each request. */
export const NETMAP_API = 14

/** struct nmport_d: an nmreq_header, an nmreq_register, then what registering has found. */
export const Port = {
  /** hdr.nr_version u16. */
  version: 0,
  /** hdr.nr_name, 64 octets. */
  name: 8,
  nameLength: 64,
  /** reg.nr_offset u64: of the netmap_if in the shared memory. */
  offset: 88,
  /** reg.nr_memsize u64: of the shared memory. */
  memorySize: 96,
  /** reg.nr_mode u32. */
  mode: 124,
  /** reg.nr_flags u64. */
  flags: 136,
  fd: 176,
  /** struct netmap_if *. */
  nifp: 184,
  /** u16 each; the last one included. */
  firstTx: 192,
  lastTx: 194,
  firstRx: 196,
  lastRx: 198,
  size: 216,
} as const

/** reg.nr_mode: which rings a descriptor has. */
export const Mode = {
  allNic: 1,
  /** The host's, `^`. */
  host: 2,
  /** Both, `*`. */
  nicAndHost: 3,
  /** One pair, `-N`. */
  oneNic: 4,
  pipeMaster: 5,
  pipeSlave: 6,
  oneHost: 8,
} as const

/** reg.nr_flags. */
export const Flag = {
  monitorTx: 0x100,
  monitorRx: 0x200,
  /** We can do with frames that begin with a virtio-net header, where the port wants it. */
  acceptVnetHeader: 0x8000,
  /** poll(2) is to leave the transmit rings alone: another thread polls while this one fills them. */
  noTxPoll: 0x20000,
} as const

/** struct netmap_if: numbers u32, ring_ofs i64 each, relative to the netmap_if. */
export const Interface = { txRings: 24, rxRings: 28, hostTx: 36, hostRx: 40, ringOffsets: 56 } as const

/** struct netmap_ring; buf_ofs i64, ringid and dir u16, the rest u32. */
export const Ring = {
  bufferOffset: 0,
  numSlots: 8,
  bufferSize: 12,
  direction: 18,
  head: 20,
  cur: 24,
  tail: 28,
  slots: 256,
} as const

/** struct netmap_slot: buf_idx u32, len u16, flags u16, ptr u64. */
export const Slot = { bufferIndex: 0, length: 4, flags: 6, size: 16 } as const

/** The frame goes on in the next slot. The upper octet of the flags carries a count of fragments and is none of it. */
export const NS_MOREFRAG = 0x20

export const NR_TX = 0
export const NR_RX = 1

// sys/ioccom.h and asm-generic/ioctl.h: FreeBSD marks a request without argument, Linux does not.
const VOID = process.platform === "freebsd" ? 0x2000_0000 : 0
/** _IO('i', 148), _IO('i', 149), without argument. */
export const NIOCTXSYNC = VOID + 0x6994
export const NIOCRXSYNC = VOID + 0x6995
/** _IOWR('i', 151, struct nmreq_header). */
export const NIOCCTRL = 0xc058_6997

/** struct nmreq_header: nr_version u16, nr_reqtype u16, nr_reserved u32, nr_name, nr_options u64, nr_body u64. */
export const Request = { version: 0, type: 2, name: 8, body: 80, size: 88 } as const
/** nr_reqtype of the two that have a struct nmreq_port_hdr (nr_hdr_len u32) as their body. */
export const NETMAP_REQ_PORT_HDR_SET = 6
export const NETMAP_REQ_PORT_HDR_GET = 7
