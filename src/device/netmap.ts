import { Effect, type Scope } from "effect"
import { SystemError } from "../../ffi/errno.ts"
import { interfaceMac, interfaceMtu } from "../../ffi/interface.ts"
import { type NetmapPort, openNetmapPort, setVnetHeader, vnetHeaderOf } from "../../ffi/netmap.ts"
import type { MacAddress } from "../wire/address.ts"
import type { Device } from "./device.ts"
import { checkedMac, isGroupMac, randomMac } from "./mac.ts"
import { NetmapDevice } from "./netmapDevice.ts"
import { explain, type NetmapError, NetmapOptionInvalid } from "./netmapError.ts"
import { pollerStarted, register } from "./poller.ts"

export type { NetmapError } from "./netmapError.ts"

export interface NetmapOptions {
  /**
   * As netmap writes it: `vale0:a` (a port of a VALE switch, made if need be), `eth0` or `netmap:eth0` (an interface),
   * `x{1` and `x}1` (a pipe), `eth0-2` (one ring), `eth0^` (the host's rings), `...@conf:rings=4`.
   */
  readonly port: string
  /** Octets of IP packet in one frame, 68 to 65521. Default: the interface's own, 1500 for a port that is none. */
  readonly mtu?: number
  /** The stack's Ethernet address. Default: the interface's own; for a port that is none, and for host rings, a random one. */
  readonly mac?: MacAddress
  /**
   * Give each frame of a VALE port a virtio-net header, to exchange partial checksums and uncut TCP segments of up
   * to 64 KiB; the switch cuts them for ports without. Default false: the header that the port has already.
   */
  readonly offload?: boolean
  /** Path of libnetmap. Default: NETFOLD_LIBNETMAP, else `libnetmap.so` by the dynamic linker. */
  readonly library?: string
}

const MIN_MTU = 68
const MAX_MTU = 65535 - 14
const DEFAULT_MTU = 1500
const VNET_HEADER = 10

/** Opens a netmap port, and closes it with the scope. */
export const openNetmap = (options: NetmapOptions): Effect.Effect<Device, NetmapError, Scope.Scope> =>
  Effect.acquireRelease(acquire(options), (device) => Effect.sync(() => device.close()))

/** A switch's port goes by its own name, everything else behind `netmap:`. */
export const portName = (port: string): string => {
  const bare = port.replace(/^netmap:/, "")
  return /^vale[^:]*:/.test(bare) ? bare : `netmap:${bare}`
}

const acquire = (options: NetmapOptions): Effect.Effect<Device, NetmapError> =>
  Effect.gen(function* () {
    const name = portName(options.port)
    const wrong = problem(name, options)
    if (wrong !== undefined) return yield* wrong
    // The worker's dlopen must be over before anybody else's: see poller.ts.
    yield* Effect.tryPromise({ try: pollerStarted, catch: (cause) => explain(name, cause) })
    const port = yield* attempt(name, () => openNetmapPort(name, options.library))
    return yield* attempt(name, () => make(port, options)).pipe(Effect.tapError(() => Effect.sync(() => port.close())))
  })

/** Runs native calls; what they throw becomes a NetmapError. */
const attempt = <A>(name: string, calls: () => A): Effect.Effect<A, NetmapError> =>
  Effect.try({ try: calls, catch: (cause) => explain(name, cause) })

const make = (port: NetmapPort, options: NetmapOptions): Device => {
  if (options.offload === true) setVnetHeader(port, VNET_HEADER, options.library)
  const header = vnetHeaderOf(port, options.library)
  const { mac, mtu } = interfaceOf(port)
  return new NetmapDevice(port, options.mac ?? mac, options.mtu ?? mtu, header, register(port.fd))
}

/** What the kernel says of the interface behind the port, where there is one. */
const interfaceOf = (port: NetmapPort): { readonly mac: MacAddress; readonly mtu: number } => {
  const name = /^netmap:([^{}^*/@]+?)(-\d+)?([\^*/@].*)?$/.exec(port.name)?.[1]
  if (name === undefined) return { mac: randomMac(), mtu: DEFAULT_MTU }
  try {
    // At the host's rings the interface's own address is the other end.
    return { mac: port.host ? randomMac() : checkedMac(interfaceMac(name)), mtu: interfaceMtu(name) }
  } catch (cause) {
    if (cause instanceof SystemError && cause.code === "ENODEV") return { mac: randomMac(), mtu: DEFAULT_MTU }
    throw cause
  }
}

const problem = (device: string, { mtu, mac }: NetmapOptions): NetmapError | undefined => {
  const invalid = (message: string) => new NetmapOptionInvalid({ device, message: `${device}: ${message}` })
  if (mtu !== undefined && !(Number.isInteger(mtu) && mtu >= MIN_MTU && mtu <= MAX_MTU)) {
    return invalid(`an MTU is ${MIN_MTU} to ${MAX_MTU}, not ${mtu}`)
  }
  if (mac !== undefined && isGroupMac(mac)) return invalid("the stack's MAC is a multicast address")
  return undefined
}
