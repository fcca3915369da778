import { Cause, Context, Deferred, Duration, Effect, Layer, Runtime, type Scope } from "effect"
import { timekeeper } from "../device/clock.ts"
import type { Device } from "../device/device.ts"
import { MAX_SEGMENTED_PAYLOAD } from "../device/limits.ts"
import { makeHost } from "../host/host.ts"
import type {
  HostApi,
  HostConfig,
  InterfaceAddress,
  InterfaceConfig,
  RouteConfig,
  SocketStatus,
} from "../host/types.ts"
import type { UdpStatus } from "../host/udp/types.ts"
import { defaultSettings, type TcpSettings } from "../tcp/settings.ts"
import type { IpAddress } from "../wire/address.ts"
import { parseAddress, parseCidr } from "../wire/addressText.ts"
import { InvalidArgument, StackFailed } from "./errors.ts"
import { type Interpreter, type InterpreterCounters, makeInterpreter } from "./interpreter.ts"
import { type Network, networkCalls } from "./network.ts"
import type { Sockets } from "./sockets.ts"

/** A device and the stack's own addresses on it, as values or as "198.18.0.2/24". */
export interface StackInterface {
  readonly device: Device
  readonly addresses: ReadonlyArray<InterfaceAddress | string>
  /**
   * auto: a link-local IPv6 address, and those that routers advertise prefixes for. static: the given
   * ones, and a link-local one. off: no IPv6. Default: static where an IPv6 address is given, else off.
   */
  readonly ipv6?: "auto" | "static" | "off"
  /** How often to ask whether somebody else has an IPv6 address before it is used. Default 1. */
  readonly dadTransmits?: number
  /** Ask before an IPv4 address is used too (RFC 5227). Default false. */
  readonly arpProbe?: boolean
  /** Take an IPv4 address, routes and name servers from a DHCP server, perhaps under a name: see `Dhcp`. Default false. */
  readonly dhcp?: boolean | { readonly hostName: string }
}

export interface StackOptions {
  readonly interfaces: ReadonlyArray<StackInterface>
  /** Beside the interfaces' own prefixes. Default: none. */
  readonly routes?: ReadonlyArray<RouteConfig>
  /** Who is asked for the addresses of names, in this order. Default: nobody. */
  readonly nameServers?: ReadonlyArray<IpAddress | string>
  readonly settings?: Partial<TcpSettings>
  /** 16 octets or more, from which all that must not be guessed is made. Default: 32 random ones. */
  readonly secret?: Uint8Array
  /** How long the end of the scope waits for peers to acknowledge the FINs. Wall-clock time. Default: 1 second. */
  readonly closeGrace?: Duration.DurationInput
  /**
   * How long after a frame the stack goes on looking for the next before it sleeps, as Linux's `net.core.busy_poll`. A frame
   * that comes meanwhile finds the stack awake and in the processor's caches; a whole core is busy with looking.
   * Wall-clock time. Default: none, but for the time that waking costs.
   */
  readonly busyPoll?: Duration.DurationInput
  /**
   * Whether the stack may ask for garbage collection: of what is young where many connections come
   * to rest, of everything once it has been silent for half a second after work. Memory falls, and
   * whoever comes during the second waits for some milliseconds. Default: true.
   */
  readonly collects?: boolean
  /** In place of the real host: for tests, and for simulations. */
  readonly makeHost?: (config: HostConfig) => HostApi
}

