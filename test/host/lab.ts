import type { Device } from "../../src/device/device.ts"
import { memoryPair } from "../../src/device/memory.ts"
import { encodeSegment } from "../../src/host/encode.ts"
import { makeHost } from "../../src/host/host.ts"
import type {
  HostApi,
  HostConfig,
  HostEffect,
  HostRefusal,
  InterfaceConfig,
  SocketEvent,
  SocketId,
} from "../../src/host/types.ts"
import { defaultSettings, type TcpSettings } from "../../src/tcp/settings.ts"
import { defaultSocketOptions, type SocketOptions, type State } from "../../src/tcp/tcb.ts"
import type { Micros } from "../../src/tcp/time.ts"
import { type IpAddress, ipv4, ipv6, type MacAddress, UNSPECIFIED4, UNSPECIFIED6 } from "../../src/wire/address.ts"

export const SECOND: Micros = 1_000_000
export const A = ipv4(0xc6120001)
export const B = ipv4(0xc6120002)
/** In the same network, and nobody's. */
export const C = ipv4(0xc6120063)
export const A6 = ipv6(0x20010db8, 0, 0, 1)
export const B6 = ipv6(0x20010db8, 0, 0, 2)
export const MAC_A = 0x02_00_00_00_00_0a as MacAddress
export const MAC_B = 0x02_00_00_00_00_0b as MacAddress

export interface NodeOptions {
  readonly address?: IpAddress
  readonly mac?: MacAddress
  readonly mtu?: number
  readonly burst?: number
  readonly layer?: "ethernet" | "ip"
  readonly prefixLength?: number
  readonly framesStay?: boolean
  /** More of the interface: its IPv6, further addresses. */
  readonly iface?: Partial<InterfaceConfig>
  readonly settings?: Partial<TcpSettings>
  readonly secret?: number
  readonly more?: Partial<HostConfig>
  /** Where somebody listens to what is done to it. */
  readonly makeHost?: (config: HostConfig) => HostApi
}

/** The two hosts of a pair with an address of one version each, in use at once. */
export const VERSIONS: ReadonlyArray<{
  readonly version: "IPv4" | "IPv6"
  readonly a: NodeOptions & { readonly address: IpAddress }
  readonly b: NodeOptions & { readonly address: IpAddress }
}> = [
  { version: "IPv4", a: { address: A }, b: { address: B } },
  {
    version: "IPv6",
    a: { address: A6, prefixLength: 64, iface: { dadTransmits: 0 } },
    b: { address: B6, prefixLength: 64, iface: { dadTransmits: 0 } },
  },
]

const configOf = (o: NodeOptions): HostConfig => {
  const iface: InterfaceConfig = {
    name: "test0",
    mac: o.mac ?? MAC_A,
    layer: o.layer ?? "ethernet",
    mtu: o.mtu ?? 1500,
    burst: o.burst ?? 0,
    addresses: [{ address: o.address ?? A, prefixLength: o.prefixLength ?? 24 }],
    ...(o.framesStay && { framesStay: "single" as const }),
    ...o.iface,
  }
  return {
    interfaces: [iface],
    routes: [],
    settings: { ...defaultSettings, ...o.settings },
    secret: new Uint8Array(32).fill(o.secret ?? 1),
    ...o.more,
  }
}

const ok = <T>(result: T | HostRefusal): T => {
  if (typeof result === "object" && result !== null && "_tag" in result) {
    throw new Error(`refused: ${result.errno}, ${result.why}`)
  }
  return result
}

/** A host at one end of a memory wire, and what it has said. */
export class Node {
  readonly host: HostApi
  readonly events: Array<SocketEvent> = []
  readonly drops: Array<string> = []
  /** Whole frames that it has sent (ARP, ICMP), where somebody asked for them. */
  frames: Array<Uint8Array> | undefined = undefined

  constructor(
    readonly device: Device,
    readonly options: NodeOptions,
    private readonly clock: { now: Micros },
  ) {
    this.host = (options.makeHost ?? makeHost)(configOf(options))
  }

  get now(): Micros {
    return this.clock.now
  }

  listen(port: number | "every", options: Partial<SocketOptions> & { backlog?: number } = {}): SocketId {
    const { backlog = 128, ...rest } = options
    const address = this.options.address?.family === 6 ? UNSPECIFIED6 : UNSPECIFIED4
    const call = { address, port, backlog, options: { ...defaultSocketOptions, ...rest } }
    return ok(this.host.listen(call, this.now))
  }

  connect(address: IpAddress, port: number, options: Partial<SocketOptions> = {}, localPort?: number): SocketId {
    return ok(this.tryConnect(address, port, options, localPort))
  }

  tryConnect(address: IpAddress, port: number, options: Partial<SocketOptions> = {}, localPort?: number) {
    const local = localPort === undefined ? {} : { port: localPort }
    const call = { remote: { address, port }, local, options: { ...defaultSocketOptions, ...options } }
    return this.host.connect(call, this.now)
  }

  /** The next connection, which must be there. */
  accept(listener: SocketId): SocketId {
    const socket = this.host.accept(listener)
    if (socket === undefined) throw new Error("nothing to accept")
    return socket
  }

  write(socket: SocketId, bytes: Uint8Array | string): number {
    return ok(this.host.write(socket, typeof bytes === "string" ? text(bytes) : bytes, this.now))
  }

  /** All that can be read now. */
  read(socket: SocketId): string {
    return string(this.readBytes(socket))
  }

  readBytes(socket: SocketId, max = Number.POSITIVE_INFINITY): Uint8Array {
    const parts: Array<Uint8Array> = []
    for (let left = max; left > 0; ) {
      const part = this.host.read(socket, Math.min(left, 1 << 20), this.now)
      if (!(part instanceof Uint8Array)) break
      parts.push(part)
      left -= part.length
    }
    return new Uint8Array(Buffer.concat(parts))
  }

