import { encodeSegment } from "../../host/encode.ts"
import { makeHost } from "../../host/host.ts"
import type { HostApi, HostConfig, HostEffect, HostRefusal, SocketEvent, SocketId } from "../../host/types.ts"
import { defaultSettings } from "../../tcp/settings.ts"
import { defaultSocketOptions, type SocketOptions } from "../../tcp/tcb.ts"
import { type Endpoint, type IpAddress, UNSPECIFIED4, UNSPECIFIED6 } from "../../wire/address.ts"
import { parseCidr } from "../../wire/addressText.ts"
import { earlier } from "../../wire/agenda.ts"
import { Random } from "../../wire/random.ts"
import { type Micros, OFF } from "../../wire/time.ts"
import type { Observer } from "./log.ts"
import { Port, portMac } from "./port.ts"
import type { Schedule, Task } from "./schedule.ts"
import { DEFAULT_MTU, type HostSpec, interfacesOf } from "./spec.ts"

/** What an application does when its connection has something to say. */
export interface Handlers {
  readonly connected?: (socket: SocketId) => void
  /** Data, or the end of it. */
  readonly readable?: (socket: SocketId) => void
  readonly writable?: (socket: SocketId) => void
  /** The connection is over; the socket is closed after the call. */
  readonly closed?: (socket: SocketId) => void
}

export type AnyOptions = Partial<SocketOptions>

interface Arrival {
  readonly port: number
  readonly bytes: Uint8Array
  readonly corrupted: boolean
}

/** Largest TCP payload of one step: what a device with segmentation offload would take. */
const BURST = 65_455
/** Rounds of callbacks and their consequences at one instant; more of them never end. */
const ROUNDS = 10_000
const SECRET = 32

/**
 * A host in a simulated network, and the applications on it. Their calls take effect at the end of the
 * instant in which they are made.
 */
export class Machine {
  readonly host: HostApi
  readonly addresses: ReadonlyArray<IpAddress>
  private readonly ports: ReadonlyArray<Port>
  private readonly layout: HostConfig["settings"]["profile"]["optionLayout"]
  private readonly owners = new Map<SocketId, Handlers>()
  private readonly accepting = new Map<SocketId, (socket: SocketId) => Handlers>()
  private readonly turn: Task
  /** How long each interface keeps what arrives, and what they keep. */
  private readonly coalesce: ReadonlyArray<Micros>
  private arrived: Array<Arrival> = []
  private arrivalsDue: Micros = OFF
  private events: Array<SocketEvent> = []
  /** Called after every turn: samplers. */
  afterTurn: ((now: Micros) => void) | undefined

  constructor(
    readonly name: string,
    index: number,
    spec: HostSpec,
    seed: number,
    private readonly schedule: Schedule,
    /** What an interface sends by. */
    link: (port: number) => (bytes: Uint8Array, why: string) => void,
    private readonly observe: Observer | undefined,
  ) {
    const config = hostConfig(index, spec, seed)
    this.layout = config.settings.profile.optionLayout
    this.addresses = config.interfaces.flatMap((one) => one.addresses.map(({ address }) => address))
    this.ports = config.interfaces.map(({ mac }, port) => new Port(mac, link(port)))
    this.coalesce = interfacesOf(spec).map(({ coalesce = 0 }) => coalesce)
    this.host = (spec.makeHost ?? makeHost)(config)
    this.turn = { wakeAt: OFF, run: (now) => this.settle(now) }
  }

  get now(): Micros {
    return this.schedule.now
  }

  /** Every port that nothing else listens on hands its connections to `accept`, which says who owns each. */
  listen(
    port: number,
    accept: (socket: SocketId) => Handlers,
    options: AnyOptions & { backlog?: number } = {},
  ): SocketId {
    const { backlog = 4096, ...rest } = options
    const { family } = this.addresses[0] ?? UNSPECIFIED4
    const address = family === 4 ? UNSPECIFIED4 : UNSPECIFIED6
    const listener = this.host.listen({ address, port, backlog, options: withDefaults(rest) }, this.now)
    if (typeof listener !== "number") throw new Refusal(this.name, "listen", listener)
    this.accepting.set(listener, accept)
    this.soon()
    return listener
  }

  connect(remote: Endpoint, handlers: Handlers, options: AnyOptions = {}): SocketId {
    const socket = this.host.connect({ remote, local: {}, options: withDefaults(options) }, this.now)
    if (typeof socket !== "number") throw new Refusal(this.name, "connect", socket)
    this.owners.set(socket, handlers)
    this.soon()
    return socket
  }

  /** Calls after a while; what it does to the host's sockets is carried out at once. */
  after(delay: Micros, call: () => void): void {
    this.schedule.at(this.now + delay, () => {
      call()
      this.soon()
    })
  }

  /** Gives a connection up, as close(2) does. */
  close(socket: SocketId): void {
    this.owners.delete(socket)
    this.accepting.delete(socket)
    this.host.close(socket, this.now)
    this.soon()
  }

  /** The host has something to do at this instant. */
  soon(): void {
    this.schedule.wake(this.turn, this.now)
  }

