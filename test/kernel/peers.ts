/**
 * The stack on a TAP interface with the kernel at its other end, for the length of a test: the
 * kernel is 198.18.0.1, the stack 198.18.0.2; over IPv6 2001:db8:7::1 and ::2. Both ends of every connection are in the process of
 * the test, so it can do things in an order, and never needs to wait for a length of time.
 */
import { Cause, Effect, ExecutionStrategy, Exit, Option, Scope } from "effect"
import type { Device } from "../../src/device/device.ts"
import { type ImpairOptions, impaired } from "../../src/device/impair.ts"
import { openTap, type TapOptions } from "../../src/device/tap.ts"
import type { SocketStatus } from "../../src/host/types.ts"
import { chargen, echo, serviceCounters } from "../../src/net/services.ts"
import * as Tcp from "../../src/net/Tcp.ts"
import { Stack, type StackInterface, type StackOptions, type StackService } from "../../src/runtime/stack.ts"
import { ipv4, ipv6 } from "../../src/wire/address.ts"
import { KernelListener, type KernelOptions, KernelSocket } from "./kernelSocket.ts"
import { type End, readExactly, text } from "./octets.ts"
import { setQueueLength } from "./posix.ts"
import { withSysctls } from "./programs.ts"

export const KERNEL = "198.18.0.1"
export const STACK = "198.18.0.2"
/** The same over IPv6. */
export const KERNEL6 = "2001:db8:7::1"
export const STACK6 = "2001:db8:7::2"
const KERNEL_ADDRESS = ipv4(0xc6120001)
const KERNEL_ADDRESS6 = ipv6(0x20010db8, 0x00070000, 0, 1)
const BARRIER_PORT = 65_000
/** Frames: more than any window here holds, so that the link between the two loses nothing. */
const QUEUE_LENGTH = 16_384

export interface PeersOptions extends Pick<TapOptions, "offload" | "napi" | "mtu" | "layer"> {
  readonly settings?: StackOptions["settings"]
  /** By which the two speak where nothing else is said. Default 4; with 6 both have both. */
  readonly family?: 4 | 6
  /** The stack's IPv6; default: its address, used at once. */
  readonly network?: Pick<StackInterface, "ipv6" | "dadTransmits">
  /** The stack's own. */
  readonly addresses?: ReadonlyArray<string>
  /** Sysctls of the kernel's below net.ipv4, for the length of the test. */
  readonly kernelSettings?: Readonly<Record<string, number | string>>
  /** What stands between the stack and its device. */
  readonly through?: (device: Device) => Device
  /** Faults of the wire between the two. */
  readonly impair?: ImpairOptions
}

/** The stack's end of a connection. Its errors are the stack's own tagged ones. */
export class StackEnd implements End {
  readonly connection: Tcp.Connection
  /** Read from the connection, and more than was asked for. */
  #rest: Uint8Array | undefined

  constructor(connection: Tcp.Connection) {
    this.connection = connection
  }

  write(bytes: Uint8Array): Promise<void> {
    return run(this.connection.write(bytes))
  }

  async read(max = Number.POSITIVE_INFINITY): Promise<Uint8Array | undefined> {
    const bytes = this.#rest ?? Option.getOrUndefined(await run(this.connection.read))
    this.#rest = bytes !== undefined && bytes.length > max ? bytes.subarray(max) : undefined
    return bytes?.subarray(0, max)
  }

  shutdown(): void {
    Effect.runSync(this.connection.shutdown)
  }

  close(): void {
    this.connection.plain.close()
  }

  abort(): void {
    this.connection.plain.abort()
  }

  /** Waits for the end, and gives the tag of the error that it was; "" where the connection ended in order. */
  async failure(): Promise<string> {
    const exit = await Effect.runPromiseExit(this.connection.closed)
    return Exit.isSuccess(exit) ? "" : Option.getOrThrow(Cause.failureOption(exit.cause))._tag
  }

  get status(): SocketStatus {
    const status = this.connection.plain.status()
    if (status === undefined) throw new Error("the connection is over")
    return status
  }
}

export interface StackListener {
  readonly port: number
  readonly accept: () => Promise<StackEnd>
  readonly close: () => void
}