  /** Why there is nothing (more) to read. */
  readEnd(socket: SocketId) {
    return this.host.read(socket, 1, this.now)
  }

  shutdown(socket: SocketId): void {
    ok(this.host.shutdown(socket, this.now))
  }

  close(socket: SocketId): void {
    this.host.close(socket, this.now)
  }

  abort(socket: SocketId): void {
    this.host.abort(socket, this.now)
  }

  state(socket: SocketId): State | undefined {
    return this.host.status(socket)?.state
  }

  reason(socket: SocketId): string | undefined {
    return this.host.status(socket)?.closed?.reason
  }

  /** States of all blocks, listeners left out. */
  states(): ReadonlyArray<State> {
    return this.host
      .sockets()
      .map(({ state }) => state)
      .filter((state) => state !== "LISTEN")
  }

  counter(name: string): number {
    const value = this.host.counters[name]
    if (value === undefined) throw new Error(`no counter ${name}`)
    return value
  }

  /** Events of a socket since the last time of asking. */
  heard(socket: SocketId): ReadonlyArray<SocketEvent["event"]> {
    const mine = this.events.filter((event) => event.socket === socket)
    for (const event of mine) this.events.splice(this.events.indexOf(event), 1)
    return mine.map(({ event }) => event)
  }

  /** One batch: what has come, the timers, what is owed. True when there was something. */
  turn(): boolean {
    const { host, device, now } = this
    const received = device.receive((f) => host.frame(0, f.bytes, f.offset, f.length, f.checksumVouched, now), 10_000)
    host.advance(now)
    host.flush(now)
    const effects = host.take()
    for (const effect of effects) this.carryOut(effect)
    device.flush()
    return received > 0 || effects.length > 0
  }

  private carryOut(effect: HostEffect): void {
    switch (effect._tag) {
      case "SendSegment":
        encodeSegment(this.device, "linux", effect)
        return
      case "SendFrame": {
        const memory = this.device.reserve(effect.bytes.length)
        this.frames?.push(effect.bytes.slice())
        memory?.set(effect.bytes)
        if (memory !== undefined) this.device.commit(effect.bytes.length, NO_OFFLOAD)
        return
      }
      case "SocketEvent":
        this.events.push(effect)
        return
      case "Dropped":
        this.drops.push(effect.why)
        return
    }
  }
}

const NO_OFFLOAD = { checksumStart: 0, checksumOffset: 0, segmentSize: 0, headerLength: 0, family: 4 } as const

/** Two hosts and a wire that neither loses nor delays, in virtual time. */
export class Pair {
  now: Micros = SECOND
  readonly a: Node
  readonly b: Node
  /** Called at every step: applications that do not wait to be asked. */
  tick: () => void = () => {}

  constructor(a: NodeOptions = {}, b: NodeOptions = {}) {
    const offload = (a.burst ?? 0) > 0
    const mtu = Math.max(a.mtu ?? 1500, b.mtu ?? 1500)
    const wire = { capacity: 8192, mtu, segmentationOffload: offload, checksumOffload: offload }
    const [left, right] = memoryPair({ ...wire, macs: [a.mac ?? MAC_A, b.mac ?? MAC_B] })
    this.a = new Node(left, { ...a, address: a.address ?? A, mac: a.mac ?? MAC_A, secret: a.secret ?? 1 }, this)
    this.b = new Node(right, { ...b, address: b.address ?? B, mac: b.mac ?? MAC_B, secret: b.secret ?? 2 }, this)
  }

  /** Until both are silent; no timer ends meanwhile. */
  settle(): void {
    for (let turns = 0; ; turns++) {
      if (turns > 200_000) throw new Error("the hosts never fall silent")
      this.tick()
      const left = this.a.turn()
      const right = this.b.turn()
      if (!left && !right) return
    }
  }

  /** Time goes by, from timer to timer. */
  wait(duration: Micros): void {
    const end = this.now + duration
    this.settle()
    for (;;) {
      const next = this.nextDeadline()
      if (next === undefined || next > end) break
      this.now = Math.max(this.now, next)
      this.settle()
    }
    this.now = end
    this.settle()
  }

  /** A connection from a to b's `listener`. */
  connected(listener: SocketId, port: number, options: Partial<SocketOptions> = {}): readonly [SocketId, SocketId] {
    const client = this.a.connect(this.b.options.address ?? B, port, options)
    this.settle()
    return [client, this.b.accept(listener)]
  }

  /** A listener on `port` of b and a connection to it. */
  open(port = 7, options: Partial<SocketOptions> = {}, server: Partial<SocketOptions> = {}) {
    const listener = this.b.listen(port, server)
    const [client, accepted] = this.connected(listener, port, options)
    return { listener, client, server: accepted }
  }

  private nextDeadline(): Micros | undefined {
    const due = [this.a.host.nextDeadline(), this.b.host.nextDeadline()].filter((at) => at >= 0)
    return due.length === 0 ? undefined : Math.min(...due)
  }
}

export const text = (s: string): Uint8Array => new TextEncoder().encode(s)
export const string = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

/** Octets that do not repeat soon. */
export const pattern = (length: number, seed = 1): Uint8Array => {
  const out = new Uint8Array(length)
  let x = seed
  for (let i = 0; i < length; i++) {
    x = (Math.imul(x, 1103515245) + 12345) >>> 0
    out[i] = x >>> 16
  }
  return out
}

export const digest = (bytes: Uint8Array): string => new Bun.CryptoHasher("sha256").update(bytes).digest("hex")

export const isRefusal = (result: unknown): result is HostRefusal =>
  typeof result === "object" && result !== null && "_tag" in result && result._tag === "Refused"
