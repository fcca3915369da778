import { existsSync } from "node:fs"
import { check, Errno, SystemError } from "./errno.ts"
import { dlopen, FFIType, type Pointer, read as peek, toArrayBuffer } from "./foreign.ts"
import { negatedErrno } from "./libc.ts"
import { type Address, cString, type Pinned, pinned } from "./memory.ts"
import { NetmapIncompatible, NetmapLibraryMissing } from "./netmapError.ts"
import {
  Flag,
  Interface,
  Mode,
  NETMAP_API,
  NETMAP_REQ_PORT_HDR_GET,
  NETMAP_REQ_PORT_HDR_SET,
  NIOCCTRL,
  NIOCRXSYNC,
  NIOCTXSYNC,
  NR_RX,
  NR_TX,
  Port,
  Request,
} from "./netmapLayout.ts"
import { NetmapRing } from "./netmapRing.ts"

/**
 * The functions of libnetmap, and ioctl(2) as that library sees it: a look-up in a library goes on in what
 * it depends on (dlsym(3)), so that it is the C library's unless the library brings its own, as the test
 * suite's does.
 */
const declarations = {
  nmport_prepare: { args: ["ptr"], returns: "ptr" },
  nmport_open_desc: { args: ["ptr"], returns: "i32" },
  nmport_close: { args: ["ptr"], returns: "void" },
  // size_t as i32: frames are shorter than 2 GiB.
  nmport_inject: { args: ["ptr", "ptr", FFIType.u64_fast], returns: "i32" },
  ioctl: { args: ["i32", FFIType.u64_fast, "ptr"], returns: "i32" },
} as const

const load = (path: string) => dlopen(path, declarations).symbols
type Library = ReturnType<typeof load>

export const NETMAP_PATH = "/dev/netmap"
const DEFAULT_LIBRARY = "libnetmap.so"
export const LIBRARY_VARIABLE = "NETFOLD_LIBNETMAP"

/** The library's path: a setting, by default a bare name that the dynamic linker finds. */
export const netmapLibraryPath = (): string => process.env[LIBRARY_VARIABLE] || DEFAULT_LIBRARY

export const netmapModuleLoaded = (): boolean => existsSync(NETMAP_PATH)

const libraries = new Map<string, Library>()

/** Loads libnetmap, once for each path. Throws NetmapLibraryMissing. */
export const loadNetmap = (path: string = netmapLibraryPath()): Library => {
  const known = libraries.get(path)
  if (known !== undefined) return known
  try {
    const library = load(path)
    libraries.set(path, library)
    return library
  } catch (cause) {
    throw new NetmapLibraryMissing(problemOf(path), { cause })
  }
}

const problemOf = (path: string): string => {
  if (path.includes("/")) {
    return existsSync(path) ? `${path} cannot be loaded as libnetmap` : `there is no library ${path}`
  }
  return `the dynamic linker finds no ${path} (LD_LIBRARY_PATH, /etc/ld.so.conf, /lib, /usr/lib)`
}

/**
 * An open port. The rings are views of memory that is shared with the kernel: once the port is closed, every
 * view that was ever made of it has length zero, whoever still holds it.
 */
export interface NetmapPort {
  /** As it was asked for: `vale0:a`, `netmap:eth0`. */
  readonly name: string
  /** For poll(2). */
  readonly fd: number
  /** All of the shared memory. */
  readonly memory: Uint8Array
  readonly tx: ReadonlyArray<NetmapRing>
  readonly rx: ReadonlyArray<NetmapRing>
  /** The host's rings and no others. */
  readonly host: boolean
  /** A pipe: what its other end has no room for stays in our rings, until a later sync. */
  readonly pipe: boolean
  /** NIC rings of the port, opened here or not. */
  readonly rings: number
  /** NIOCTXSYNC: the kernel takes what lies before `head` of our transmit rings. 0 or a negated errno. */
  readonly syncTx: () => number
  /** NIOCRXSYNC: the kernel takes back what lies before `head` of our receive rings, and shows what has come. */
  readonly syncRx: () => number
  /**
   * Copies `length` octets into as many slots as they need, of the first transmit ring with room. False when
   * none has: nothing was copied. A `syncTx` must follow.
   */
  readonly inject: (from: Address, length: number) => boolean
  readonly close: () => void
}

/** What `nmport_inject` reads past its source: it copies short frames in units of 64 octets. */
export const INJECT_SLACK = 64

/** Throws NetmapLibraryMissing, NetmapIncompatible or SystemError (EINVAL: a name that netmap does not understand). */
export const openNetmapPort = (name: string, libraryPath?: string): NetmapPort => {
  const library = loadNetmap(libraryPath)
  const prepared = library.nmport_prepare(cString(name).address)
  const descriptor = typeof prepared === "bigint" ? (Number(prepared) as Pointer) : prepared
  if (descriptor === null) throw new SystemError("nmport_prepare", negatedErrno())
  try {
    const version = peek.u16(descriptor, Port.version)
    if (version !== NETMAP_API) {
      throw new NetmapIncompatible(`libnetmap speaks version ${version} of netmap's interface, not ${NETMAP_API}`)
    }
    checkMode(name, descriptor)
    addFlags(descriptor, Flag.acceptVnetHeader + Flag.noTxPoll)
    if (library.nmport_open_desc(descriptor) < 0) throw new SystemError("nmport_open_desc", negatedErrno())
    return makePort(name, library, descriptor)
  } catch (cause) {
    library.nmport_close(descriptor)
    throw cause
  }
}