export interface StackPeer extends StackService {
  readonly device: Device
  /** Port 0: a free one. */
  readonly hear: (options?: Tcp.ListenOptions) => Promise<StackListener>
  /** Every connection is echoed. */
  readonly echo: (options: Tcp.ListenOptions) => Promise<void>
  /** Every connection gets as many octets as it takes. */
  readonly generate: (options: Tcp.ListenOptions) => Promise<void>
  readonly dial: (port: number, options?: Partial<Tcp.ConnectOptions>) => Promise<StackEnd>
}

/** `host`: another address of the stack's than its first. */
export type DialOptions = KernelOptions & { readonly host?: string }

export interface KernelPeer {
  /** Waits until it is connected. */
  readonly dial: (port: number, options?: DialOptions) => Promise<KernelSocket>
  /** Hands the SYN to the device, and does not wait. */
  readonly begin: (port: number, options?: KernelOptions) => KernelSocket
  readonly hear: (port?: number, backlog?: number) => KernelListener
  /** On an address of its own choice, at a free port. */
  readonly hearOn: (host: string) => KernelListener
}

export interface Peers {
  readonly stack: StackPeer
  readonly kernel: KernelPeer
  /** Connected by the kernel, to a listener with these options. */
  readonly fromKernel: (options?: Tcp.ListenOptions, kernel?: DialOptions) => Promise<Pair>
  /** Connected by the stack. */
  readonly fromStack: (options?: Partial<Tcp.ConnectOptions>) => Promise<Pair>
  /** After it, each side has handled all that the other has sent before: frames keep their order. */
  readonly barrier: () => Promise<void>
}

export interface Pair {
  readonly ours: StackEnd
  readonly theirs: KernelSocket
}

/** Fails with the error itself, not with a report of it. */
const run = async <A, E>(effect: Effect.Effect<A, E>): Promise<A> => {
  const exit = await Effect.runPromiseExit(effect)
  if (Exit.isSuccess(exit)) return exit.value
  throw Option.getOrElse(Cause.failureOption(exit.cause), () => Cause.squash(exit.cause))
}

/** Ends what a test that never came to its end has left behind: the next one is not to suffer for it. */
let leftover: (() => Promise<void>) | undefined

/** Runs a test's body between the two, and leaves nothing behind. */
export const withPeers = (options: PeersOptions, body: (peers: Peers) => Promise<void>): Promise<void> => {
  const settings = Object.entries(options.kernelSettings ?? {}).map(([name, value]) => [`net.ipv4.${name}`, value])
  return withSysctls(Object.fromEntries(settings), () => meet(options, body))
}

/** The same suite over each IP version. */
export const FAMILIES = [4, 6] as const
export type Family = (typeof FAMILIES)[number]

/** The two ends' addresses. */
export const ENDS = {
  4: { kernel: KERNEL, stack: STACK },
  6: { kernel: KERNEL6, stack: STACK6 },
} as const

/** The same with the two speaking by one version, where nothing else is said. */
export const peersOver =
  (family: 4 | 6): typeof withPeers =>
  (options, body) =>
    withPeers({ family, ...options }, body)

