import { availableParallelism } from "node:os"
import { Effect, type Scope } from "effect"
import { nameProblem } from "../../ffi/ifreq.ts"
import {
  bringUp,
  interfaceIndex,
  interfaceMac,
  interfaceMtu,
  setInterfaceAddress4,
  setInterfaceMac,
  setInterfaceMtu,
  setInterfaceQueueLength,
} from "../../ffi/interface.ts"
import { close } from "../../ffi/libc.ts"
import { addAddress } from "../../ffi/netlink.ts"
import { openTap as attach, type Tap } from "../../ffi/tun.ts"
import type { IpAddress, MacAddress } from "../wire/address.ts"
import type { Device } from "./device.ts"
import { askable } from "./kernelGroups.ts"
import { isGroupMac, randomMac } from "./mac.ts"
import { handOver } from "./napi.ts"
import { pollerStarted, register } from "./poller.ts"
import { TapDevice } from "./tapDevice.ts"
import { explain, type TapError, TapExists, TapNameInvalid, TapNotFound, TapOptionInvalid } from "./tapError.ts"

export type { TapError } from "./tapError.ts"

/** An address of the kernel's and the prefix that it reaches through the interface. */
export interface InterfaceAddress {
  readonly address: IpAddress
  /** Bits, counted from the family's own first one. */
  readonly prefixLength: number
}

export interface TapOptions {
  /** At most 15 octets; one `%d` in it is replaced by the first free number. Default `tap%d`. */
  readonly name?: string
  /**
   * Whether the interface must be there already (true) or must not (false). Left out, it is made
   * when it is not there. An interface that is there was configured by somebody else and stays as it is, but for
   * `napi`: `addresses`, `mtu`, `queueLength` and `kernelMac` are then not applied.
   */
  readonly existing?: boolean
  /** The KERNEL's addresses on a new interface: the stack's own neighbours, not its own. Default none. */
  readonly addresses?: ReadonlyArray<InterfaceAddress>
  /** Octets of IP packet in one frame, 68 to 65521. Default: the interface's own, 1500 on a new one. */
  readonly mtu?: number
  /**
   * Frames that the kernel keeps for us on a new interface (txqueuelen); it drops what comes when so many wait. Default: with
   * `offload` the kernel's, 1000, each of which may be 64 KiB; without, as many as 8 MiB are, if that is more.
   */
  readonly queueLength?: number
  /** The STACK's Ethernet address. Default: a random, locally administered one. */
  readonly mac?: MacAddress
  /** The KERNEL's Ethernet address on a new interface. Default: the kernel chooses. */
  readonly kernelMac?: MacAddress
  /** Exchange partial checksums and uncut TCP segments of up to 64 KiB with the kernel. Default false. */
  readonly offload?: boolean
  /**
   * Frames of Ethernet (a TAP), or IP packets without a link below them (a TUN, which has no MAC addresses).
   * Default: ethernet.
   */
  readonly layer?: "ethernet" | "ip"
  /**
   * Share the interface with other descriptors, of this process or of others, as one of its queues. The kernel keeps
   * each flow with the queue that last sent for it, and new ones go by a hash. Default false.
   */
  readonly multiQueue?: boolean
  /**
   * Let a thread of the kernel's take what we write (threaded NAPI), which is then done beside us and not by us; and,
   * without `offload`, join segments of ours to larger ones first (GRO), which saves it work, and us the ACKs for them.
   * Passed over where the kernel does not let us: it takes Linux 5.12, and CAP_SYS_ADMIN or a writable /sys, or an
   * interface that is set so already (its attribute `threaded`; without `offload` also `gro_flush_timeout`). One that
   * was there keeps the setting, which means nothing to who does not ask for NAPI. Default: true where there is more
   * than one processor.
   */
  readonly napi?: boolean
}

const DEFAULT_NAME = { ethernet: "tap%d", ip: "tun%d" } as const
/** RFC 791's least, and the most that the tun driver takes. */
const MIN_MTU = 68
const MAX_MTU = 65535 - 14

/**
 * Opens a TAP or TUN interface of the kernel in the current network namespace, makes it if need be (with the
 * kernel's addresses, up), and closes it with the scope: an interface made here is gone then.
 */
export const openTap = (options: TapOptions = {}): Effect.Effect<Device, TapError, Scope.Scope> =>
  Effect.acquireRelease(acquire(options), (device) => Effect.sync(() => device.close()))

/** Runs system calls; what they throw becomes a TapError. */
const system = <A>(name: string, calls: () => A): Effect.Effect<A, TapError> =>
  Effect.try({ try: calls, catch: (cause) => explain(name, cause) })

const acquire = (options: TapOptions): Effect.Effect<Device, TapError> =>
  Effect.gen(function* () {
    const name = options.name ?? DEFAULT_NAME[layerOf(options)]
    const wrong = problem(name, options)
    if (wrong !== undefined) return yield* wrong
    const exists = yield* system(name, () => interfaceIndex(name) !== undefined)
    if (options.existing === true && !exists) {
      return yield* new TapNotFound({ device: name, message: `${name}: no such interface (ENODEV)` })
    }
    if (options.existing === false && exists) {
      return yield* new TapExists({ device: name, message: `${name}: an interface of this name exists already` })
    }
    const tap = yield* system(name, () => attached(name, options))
    return yield* prepare(tap, exists, options).pipe(Effect.tapError(() => Effect.sync(() => close(tap.fd))))
  })

