import { Either } from "effect"
import type { SocketId } from "../host/types.ts"
import type { UdpError as IcmpError, UdpDatagram, UdpStatus } from "../host/udp/types.ts"
import type { SocketHappening, SocketOwner, Sockets } from "../runtime/sockets.ts"
import type { StackService } from "../runtime/stack.ts"
import { type Endpoint, type IpAddress, UNSPECIFIED4, UNSPECIFIED6 } from "../wire/address.ts"
import { formatAddress, formatEndpoint } from "../wire/addressText.ts"
import { ConnectionAborted, type InvalidArgument, StackFailed } from "./errors.ts"
import { addressOf, portOf } from "./options.ts"
import { icmpError, type UdpError, type UnreachableError, udpRefusal } from "./udpErrors.ts"
import {
  type BindOptions,
  type ConnectOptions,
  gsoSizeOf,
  interfaceOf,
  type SendOptions,
  udpOptions,
  within,
} from "./udpOptions.ts"

/**
 * What a UDP socket calls, synchronously, while the stack works on a batch of frames. A call that
 * throws is logged; the socket goes on.
 */
export interface UdpHandlers {
  /** A datagram; its payload is the application's. Not called while paused: then they wait, and the newest are lost. */
  readonly onDatagram?: (socket: PlainUdp, datagram: UdpDatagram) => void
  /** In place of `onDatagram`: there is something to `tryReceive`. */
  readonly onReadable?: (socket: PlainUdp) => void
  /** ICMP says that a datagram of this socket did not arrive. */
  readonly onError?: (socket: PlainUdp, error: IcmpError) => void
  /** Called once and last, with the error that ended the socket, where it was not its owner. */
  readonly onClose?: (socket: PlainUdp, error: ConnectionAborted | StackFailed | undefined) => void
}

const NO_HANDLERS: UdpHandlers = {}

/** A UDP socket in plain callbacks: no promise, no fiber. What is not read waits in the stack, within `receiveBuffer`. */
export class PlainUdp implements SocketOwner {
  readonly #stack: StackService
  readonly #sockets: Sockets
  #id: SocketId | undefined
  #handlers: UdpHandlers = NO_HANDLERS
  #paused = false
  #over = false
  #error: ConnectionAborted | StackFailed | undefined
  /** What a connected socket fails with next. */
  #pending: UnreachableError | undefined
  #dontFragment: boolean
  /** The last that was known, once the socket is over. */
  #last: UdpStatus | undefined

  private constructor(stack: StackService, dontFragment: boolean) {
    this.#stack = stack
    this.#sockets = stack.sockets
    this.#dontFragment = dontFragment
  }

  /** A socket that is bound to an address and port of the stack. */
  static bind(stack: StackService, options: BindOptions): Either.Either<PlainUdp, UdpError> {
    return Either.gen(function* () {
      const address = yield* addressOf(options.host, stack)
      const port = yield* portOf(options.port ?? 0, 0)
      return yield* PlainUdp.#open(stack, options, { address, port })
    })
  }

  /** A socket that speaks and listens to one peer only. */
  static connect(stack: StackService, options: ConnectOptions): Either.Either<PlainUdp, UdpError> {
    return Either.gen(function* () {
      const remote: Endpoint = { address: yield* addressOf(options.host, stack), port: yield* portOf(options.port, 1) }
      const any = remote.address.family === 4 ? UNSPECIFIED4 : UNSPECIFIED6
      const host = options.local?.host
      const address = host === undefined ? any : yield* addressOf(host, stack)
      const port = yield* portOf(options.local?.port ?? 0, 0)
      const socket = yield* PlainUdp.#open(stack, options, { address, port })
      const error = socket.connect(remote)
      if (error === undefined) return socket
      socket.close()
      return yield* Either.left(error)
    })
  }