/** Modes in which a port is not one link with one other end. */
const checkMode = (name: string, descriptor: Pointer): void => {
  const mode = peek.u32(descriptor, Port.mode)
  const flags = Number(peek.u64(descriptor, Port.flags))
  if (mode === Mode.nicAndHost || (flags & (Flag.monitorTx | Flag.monitorRx)) !== 0) {
    throw new SystemError(`${name}: a stack takes the NIC's rings or the host's (^), and no monitor`, Errno.EINVAL)
  }
}

const addFlags = (descriptor: Pointer, flags: number): void => {
  const field = new DataView(toArrayBuffer(descriptor, Port.flags, 8))
  field.setBigUint64(0, field.getBigUint64(0, true) | BigInt(flags), true)
}

const makePort = (name: string, library: Library, descriptor: Pointer): NetmapPort => {
  const fd = peek.i32(descriptor, Port.fd)
  const size = Number(peek.u64(descriptor, Port.memorySize))
  const at = Number(peek.u64(descriptor, Port.offset))
  const nifp = Number(peek.ptr(descriptor, Port.nifp))
  if (!(at >= 0 && at + Interface.ringOffsets < size && nifp > at)) {
    throw new NetmapIncompatible(`the port's memory (${size} octets) does not hold its own description (at ${at})`)
  }
  // One buffer for all: a buffer of any ring may be anywhere in it (pipes exchange them).
  const region = toArrayBuffer((nifp - at) as Pointer, 0, size - (size % 8))
  const view = new DataView(region)
  const u32 = (offset: number): number => view.getUint32(at + offset, true)
  const counts = {
    tx: u32(Interface.txRings),
    rx: u32(Interface.rxRings),
    hostTx: u32(Interface.hostTx),
    hostRx: u32(Interface.hostRx),
  }
  const ringAt = (index: number, direction: number): NetmapRing =>
    NetmapRing.at(region, at + Number(view.getBigInt64(at + Interface.ringOffsets + 8 * index, true)), direction)
  const between = (first: number, last: number): ReadonlyArray<number> =>
    Array.from({ length: peek.u16(descriptor, last) - peek.u16(descriptor, first) + 1 }, (_, n) => {
      return peek.u16(descriptor, first) + n
    })
  const tx = between(Port.firstTx, Port.lastTx)
  const rx = between(Port.firstRx, Port.lastRx)
  const known = 8 * (counts.tx + counts.hostTx + counts.rx + counts.hostRx)
  if (
    at + Interface.ringOffsets + known > size ||
    tx.some((index) => index >= counts.tx + counts.hostTx) ||
    rx.some((index) => index >= counts.rx + counts.hostRx)
  ) {
    throw new NetmapIncompatible("the port's table of rings is not laid out as netmap 14 does it")
  }
  const mode = peek.u32(descriptor, Port.mode)
  let open = true
  const sync = (request: number): number => {
    if (!open) return -Errno.EBADF
    return library.ioctl(fd, request, null) < 0 ? negatedErrno() : 0
  }
  return {
    name,
    fd,
    memory: new Uint8Array(region),
    tx: tx.map((index) => ringAt(index, NR_TX)),
    // The transmit rings of the host lie between the NIC's and the first receive ring.
    rx: rx.map((index) => ringAt(index + counts.tx + counts.hostTx, NR_RX)),
    host: mode === Mode.host || mode === Mode.oneHost,
    pipe: mode === Mode.pipeMaster || mode === Mode.pipeSlave,
    rings: Math.min(counts.tx, counts.rx),
    syncTx: () => sync(NIOCTXSYNC),
    syncRx: () => sync(NIOCRXSYNC),
    inject: (from, length) => open && library.nmport_inject(descriptor, from, length) === length,
    close: () => {
      if (!open) return
      open = false
      // A view of memory that is no longer mapped kills the process: from here on all of them are empty.
      region.transfer()
      library.nmport_close(descriptor)
    },
  }
}

/** The name of the port itself, without rings and options, as requests about it have it. */
const headerRequest = (fd: number, library: Library, name: string, type: number, length: number): number => {
  const request = pinned(Request.size)
  const body: Pinned = pinned(8)
  request.view.setUint16(Request.version, NETMAP_API, true)
  request.view.setUint16(Request.type, type, true)
  new TextEncoder().encodeInto(name, request.bytes.subarray(Request.name, Request.name + Port.nameLength - 1))
  request.view.setBigUint64(Request.body, BigInt(body.address), true)
  body.view.setUint32(0, length, true)
  if (library.ioctl(fd, NIOCCTRL, request.address) < 0) return negatedErrno()
  return body.view.getUint32(0, true)
}

const bare = (name: string): string => name.replace(/^netmap:/, "").replace(/[\^*/@].*$|-\d+$/, "")

/** Octets of virtio-net header that begin each frame of the port: 0, 10 or 12. */
export const vnetHeaderOf = ({ fd, name }: NetmapPort, libraryPath?: string): number => {
  const length = headerRequest(fd, loadNetmap(libraryPath), bare(name), NETMAP_REQ_PORT_HDR_GET, 0)
  // Ports that have no such thing refuse the question.
  return Math.max(0, length)
}

/** Gives each frame of a VALE port a virtio-net header from here on. Throws SystemError: EINVAL for other ports. */
export const setVnetHeader = ({ fd, name }: NetmapPort, length: number, libraryPath?: string): void => {
  const answer = headerRequest(fd, loadNetmap(libraryPath), bare(name), NETMAP_REQ_PORT_HDR_SET, length)
  check("NETMAP_REQ_PORT_HDR_SET", answer)
}