/** A stack that runs. */
export interface StackService {
  /** The user calls, synchronous. `Tcp` is the comfortable way to them. */
  readonly sockets: Sockets
  readonly devices: ReadonlyArray<Device>
  /** The configured ones; see `network` for those that there are. */
  readonly addresses: ReadonlyArray<InterfaceAddress>
  readonly network: Network
  /** Who is asked for the addresses of names: those given first, then those that the network has named. */
  readonly nameServers: () => ReadonlyArray<IpAddress>
  /** As they are. */
  readonly settings: TcpSettings
  /**
   * Changes settings while the stack runs, as sysctl(8) does: connections that exist obey from
   * their next step on, and keep what their handshake agreed.
   */
  readonly configure: (changed: Partial<TcpSettings>) => Effect.Effect<void, InvalidArgument>
  readonly counters: InterpreterCounters
  /** What TCP has counted, under netstat's names. */
  readonly tcpCounters: Readonly<Record<string, number>>
  /** Connections that an application holds. */
  readonly connections: () => number
  /** All sockets, those included that only the stack still holds. */
  readonly list: () => ReadonlyArray<SocketStatus>
  /** All UDP sockets. */
  readonly udpList: () => ReadonlyArray<UdpStatus>
  /** Never succeeds; fails when a device has ended by itself. */
  readonly failure: Effect.Effect<never, StackFailed>
}

const DEFAULT_CLOSE_GRACE: Duration.DurationInput = "1 second"
const SECRET_LENGTH = 32
const MIN_SECRET_LENGTH = 16
/** How often the end of the scope looks whether all FINs are acknowledged, milliseconds. */
const DRAIN_CHECK = 5

/**
 * One host on its devices. The end of the scope closes listeners, sends FINs, waits `closeGrace` at
 * most for them to be acknowledged, aborts what is left, and closes the devices.
 */
export class Stack extends Context.Tag("netfold/Stack")<Stack, StackService>() {
  static readonly make = (options: StackOptions): Effect.Effect<StackService, InvalidArgument, Scope.Scope> =>
    make(options)
  static readonly layer = (options: StackOptions): Layer.Layer<Stack, InvalidArgument> =>
    Layer.scoped(Stack, make(options))
  /** For options that must be opened first, such as a TAP device. */
  static readonly layerScoped = <E, R>(
    options: Effect.Effect<StackOptions, E, R>,
  ): Layer.Layer<Stack, E | InvalidArgument, Exclude<R, Scope.Scope>> =>
    Layer.scoped(Stack, Effect.flatMap(options, make))
}

const make = (options: StackOptions): Effect.Effect<StackService, InvalidArgument, Scope.Scope> =>
  Effect.gen(function* () {
    const config = yield* hostConfig(options)
    const nameServers = yield* Effect.forEach(options.nameServers ?? [], nameServer)
    const devices = options.interfaces.map(({ device }) => device)
    const clock = yield* Effect.clock
    const runtime = yield* Effect.runtime<never>()
    const failure = yield* Deferred.make<never, StackFailed>()
    const host = (options.makeHost ?? makeHost)(config)
    const interpreter = makeInterpreter({
      host,
      devices,
      layout: config.settings.profile.optionLayout,
      busyPoll: Duration.toMillis(options.busyPoll ?? Duration.zero),
      collects: options.collects ?? true,
      timekeeper: (onDue) => timekeeper(clock, runtime, onDue),
      onThrow: (socket, cause) => {
        const goesOn = host.udp.status(socket) !== undefined || host.echo.status(socket) !== undefined
        const message = goesOn
          ? "a socket's callback threw; the socket goes on"
          : "a connection's callback threw; the connection is reset"
        Runtime.runFork(runtime)(Effect.annotateLogs(Effect.logError(message, Cause.die(cause)), { socket }))
      },
      onFailure: ({ device, errno, message }) => {
        Deferred.unsafeDone(failure, Effect.fail(new StackFailed({ device, errno, reason: message })))
      },
    })
    yield* Effect.addFinalizer(() => closeDown(interpreter, host, devices, options.closeGrace ?? DEFAULT_CLOSE_GRACE))
    interpreter.start()
    return {
      sockets: interpreter.sockets,
      devices,
      addresses: config.interfaces.flatMap(({ addresses }) => addresses),
      nameServers: () => [...nameServers, ...host.resolvers()],
      network: networkCalls(host, interpreter.now, interpreter.called, config.interfaces.some(hasIpv6)),
      get settings() {
        return host.settings
      },
      configure: (changed) =>
        Effect.suspend(() => {
          const refused = host.configure(changed)
          return refused === undefined
            ? Effect.void
            : new InvalidArgument({ argument: "profile", reason: `cannot be changed to this one (${refused.why})` })
        }),
      counters: interpreter.counters,
      tcpCounters: host.counters,
      connections: interpreter.connections,
      list: () => host.sockets(),
      udpList: () => host.udp.sockets(),
      failure: Deferred.await(failure),
    }
  })