  receive(port: number, bytes: Uint8Array, now: Micros, corrupted: boolean): void {
    this.observe?.({ _tag: "Arrived", at: now, host: this.name, interface: port, bytes })
    this.arrived.push({ port, bytes, corrupted })
    this.arrivalsDue = earlier(this.arrivalsDue, now + (this.coalesce[port] ?? 0))
    this.schedule.wake(this.turn, this.arrivalsDue)
  }

  /** What the interfaces have kept. A sum that our own side made and nothing has changed since need not be checked. */
  private takeArrivals(now: Micros): void {
    if (this.arrivalsDue === OFF || this.arrivalsDue > now) return
    const { arrived, host } = this
    this.arrivalsDue = OFF
    this.arrived = []
    for (const { port, bytes, corrupted } of arrived) host.frame(port, bytes, 0, bytes.length, !corrupted, now)
  }

  /** Arrivals, timers, callbacks, replies, until the host has nothing more to say at this instant. */
  private settle(now: Micros): void {
    const { host } = this
    this.takeArrivals(now)
    const deadline = host.nextDeadline()
    if (deadline !== OFF && deadline <= now) host.advance(now)
    this.carryOut(host.take(), now)
    for (let rounds = 0; ; rounds++) {
      if (rounds > ROUNDS) throw new Error(`${this.name}: the applications never fall silent`)
      this.dispatch(now)
      host.flush(now)
      this.carryOut(host.take(), now)
      if (this.events.length === 0 && !this.isDue(now)) break
      if (this.isDue(now)) host.advance(now)
    }
    this.afterTurn?.(now)
    this.schedule.wake(this.turn, earlier(host.nextDeadline(), this.arrivalsDue))
  }

  private isDue(now: Micros): boolean {
    const deadline = this.host.nextDeadline()
    return deadline !== OFF && deadline <= now
  }

  private carryOut(effects: ReadonlyArray<HostEffect>, now: Micros): void {
    for (const effect of effects) {
      switch (effect._tag) {
        case "SendSegment": {
          const port = this.ports[effect.interface]
          if (port === undefined) break
          port.why = effect.segment.why
          encodeSegment(port, this.layout, effect)
          break
        }
        case "SendFrame": {
          const port = this.ports[effect.interface]
          if (port === undefined) break
          port.why = effect.why
          port.reserve(effect.bytes.length).set(effect.bytes)
          port.commit(effect.bytes.length)
          break
        }
        case "SocketEvent": {
          const { socket, event } = effect
          this.observe?.({ _tag: "Happened", at: now, host: this.name, socket, event })
          this.events.push(effect)
          break
        }
        case "Dropped":
          this.observe?.({ _tag: "Thrown", at: now, host: this.name, why: effect.why })
          break
      }
    }
  }

  private dispatch(now: Micros): void {
    const { events } = this
    if (events.length === 0) return
    this.events = []
    for (const { socket, event } of events) {
      if (event === "acceptable") this.acceptAll(socket)
      else this.tell(socket, event, now)
    }
  }

  private acceptAll(listener: SocketId): void {
    const accept = this.accepting.get(listener)
    if (accept === undefined) return
    for (;;) {
      const socket = this.host.accept(listener)
      if (socket === undefined) return
      const handlers = accept(socket)
      this.owners.set(socket, handlers)
      // What came before somebody listened.
      handlers.connected?.(socket)
      handlers.readable?.(socket)
      if (this.host.status(socket)?.closed !== undefined) this.tell(socket, "closed", this.now)
    }
  }

  private tell(socket: SocketId, event: SocketEvent["event"], now: Micros): void {
    const handlers = this.owners.get(socket)
    if (handlers === undefined) return
    switch (event) {
      case "connected":
        return handlers.connected?.(socket)
      case "readable":
      case "urgent":
        return handlers.readable?.(socket)
      case "writable":
        return handlers.writable?.(socket)
      case "closed":
        handlers.closed?.(socket)
        this.owners.delete(socket)
        this.host.close(socket, now)
        return
      case "acceptable":
        return
    }
  }
}

/** An application asked for what its host does not do. */
export class Refusal extends Error {
  constructor(host: string, call: string, refusal: HostRefusal) {
    super(`${host}: ${call}: ${refusal.errno} (${refusal.why})`)
  }
}

const withDefaults = (options: AnyOptions): SocketOptions => ({ ...defaultSocketOptions, ...options })

const hostConfig = (index: number, spec: HostSpec, seed: number): HostConfig => {
  const random = new Random(seed, index + 1)
  return {
    interfaces: interfacesOf(spec).map(({ addresses, mtu = DEFAULT_MTU }, port) => ({
      name: `eth${port}`,
      mac: portMac(index, port),
      layer: "ethernet",
      mtu,
      burst: BURST,
      framesStay: "single",
      addresses: addresses.flatMap((text) => {
        const cidr = parseCidr(text)
        return cidr === undefined ? [] : [{ address: cidr.address, prefixLength: cidr.length }]
      }),
    })),
    routes: spec.routes ?? [],
    settings: { ...defaultSettings, ...spec.settings },
    secret: Uint8Array.from({ length: SECRET }, () => random.below(256)),
  }
}