const meet = async (options: PeersOptions, body: (peers: Peers) => Promise<void>): Promise<void> => {
  // Most cases need the kernel to have taken what was written when the write returns.
  const { offload = false, napi = false, mtu = 1500, layer = "ethernet", through = (device) => device } = options
  const { family = 4, network = { dadTransmits: 0 } } = options
  // An interface of less than 1280 octets has no IPv6.
  const isDual = family === 6
  const { addresses = [`${STACK}/24`, ...(isDual ? [`${STACK6}/64`] : [])] } = options
  await leftover?.()
  const scope = Effect.runSync(Scope.make())
  const closers: Array<() => void> = []
  const end = async (): Promise<void> => {
    leftover = undefined
    for (const close of closers.splice(0)) close()
    await Effect.runPromise(Scope.close(scope, Exit.void))
  }
  leftover = end
  try {
    const second = isDual ? [{ address: KERNEL_ADDRESS6, prefixLength: 64 }] : []
    const tap = { offload, napi, mtu, layer, addresses: [{ address: KERNEL_ADDRESS, prefixLength: 24 }, ...second] }
    const opened = through(await run(openTap(tap).pipe(Scope.extend(scope))))
    const { impair } = options
    const device = impair === undefined ? opened : await run(impaired(opened, impair).pipe(Scope.extend(scope)))
    setQueueLength(device.name, QUEUE_LENGTH)
    const service = await run(
      Stack.make({
        interfaces: [{ device, addresses, ...network }],
        settings: { ...options.settings },
        closeGrace: "50 millis",
      }).pipe(Scope.extend(scope)),
    )
    const stack = stackPeer(service, device, scope, isDual ? KERNEL6 : KERNEL)
    const kernel = kernelPeer(ENDS[family], (close) => closers.push(close))
    // A neighbour that is still unknown would hold one version up and let the other pass.
    const barrierAt = addresses.includes(`${ENDS[family].stack}/${family === 6 ? 64 : 24}`) ? ENDS[family].stack : STACK
    await body({ stack, kernel, ...meetings(stack, kernel, barrierAt) })
  } finally {
    await end()
  }
}

const stackPeer = (service: StackService, device: Device, scope: Scope.Scope, kernel: string): StackPeer => {
  const on = <A, E>(effect: Effect.Effect<A, E, Stack | Scope.Scope>): Promise<A> =>
    run(effect.pipe(Effect.provideService(Stack, service), Scope.extend(scope)))
  const listen = (options: Tcp.ListenOptions) => on(Tcp.listen(options))
  return {
    ...service,
    device,
    hear: async (options = {}) => {
      const own = Effect.runSync(Scope.fork(scope, ExecutionStrategy.sequential))
      const listener = await run(Tcp.listen(options).pipe(Effect.provideService(Stack, service), Scope.extend(own)))
      return {
        port: listener.address.port,
        accept: async () => new StackEnd(await on(listener.accept)),
        close: () => Effect.runSync(Scope.close(own, Exit.void)),
      }
    },
    echo: async (options) => {
      const listener = await listen(options)
      listener.onConnection(echo(serviceCounters()))
    },
    generate: async (options) => {
      const listener = await listen(options)
      listener.onConnection(chargen(serviceCounters()))
    },
    dial: async (port, options = {}) => new StackEnd(await on(Tcp.connect({ host: kernel, port, ...options }))),
  }
}

const kernelPeer = (
  hosts: { readonly kernel: string; readonly stack: string },
  atEnd: (close: () => void) => void,
): KernelPeer => {
  const begin: KernelPeer["begin"] = (port, options = {}) => {
    const socket = KernelSocket.begin({ host: hosts.stack, port }, options)
    atEnd(() => socket.abort())
    return socket
  }
  return {
    begin,
    dial: (port, { host = hosts.stack, ...options } = {}) => {
      const socket = KernelSocket.begin({ host, port }, options)
      atEnd(() => socket.abort())
      return socket.connected()
    },
    hearOn: (host) => {
      const listener = new KernelListener(host)
      atEnd(() => listener.close())
      return listener
    },
    hear: (port, backlog) => {
      const listener = new KernelListener(hosts.kernel, port, backlog)
      atEnd(() => listener.close())
      return listener
    },
  }
}

const meetings = (stack: StackPeer, kernel: KernelPeer, barrierAt: string): Omit<Peers, "stack" | "kernel"> => {
  let barrier: Promise<KernelSocket> | undefined
  return {
    fromKernel: async (options = {}, kernelOptions = {}) => {
      const listener = await stack.hear(options)
      const [ours, theirs] = await Promise.all([listener.accept(), kernel.dial(listener.port, kernelOptions)])
      return { ours, theirs }
    },
    fromStack: async (options = {}) => {
      const listener = kernel.hear()
      const [theirs, ours] = await Promise.all([listener.accept(), stack.dial(listener.port, options)])
      return { ours, theirs }
    },
    barrier: async () => {
      barrier ??= stack
        .echo({ port: BARRIER_PORT, noDelay: true })
        .then(() => kernel.dial(BARRIER_PORT, { host: barrierAt }))
      const socket = await barrier
      await socket.write(text("."))
      await readExactly(socket, 1)
    },
  }
}