const hostConfig = (options: StackOptions): Effect.Effect<HostConfig, InvalidArgument> =>
  Effect.gen(function* () {
    const { secret = crypto.getRandomValues(new Uint8Array(SECRET_LENGTH)) } = options
    if (secret.length < MIN_SECRET_LENGTH) {
      return yield* new InvalidArgument({ argument: "secret", reason: `needs ${MIN_SECRET_LENGTH} octets or more` })
    }
    const interfaces = yield* Effect.forEach(options.interfaces, ({ device, addresses, ...network }) =>
      Effect.map(Effect.forEach(addresses, interfaceAddress), (parsed) => ({
        ...network,
        name: device.name,
        mac: device.mac,
        layer: device.capabilities.layer,
        mtu: device.capabilities.mtu,
        // What the device does not cut is cut here: the reducers take large steps either way.
        burst: device.capabilities.segmentationOffload || MAX_SEGMENTED_PAYLOAD,
        addresses: parsed,
        ...(device.capabilities.framesStay && {
          framesStay: device.capabilities.segmentationOffload > 0 ? ("joined" as const) : ("single" as const),
        }),
      })),
    )
    return { interfaces, routes: options.routes ?? [], settings: { ...defaultSettings, ...options.settings }, secret }
  })

const nameServer = (given: IpAddress | string): Effect.Effect<IpAddress, InvalidArgument> => {
  const address = typeof given === "string" ? parseAddress(given) : given
  return address === undefined
    ? new InvalidArgument({ argument: "nameServers", reason: `"${given}" is not an IP address` })
    : Effect.succeed(address)
}

const hasIpv6 = ({ ipv6, addresses }: InterfaceConfig): boolean =>
  ipv6 === undefined ? addresses.some(({ address }) => address.family === 6) : ipv6 !== "off"

const interfaceAddress = (given: InterfaceAddress | string): Effect.Effect<InterfaceAddress, InvalidArgument> => {
  if (typeof given !== "string") return Effect.succeed(given)
  const cidr = parseCidr(given)
  return cidr === undefined
    ? new InvalidArgument({ argument: "address", reason: `"${given}" is none; written as 198.18.0.2/24` })
    : Effect.succeed({ address: cidr.address, prefixLength: cidr.length })
}

const closeDown = (
  interpreter: Interpreter,
  host: HostApi,
  devices: ReadonlyArray<Device>,
  grace: Duration.DurationInput,
): Effect.Effect<void> =>
  Effect.gen(function* () {
    interpreter.release()
    host.release(interpreter.now())
    yield* drained(interpreter, host, Duration.toMillis(grace))
    if (interpreter.sockets.failure() === undefined) {
      for (const { socket, state } of host.sockets()) if (owesFin(state)) interpreter.sockets.abort(socket)
      // The resets leave in this microtask's flush.
      yield* Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))
    }
    interpreter.stop()
    for (const device of devices) device.close()
  })

/** By the wall clock, also under TestClock: a scope must end whatever the peers do. */
const drained = (interpreter: Interpreter, host: HostApi, graceMillis: number): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    const give = performance.now() + graceMillis
    const check = (): void => {
      const over =
        interpreter.sockets.failure() !== undefined ||
        performance.now() >= give ||
        !host.sockets().some(({ state }) => owesFin(state))
      if (over) resume(Effect.void)
      else setTimeout(check, DRAIN_CHECK)
    }
    setImmediate(check)
  })

/** The peer has not yet acknowledged our FIN. */
const owesFin = (state: SocketStatus["state"]): boolean =>
  state !== "LISTEN" && state !== "CLOSED" && state !== "TIME-WAIT" && state !== "FIN-WAIT-2"
