import { statSync } from "node:fs"
import { check } from "./errno.ts"
import { flagsOf, ifreq, nameOf, setFlags } from "./ifreq.ts"
import { close, getuid, ioctl, ioctlNumber, O_CLOEXEC, O_NONBLOCK, O_RDWR, open } from "./libc.ts"
import { pinned } from "./memory.ts"

// linux/if_tun.h
const TUNSETPERSIST = 0x400454cb
const TUNSETIFF = 0x400454ca
const TUNGETFEATURES = 0x800454cf
const TUNSETOFFLOAD = 0x400454d0
const TUNGETIFF = 0x800454d2
const TUNSETVNETHDRSZ = 0x400454d8
const TUNSETSNDBUF = 0x400454d4
const IFF_TUN = 0x0001
const IFF_TAP = 0x0002
const IFF_NAPI = 0x0010
const IFF_MULTI_QUEUE = 0x0100
const IFF_NO_PI = 0x1000
export const IFF_VNET_HDR = 0x4000
const TUN_F_CSUM = 0x01
const TUN_F_TSO4 = 0x02
const TUN_F_TSO6 = 0x04
const TUN_F_USO4 = 0x20
const TUN_F_USO6 = 0x40

export const TUN_PATH = "/dev/net/tun"

/** sizeof(struct virtio_net_hdr). Ten octets before Ethernet's fourteen: the IP header comes out aligned to eight. */
export const VNET_HEADER = 10

export interface Tap {
  readonly fd: number
  /** As the kernel named the interface. */
  readonly name: string
  /** The kernel may hand over, and takes, UDP datagrams that are not cut yet. */
  readonly datagramOffload: boolean
  /** What is written goes through GRO. */
  readonly napi: boolean
}

/** Opens /dev/net/tun, attached to nothing yet. Throws SystemError. */
export const openTunFile = (): number => check(`open ${TUN_PATH}`, open(TUN_PATH, O_RDWR | O_NONBLOCK | O_CLOEXEC))

const modeOfTunFile = (): string => {
  try {
    return `, whose mode is ${(statSync(TUN_PATH).mode & 0o777).toString(8).padStart(4, "0")}`
  } catch {
    // Not even its directory may be read.
    return ""
  }
}

/** What a failure of `openTunFile` means and what to do about it, in one line. `code` is POSIX's name. */
export const tunFileProblem = (code: string): string => {
  switch (code) {
    case "EACCES":
      return `user ${getuid()} may not read and write ${TUN_PATH}${modeOfTunFile()} (${code}): as root, chmod 0666 ${TUN_PATH}`
    case "EPERM":
      return `${TUN_PATH} is denied to this process (${code}): its container must be given the device`
    case "ENOENT":
    case "ENODEV":
    case "ENXIO":
      return `there is no ${TUN_PATH} (${code}): as root, modprobe tun`
    default:
      return `${TUN_PATH} cannot be opened (${code})`
  }
}

export interface TunMode {
  /** Frames of Ethernet (TAP) or IP packets (TUN). Default: ethernet. */
  readonly layer?: "ethernet" | "ip"
  /** One of several descriptors that share the interface. Default: the only one. */
  readonly multiQueue?: boolean
  /** What is written goes through the kernel's GRO, as what a NIC receives does. Default: it does not. */
  readonly napi?: boolean
}

/** Frames that wait for the kernel's thread, where it has one: more than any batch of a stack's. */
const NAPI_QUEUE = 16 << 20

/**
 * Attaches to the TAP or TUN interface `name`, creating it when there is none. With `vnetHeader`, each frame read or
 * written begins with a struct virtio_net_hdr, and the kernel may hand over TCP segments of up to 64 KiB and
 * checksums that are left partial. An interface made here goes away when its last descriptor is closed.
 *
 * Throws SystemError. On TUNSETIFF: EPERM without CAP_NET_ADMIN (or, for a persistent interface, as another user
 * than its owner), EBUSY when another process is attached, EINVAL when the name belongs to something
 * that is not an interface of this mode, E2BIG when it has no queue left.
 */
export const openTap = (name: string, vnetHeader: boolean, mode: TunMode = {}): Tap => {
  const { layer, multiQueue, napi = false } = mode
  const fd = openTunFile()
  try {
    const request = ifreq(name)
    const kind = layer === "ip" ? IFF_TUN : IFF_TAP
    const queues = multiQueue === true ? IFF_MULTI_QUEUE : 0
    setFlags(request, kind | IFF_NO_PI | queues | (vnetHeader ? IFF_VNET_HDR : 0) | (napi ? IFF_NAPI : 0))
    check("TUNSETIFF", ioctl(fd, TUNSETIFF, request))
    if (vnetHeader) {
      const size = pinned(4)
      size.view.setInt32(0, VNET_HEADER, true)
      check("TUNSETVNETHDRSZ", ioctl(fd, TUNSETVNETHDRSZ, size))
    }
    if (napi) setQueue(fd, NAPI_QUEUE)
    return { fd, name: nameOf(request), datagramOffload: setOffloads(fd, vnetHeader), napi }
  } catch (cause) {
    close(fd)
    throw cause
  }
}

/** What the kernel holds of a descriptor's frames at most, octets with its own records: EAGAIN to more. By default 2 GiB. */
const setQueue = (fd: number, octets: number): void => {
  const size = pinned(4)
  size.view.setInt32(0, octets, true)
  check("TUNSETSNDBUF", ioctl(fd, TUNSETSNDBUF, size))
}

/** Returns whether uncut UDP (USO, Linux 6.2) is among them. */
const setOffloads = (fd: number, vnetHeader: boolean): boolean => {
  // Also without: a persistent interface keeps what the process before us set.
  const offloads = vnetHeader ? TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 : 0
  // A kernel refuses what it does not know.
  if (vnetHeader && ioctlNumber(fd, TUNSETOFFLOAD, offloads | TUN_F_USO4 | TUN_F_USO6) === 0) return true
  check("TUNSETOFFLOAD", ioctlNumber(fd, TUNSETOFFLOAD, offloads))
  return false
}

/** The interface that a descriptor is attached to. Throws EBADFD once it is gone. */
export const attachedTo = (fd: number): { readonly name: string; readonly flags: number } => {
  const request = ifreq("")
  check("TUNGETIFF", ioctl(fd, TUNGETIFF, request))
  return { name: nameOf(request), flags: flagsOf(request) }
}

/** IFF_* features that this kernel's tun driver knows. */
export const tunFeatures = (fd: number): number => {
  const features = pinned(4)
  check("TUNGETFEATURES", ioctl(fd, TUNGETFEATURES, features))
  return features.view.getUint32(0, true)
}

/** Whether the interface outlives its descriptor. */
export const setPersistent = (fd: number, persistent: boolean): void => {
  check("TUNSETPERSIST", ioctlNumber(fd, TUNSETPERSIST, persistent ? 1 : 0))
}