/** Done by the writer itself, NAPI only costs: where there can be no thread the interface is attached to again, without. */
const attached = (name: string, options: TapOptions): Tap => {
  const { layer, multiQueue, napi = availableParallelism() > 1, offload = false } = options
  const mode = { ...(layer && { layer }), ...(multiQueue && { multiQueue }) }
  if (!napi) return attach(name, offload, mode)
  const tap = attach(name, offload, { ...mode, napi })
  if (handOver(tap.name, !offload)) return tap
  close(tap.fd)
  return attach(name, offload, mode)
}

/** Makes a device of an attached descriptor. */
const prepare = (tap: Tap, exists: boolean, options: TapOptions): Effect.Effect<Device, TapError> =>
  Effect.gen(function* () {
    const { fd, name } = tap
    if (!exists) {
      yield* system(name, () => configure(name, options))
      yield* askable(
        name,
        (options.addresses ?? []).map(({ address }) => address),
      )
    }
    const layer = layerOf(options)
    const kernelMac = layer === "ip" ? undefined : yield* system(name, () => interfaceMac(name))
    if (options.mac !== undefined && options.mac === kernelMac) return yield* sharedMac(name)
    const mac = options.mac ?? macOtherThan(kernelMac)
    const mtu = Math.min(options.mtu ?? MAX_MTU, yield* system(name, () => interfaceMtu(name)))
    // The worker's dlopen must be over before anybody else's: see poller.ts.
    yield* Effect.tryPromise({ try: pollerStarted, catch: (cause) => explain(name, cause) })
    const registration = yield* system(name, () => register(fd))
    return new TapDevice(tap, layer, mac, mtu, options.offload === true, registration)
  })

const layerOf = ({ layer = "ethernet" }: TapOptions): "ethernet" | "ip" => layer

const macOtherThan = (taken: number | undefined): MacAddress => {
  const mac = randomMac()
  return mac === taken ? macOtherThan(taken) : mac
}

/**
 * What a few senders with windows of megabytes have on their way to us. The kernel's 1000 frames are 1.5 MB, and the
 * TAP takes from a sender the account of what waits there (skb_orphan), by which it would hold itself back.
 */
const QUEUED = 1 << 23
const KERNELS_QUEUE = 1000
const MAX_QUEUE = 1 << 20

const queueLengthOf = (name: string, { queueLength, offload = false }: TapOptions): number | undefined =>
  queueLength ?? (offload ? undefined : Math.max(KERNELS_QUEUE, Math.ceil(QUEUED / interfaceMtu(name))))

/** Everything about a new interface, then up: the kernel must not speak from half an address. */
const configure = (name: string, options: TapOptions): void => {
  if (options.kernelMac !== undefined) setInterfaceMac(name, options.kernelMac)
  if (options.mtu !== undefined) setInterfaceMtu(name, options.mtu)
  const queueLength = queueLengthOf(name, options)
  if (queueLength !== undefined) setInterfaceQueueLength(name, queueLength)
  const index = interfaceIndex(name) ?? 0
  const [first4, ...rest4] = (options.addresses ?? []).filter(({ address }) => address.family === 4)
  if (first4 !== undefined) {
    setInterfaceAddress4(name, { word: first4.address.d, prefixLength: first4.prefixLength })
  }
  bringUp(name)
  // The ioctl knows one IPv4 address for an interface; netlink adds the others. The kernel
  // refuses IPv6 addresses on an interface with an MTU below 1280.
  const others = [...rest4, ...(options.addresses ?? []).filter(({ address }) => address.family === 6)]
  for (const { address, prefixLength } of others) addAddress(index, octetsOf(address), prefixLength)
}

const octetsOf = ({ family, a, b, c, d }: IpAddress): Uint8Array => {
  const octets = new Uint8Array(16)
  const view = new DataView(octets.buffer)
  for (const [index, word] of [a, b, c, d].entries()) view.setUint32(index * 4, word)
  return family === 4 ? octets.subarray(12) : octets
}

/** What is wrong with the options, before any system call. */
const problem = (device: string, options: TapOptions): TapError | undefined => {
  const badName = nameProblem(device)
  if (badName !== undefined) return new TapNameInvalid({ device, message: `${device}: the name ${badName}` })
  const invalid = (message: string) => new TapOptionInvalid({ device, message: `${device}: ${message}` })
  const { mtu, mac, kernelMac, queueLength, addresses = [] } = options
  if (mtu !== undefined && !(Number.isInteger(mtu) && mtu >= MIN_MTU && mtu <= MAX_MTU)) {
    return invalid(`an MTU is ${MIN_MTU} to ${MAX_MTU}, not ${mtu}`)
  }
  if (queueLength !== undefined && !(Number.isInteger(queueLength) && queueLength > 0 && queueLength <= MAX_QUEUE)) {
    return invalid(`a queue's length is 1 to ${MAX_QUEUE} frames, not ${queueLength}`)
  }
  if (mac !== undefined && isGroupMac(mac)) return invalid("the stack's MAC is a multicast address")
  if (mac !== undefined && mac === kernelMac) return sharedMac(device)
  if (layerOf(options) === "ip" && (mac ?? kernelMac) !== undefined) return invalid("a TUN has no MAC addresses")
  for (const { address, prefixLength } of addresses) {
    const bits = address.family === 4 ? 32 : 128
    if (!(Number.isInteger(prefixLength) && prefixLength >= 0 && prefixLength <= bits)) {
      return invalid(`a prefix length is 0 to ${bits}, not ${prefixLength}`)
    }
  }
  return undefined
}

const sharedMac = (device: string): TapOptionInvalid =>
  new TapOptionInvalid({ device, message: `${device}: the stack and the kernel cannot share a MAC` })
