import { Effect, type Scope } from "effect"
import type { Device } from "../device/device.ts"
import type { DeviceSpec } from "../device/deviceSpec.ts"
import type { InterfaceAddress } from "../host/types.ts"
import { type NetmapError, openNetmap, openTap, type TapError } from "../net/devices.ts"
import { fromConfig } from "../net/Settings.ts"
import { chargen, discard, echo, type Service, type ServiceCounters, serviceCounters } from "../net/services.ts"
import * as Tcp from "../net/Tcp.ts"
import * as Udp from "../net/Udp.ts"
import { udpChargen, udpDiscard, udpEcho, udpServiceCounters } from "../net/udpServices.ts"
import * as WarmUp from "../net/WarmUp.ts"
import type { SharedDevice } from "../net/Workers.ts"
import { stats } from "../runtime/metrics.ts"
import { Stack, type StackInterface, type StackService } from "../runtime/stack.ts"
import type { Snapshot } from "./report.ts"
import { behind, offloads, type Wire } from "./wire.ts"

/** RFC 862, 863, 864. */
export const ECHO_PORT = 7
export const DISCARD_PORT = 9
export const CHARGEN_PORT = 19

/** A device with another end than this process. */
export type OutsideSpec = Exclude<DeviceSpec, { readonly _tag: "Memory" }>

export interface DeviceOn {
  readonly device: OutsideSpec
  /** On an interface of the kernel's that is made here. */
  readonly kernelAddresses: ReadonlyArray<InterfaceAddress>
  /** Absent: nothing stands between. */
  readonly wire?: Wire
}

export interface StackOn extends DeviceOn {
  readonly wire: Wire
  /** The stack's own. */
  readonly addresses: ReadonlyArray<InterfaceAddress>
  /** An IPv4 address comes from a DHCP server. Default false. */
  readonly dhcp?: StackInterface["dhcp"]
  /** IPv6 addresses come from routers' advertisements. Default false. */
  readonly slaac?: boolean
}

/** The TAP or TUN that `--device` has asked for: made here, it has the kernel's address on it. */
const tapOptions = (
  { name, _tag }: Exclude<OutsideSpec, { readonly _tag: "Netmap" }>,
  { kernelAddresses, wire }: DeviceOn,
) => ({
  ...(name === undefined ? {} : { name }),
  layer: _tag === "Tun" ? ("ip" as const) : ("ethernet" as const),
  addresses: kernelAddresses,
  offload: wire === undefined || offloads(wire),
})

/** Opens a device that `--device` has asked for; an interface made here is gone with the scope. */
export const openDevice = (options: DeviceOn): Effect.Effect<Device, TapError | NetmapError, Scope.Scope> => {
  const { device } = options
  return device._tag === "Netmap" ? openNetmap({ port: device.port }) : openTap(tapOptions(device, options))
}

/** The same device, for several stacks. */
export const sharedDevice = (options: DeviceOn): SharedDevice => {
  const { device } = options
  return device._tag === "Netmap"
    ? { _tag: "Netmap", port: device.port }
    : { _tag: "Tap", ...tapOptions(device, options) }
}

/** A stack on a device of its own, which is closed with the scope. */
export const stackOn = (options: StackOn) =>
  Effect.gen(function* () {
    const device = yield* openDevice(options)
    const { addresses, dhcp = false, slaac = false } = options
    const stack = yield* Stack.make({
      interfaces: [
        {
          device: yield* behind(options.wire, device),
          addresses,
          dhcp,
          ...(slaac ? { ipv6: "auto" as const } : {}),
          // The link has the two of us on it, and the kernel does not ask either; on one with routers others may be.
          dadTransmits: slaac ? 1 : 0,
        },
      ],
      settings: yield* serviceSettings,
    })
    return { stack, device: device.name }
  })

/** For what serves: the engine compiles while nobody has come yet. */
export const warming = (stack: StackService): Effect.Effect<void, never, Scope.Scope> =>
  Effect.asVoid(Effect.forkScoped(Effect.provideService(WarmUp.configured, Stack, stack)))

/** The configured settings; the small ports are what these commands are for. */
export const serviceSettings = Effect.map(fromConfig, (settings) => ({ ...settings, ipUnprivilegedPortStart: 0 }))

/** Serves on a port of the stack, or on all that are left. */
export const serve = (
  stack: StackService,
  port: number | "every",
  service: Service,
): Effect.Effect<void, Tcp.TcpError, Scope.Scope> =>
  Tcp.listen({ ...(port === "every" ? { allPorts: true } : { port }), noDelay: true }).pipe(
    Effect.provideService(Stack, stack),
    Effect.map((listener) => listener.onConnection(service)),
  )

/** A datagram service on a port of the stack. */
export const serveUdp = (
  stack: StackService,
  port: number,
  service: Udp.UdpHandlers,
): Effect.Effect<void, Udp.UdpError, Scope.Scope> =>
  Udp.bind({ port }).pipe(
    Effect.provideService(Stack, stack),
    Effect.map(({ plain }) => plain.on(service)),
  )

/** Echo, discard and chargen on their own ports, of TCP and UDP. */
export const serveAll = (
  stack: StackService,
): Effect.Effect<ServiceCounters, Tcp.TcpError | Udp.UdpError, Scope.Scope> =>
  Effect.gen(function* () {
    const counters = serviceCounters()
    yield* serve(stack, ECHO_PORT, echo(counters))
    yield* serve(stack, DISCARD_PORT, discard(counters))
    yield* serve(stack, CHARGEN_PORT, chargen(counters))
    const datagrams = udpServiceCounters()
    yield* serveUdp(stack, ECHO_PORT, udpEcho(datagrams))
    yield* serveUdp(stack, DISCARD_PORT, udpDiscard(datagrams))
    yield* serveUdp(stack, CHARGEN_PORT, udpChargen(datagrams))
    return counters
  })

/** What a serving stack shows of itself. `others`: stacks whose retransmissions count too. */
export const snapshotOf =
  (counters: ServiceCounters, stack: StackService, ...others: ReadonlyArray<StackService>) =>
  (): Snapshot => {
    const { segmentsIn, segmentsOut, retransmits } = stats(stack)
    return {
      open: counters.open,
      connections: counters.connections,
      bytesIn: counters.bytesIn,
      bytesOut: counters.bytesOut,
      segmentsIn,
      segmentsOut,
      retransmits: others.reduce((sum, other) => sum + stats(other).retransmits, retransmits),
    }
  }

export const NO_SNAPSHOT: Snapshot = {
  open: 0,
  connections: 0,
  bytesIn: 0,
  bytesOut: 0,
  segmentsIn: 0,
  segmentsOut: 0,
  retransmits: 0,
}

/** What several have done together. */
export const sumOf = (snapshots: ReadonlyArray<Snapshot>): Snapshot =>
  snapshots.reduce(
    (sum, one) => ({
      open: sum.open + one.open,
      connections: sum.connections + one.connections,
      bytesIn: sum.bytesIn + one.bytesIn,
      bytesOut: sum.bytesOut + one.bytesOut,
      segmentsIn: sum.segmentsIn + one.segmentsIn,
      segmentsOut: sum.segmentsOut + one.segmentsOut,
      retransmits: sum.retransmits + one.retransmits,
    }),
    NO_SNAPSHOT,
  )