  static #open(
    stack: StackService,
    options: BindOptions | ConnectOptions,
    local: Endpoint,
  ): Either.Either<PlainUdp, UdpError> {
    return Either.gen(function* () {
      const socket = new PlainUdp(stack, options.dontFragment ?? false)
      const id = stack.sockets.udp.open(yield* udpOptions(stack, options), local, socket)
      if (typeof id !== "number") {
        return yield* Either.left(stackFailure(stack.sockets) ?? udpRefusal(id, formatEndpoint(local)))
      }
      socket.#id = id
      return socket
    })
  }

  /** Replaces all handlers. What has arrived already is reported soon, not during this call. */
  on(handlers: UdpHandlers): void {
    this.#handlers = handlers
    this.#remind()
  }

  /** Where it is bound; a connected one's address is the one that it speaks as. */
  get local(): Endpoint {
    return this.status().local
  }

  get remote(): Endpoint | undefined {
    return this.status().remote
  }

  get over(): boolean {
    return this.#over
  }

  /** Why the socket is over, where its owner did not close it. */
  get error(): ConnectionAborted | StackFailed | undefined {
    return this.#error
  }

  get paused(): boolean {
    return this.#paused
  }

  status(): UdpStatus {
    const status = this.#id === undefined || this.#over ? undefined : this.#sockets.udp.status(this.#id)
    if (status !== undefined) this.#last = status
    return status ?? this.#last ?? NOWHERE
  }

  /** Speaks and listens to this peer only; undefined: to everybody again. Says why it cannot, where it cannot. */
  connect(remote: Endpoint | undefined): UdpError | undefined {
    return this.#call(remote, (id) => this.#sockets.udp.connect(id, remote))
  }

  /**
   * Sends one datagram, to the peer where no other is named. Says why it cannot, where it cannot; of a
   * connected socket also what ICMP has said about a datagram before, once, and this one is then not sent.
   * With `gsoSize` it sends several, or none of them.
   */
  trySend(payload: Uint8Array, to?: Endpoint, options: SendOptions = {}): UdpError | undefined {
    const pending = this.takePending()
    if (pending !== undefined) return pending
    const checked = gsoSizeOf(options.gsoSize)
    if (Either.isLeft(checked)) return checked.left
    return this.#call(to ?? this.#last?.remote, (id) => this.#sockets.udp.send(id, payload, to, options))
  }

  tryReceive(): UdpDatagram | undefined {
    if (this.#id === undefined || this.#over) return undefined
    const datagram = this.#sockets.udp.receive(this.#id)
    return typeof datagram === "object" && "payload" in datagram ? datagram : undefined
  }

  /** Of a connected socket: the error that waits for its next call, taken off it. */
  takePending(): UnreachableError | undefined {
    const pending = this.#pending
    this.#pending = undefined
    return pending
  }

  /** An end as text or as a value. */
  endpointOf(to: {
    readonly host: string | IpAddress
    readonly port: number
  }): Either.Either<Endpoint, InvalidArgument> {
    return Either.all({ address: addressOf(to.host, this.#stack), port: portOf(to.port, 1) })
  }

  /** Joins a group on an interface, by its name; by default the route's, else the first. */
  join(group: string | IpAddress, iface?: string): UdpError | undefined {
    return this.#member(group, iface, (id, address, index) => this.#sockets.udp.join(id, address, index))
  }

  leave(group: string | IpAddress, iface?: string): UdpError | undefined {
    return this.#member(group, iface, (id, address, index) => this.#sockets.udp.leave(id, address, index))
  }

  /** TTL of the unicast datagrams to come, 1 to 255. */
  setTtl(ttl: number): UdpError | undefined {
    const checked = within("ttl", ttl, 1, 255, 0)
    if (Either.isLeft(checked)) return checked.left
    return this.#call(undefined, (id) => this.#sockets.udp.setOptions(id, { ttl: checked.right }))
  }

  /** Do not fragment what is to come. */
  setDontFragment(dontFragment: boolean): void {
    this.#dontFragment = dontFragment
    this.#call(undefined, (id) => this.#sockets.udp.setOptions(id, { dontFragment }))
  }

  /** How what is to come is cut; see `SocketOptions`. */
  setGsoSize(gsoSize: number): UdpError | undefined {
    const checked = gsoSizeOf(gsoSize)
    if (Either.isLeft(checked)) return checked.left
    return this.#call(undefined, (id) => this.#sockets.udp.setOptions(id, { gsoSize: checked.right }))
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#remind()
  }

  /** What waits unread is thrown away. `onClose` is called now. */
  close(): void {
    this.#finish(undefined)
  }

  /** For the stack. */
  onEvent(event: SocketHappening): void {
    if (this.#over) return
    if (event === "readable") this.#deliver()
    else if (event === "error") this.#report()
    else if (event === "ended") {
      const aborted = new ConnectionAborted({ endpoint: formatEndpoint(this.local), why: "netfold:stack-closed" })
      this.#finish(stackFailure(this.#sockets) ?? aborted)
    }
  }

  #deliver(): void {
    if (this.#paused) return
    if (this.#handlers.onReadable !== undefined) return this.#handlers.onReadable(this)
    while (!this.#paused && this.#handlers.onDatagram !== undefined) {
      const datagram = this.tryReceive()
      if (datagram === undefined) return
      this.#handlers.onDatagram(this, datagram)
    }
  }

  #report(): void {
    for (;;) {
      const error = this.#id === undefined || this.#over ? undefined : this.#sockets.udp.takeError(this.#id)
      if (error === undefined) return
      if (this.remote !== undefined && this.#isFatal(error)) this.#pending = icmpError(error)
      this.#handlers.onError?.(this, error)
    }
  }

  /** Who lets datagrams be fragmented has nothing to fail for when they have to be (Linux's udp_err). */
  #isFatal({ isHard, problem }: IcmpError): boolean {
    return isHard && (problem !== "MessageTooBig" || this.#dontFragment)
  }

  #member(
    group: string | IpAddress,
    iface: string | undefined,
    call: (id: SocketId, address: IpAddress, index: number | undefined) => ReturnType<Sockets["udp"]["join"]>,
  ): UdpError | undefined {
    const checked = Either.all({ address: addressOf(group, this.#stack), index: interfaceOf(this.#stack, iface) })
    if (Either.isLeft(checked)) return checked.left
    const { address, index } = checked.right
    return this.#call({ address, port: 0 }, (id) => call(id, address, index))
  }

  #call(
    about: Endpoint | undefined,
    call: (id: SocketId) => ReturnType<Sockets["udp"]["connect"]>,
  ): UdpError | undefined {
    if (this.#id === undefined || this.#over) return this.#error ?? this.#closed()
    const refusal = call(this.#id)
    if (refusal === undefined) return undefined
    return stackFailure(this.#sockets) ?? udpRefusal(refusal, formatEndpoint(about ?? this.local))
  }

  #closed(): ConnectionAborted {
    return new ConnectionAborted({ endpoint: formatEndpoint(this.local), why: "netfold:socket-closed" })
  }

  #remind(): void {
    if (this.#id !== undefined && !this.#over) this.#sockets.remind(this.#id)
  }

  #finish(error: ConnectionAborted | StackFailed | undefined): void {
    if (this.#over) return
    this.status()
    this.#over = true
    this.#error = error
    if (this.#id !== undefined) this.#sockets.close(this.#id)
    this.#handlers.onClose?.(this, error)
  }
}

const NOWHERE: UdpStatus = {
  socket: 0 as SocketId,
  local: { address: UNSPECIFIED4, port: 0 },
  remote: undefined,
  ipv6Only: false,
  recvQ: 0,
  drops: 0,
  groups: [],
}

export const stackFailure = (sockets: Sockets): StackFailed | undefined => {
  const failure = sockets.failure()
  return failure === undefined
    ? undefined
    : new StackFailed({ device: failure.device, errno: failure.errno, reason: failure.message })
}

export const nameOf = (host: string | IpAddress): string => (typeof host === "string" ? host : formatAddress(host))
