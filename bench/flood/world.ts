import { heapStats } from "bun:jsc"
import type { Device } from "../../src/device/device.ts"
import { NO_OFFLOAD } from "../../src/device/device.ts"
import { memoryPair } from "../../src/device/memory.ts"
import { encodeSegment } from "../../src/host/encode.ts"
import { makeHost } from "../../src/host/host.ts"
import type { HostApi, HostConfig, HostRefusal, SocketId } from "../../src/host/types.ts"
import { defaultSettings, type TcpSettings } from "../../src/tcp/settings.ts"
import { defaultSocketOptions } from "../../src/tcp/tcb.ts"
import type { Micros } from "../../src/tcp/time.ts"
import { type IpAddress, ipv4, type MacAddress, sameAddress, UNSPECIFIED4 } from "../../src/wire/address.ts"
import { ARP_LENGTH, ARP_REPLY, ARP_REQUEST, decodeArp, encodeArp } from "../../src/wire/arp.ts"
import { isDrop } from "../../src/wire/drop.ts"
import { decodeEthernet, ETHERNET_HEADER, ETHERTYPE_ARP, writeEthernet } from "../../src/wire/ethernet.ts"
import { decodeIpv4 } from "../../src/wire/ipv4.ts"
import { Spoofer, SYN_LENGTH } from "./spoof.ts"

/**
 * A server under a SYN flood, in virtual time, the same in every run: the server, a memory wire, and
 * at its other end a router with the flood's generator and a host of real clients behind it. Time
 * goes by in steps of a millisecond, in each of which the server handles a limited number of frames:
 * what the flood takes, others do not have.
 */

const SERVER = ipv4(0xc6120001)
const GATEWAY = ipv4(0xc61200fe)
/** Beyond the flood's sources. */
const CLIENTS = ipv4(0xc613fe01)
const SERVER_MAC = 0x02_00_00_00_00_01 as MacAddress
const GATEWAY_MAC = 0x02_00_00_00_00_fe as MacAddress
const WEB = 80
/** Somebody fetches a large file from here, since before the flood. */
const FILES = 81

const STEP: Micros = 1000
const SECOND: Micros = 1_000_000
/** Frames of one batch, and batches in one step: a server that handles 512,000 frames a second. */
const BATCH = 256
const BATCHES = 2
/** Frames that wait on the wire; more are lost. */
const WIRE = 2048
const CHUNK = new Uint8Array(65_536).fill(0x61)
const HELLO = new Uint8Array([0x68, 0x69])

export interface FloodOptions {
  readonly settings?: Partial<TcpSettings>
  readonly backlog?: number
  /** SYNs a second. */
  readonly rate: number
  /** Real clients, that begin to connect one after the other during the flood. */
  readonly clients: number
  /** Length of the flood, virtual. */
  readonly seconds: number
}

export interface FloodResult {
  readonly syns: number
  /** How long each real client waited for the answer to its first octets, microseconds; those that had none left out. */
  readonly waits: ReadonlyArray<Micros>
  readonly clients: number
  /** Octets a second that the established transfer had before, and during the flood. */
  readonly before: number
  readonly during: number
  /** Octets of the JavaScript heap and what hangs on it, at most, above what they were before the flood. */
  readonly growth: number
  /** Of the server, during the flood. */
  readonly counters: Readonly<Record<string, number>>
  readonly drops: Readonly<Record<string, number>>
  /** Half-open requests of the listener at the end. */
  readonly requests: number
}

interface Client {
  readonly socket: SocketId
  readonly began: Micros
  asked: boolean
}

const granted = <A>(result: A | HostRefusal): A => {
  if (typeof result === "object" && result !== null && "_tag" in result)
    throw new Error(`${result.errno}: ${result.why}`)
  return result
}

class World {
  now: Micros = SECOND
  readonly server: HostApi
  readonly people: HostApi
  readonly drops: Record<string, number> = {}
  readonly waits: Array<Micros> = []
  fetched = 0
  private readonly near: Device
  private readonly far: Device
  private readonly listener: SocketId
  private readonly files: SocketId
  private readonly serving: Array<SocketId> = []
  private file: SocketId | undefined
  private readonly fetching: SocketId
  private readonly pending: Array<Client> = []
  private readonly spoofer = new Spoofer(GATEWAY_MAC, SERVER_MAC, { address: SERVER, port: WEB })
  private owed = 0

  constructor({ settings = {}, backlog = 128 }: FloodOptions) {
    const macs = [SERVER_MAC, GATEWAY_MAC] as const
    const [near, far] = memoryPair({ capacity: WIRE, macs })
    this.near = near
    this.far = far
    const all = { ...defaultSettings, ...settings }
    this.server = makeHost(serverConfig(all))
    this.people = makeHost(peopleConfig(defaultSettings))
    const options = { ...defaultSocketOptions, noDelay: true }
    const listen = (port: number, longest: number): SocketId =>
      granted(this.server.listen({ address: UNSPECIFIED4, port, backlog: longest, options }, this.now))
    this.listener = listen(WEB, backlog)
    this.files = listen(FILES, 1)
    this.fetching = this.dial(FILES, 16_384)
  }

  /** A millisecond. */
  step(rate: number): void {
    this.now += STEP
    this.owed += rate / 1000
    const syns = Math.floor(this.owed)
    this.owed -= syns
    // Anywhere among them, another place each time.
    const ahead = (Math.imul(this.now / STEP, 0x9e3779b1) >>> 0) % (syns + 1)
    this.attack(ahead)
    this.peopleTurn()
    this.attack(syns - ahead)
    for (let n = 0; n < BATCHES; n++) {
      this.serverTurn(BATCH)
      // A listener whose turn was over is given another at once, as the runtime's timer does.
      if (this.server.nextDeadline() === 0) this.serverTurn(0)
    }
    this.route()
  }

  connect(): void {
    this.pending.push({ socket: this.dial(WEB, 0), began: this.now, asked: false })
  }

  get syns(): number {
    return this.spoofer.count
  }

  get requests(): number {
    const { tcb } = this.server.status(this.listener) ?? {}
    return tcb?._tag === "LISTEN" ? tcb.requests : 0
  }

  private dial(port: number, receiveBuffer: number): SocketId {
    const options = { ...defaultSocketOptions, noDelay: true, receiveBuffer }
    return granted(this.people.connect({ remote: { address: SERVER, port }, local: {}, options }, this.now))
  }

  private attack(count: number): void {
    for (let n = 0; n < count; n++) {
      const memory = this.far.reserve(SYN_LENGTH)
      if (memory === undefined) {
        this.spoofer.count++
        continue
      }
      this.spoofer.write(memory)
      this.far.commit(SYN_LENGTH, NO_OFFLOAD)
    }
  }

  private serverTurn(most: number): void {
    const { server, near, now } = this
    near.receive((f) => server.frame(0, f.bytes, f.offset, f.length, f.checksumVouched, now), most)
    server.advance(now)
    this.serve()
    server.flush(now)
    for (const effect of server.take()) {
      if (effect._tag === "SendSegment") encodeSegment(near, "linux", effect)
      else if (effect._tag === "SendFrame") put(near, effect.bytes)
      else if (effect._tag === "Dropped") this.drops[effect.why] = (this.drops[effect.why] ?? 0) + 1
    }
    near.flush()
  }

  /** The server's applications: an echo, and a file without an end. */
  private serve(): void {
    const { server, serving, now } = this
    this.file ??= server.accept(this.files)
    if (this.file !== undefined && server.room(this.file) > 0) server.write(this.file, CHUNK, now)
    for (let one = server.accept(this.listener); one !== undefined; one = server.accept(this.listener))
      serving.push(one)
    for (const [index, socket] of serving.entries()) {
      const octets = server.read(socket, 1024, now)
      if (octets === "empty") continue
      if (octets instanceof Uint8Array) server.write(socket, octets, now)
      else {
        server.close(socket, now)
        serving.splice(index, 1)
        break
      }
    }
  }

  private peopleTurn(): void {
    const { people, far, now, pending } = this
    people.advance(now)
    for (let octets = this.read(this.fetching); octets > 0; octets = this.read(this.fetching)) this.fetched += octets
    for (const [index, client] of pending.entries()) {
      const state = people.status(client.socket)?.state
      if (state === "ESTABLISHED" && !client.asked) {
        client.asked = true
        people.write(client.socket, HELLO, now)
      } else if (client.asked && this.read(client.socket) > 0) {
        this.waits.push(now - client.began)
        people.close(client.socket, now)
        pending.splice(index, 1)
        break
      }
    }
    people.flush(now)
    for (const effect of people.take()) {
      if (effect._tag === "SendSegment") encodeSegment(far, "linux", { ...effect, nextHop: SERVER_MAC })
    }
  }

  private read(socket: SocketId): number {
    const octets = this.people.read(socket, 1 << 20, this.now)
    return octets instanceof Uint8Array ? octets.length : 0
  }

  /** The router: what is for the clients reaches them, what is for the spoofed sources nobody. */
  private route(): void {
    const { far, people, now } = this
    far.flush()
    far.receive(({ bytes, offset, length }) => {
      const frame = decodeEthernet(bytes, offset, length)
      if (isDrop(frame)) return
      const { payloadOffset, payloadLength } = frame
      if (frame.etherType === ETHERTYPE_ARP) return this.answerArp(bytes, payloadOffset, payloadLength)
      const packet = decodeIpv4(bytes, payloadOffset, payloadLength)
      if (isDrop(packet) || !sameAddress(packet.destination, CLIENTS)) return
      people.frame(0, bytes, payloadOffset, payloadLength, false, now)
    }, WIRE)
  }

  private answerArp(bytes: Uint8Array, offset: number, length: number): void {
    const asked = decodeArp(bytes, offset, length)
    if (isDrop(asked) || asked.operation !== ARP_REQUEST || !sameAddress(asked.targetAddress, GATEWAY)) return
    const out = new Uint8Array(ETHERNET_HEADER + ARP_LENGTH)
    writeEthernet(out, 0, { destination: SERVER_MAC, source: GATEWAY_MAC, etherType: ETHERTYPE_ARP })
    encodeArp(out, ETHERNET_HEADER, {
      operation: ARP_REPLY,
      senderMac: GATEWAY_MAC,
      senderAddress: GATEWAY,
      targetMac: asked.senderMac,
      targetAddress: asked.senderAddress,
    })
    put(this.far, out)
    this.far.flush()
  }
}

/** Steps of half a second, for the transfer to find its speed, and to show it. */
const QUIET = 500
/** Steps that those who came last are waited for. */
const PATIENCE = 3000

/** Runs a flood, after a quiet second that shows what the transfer has by itself. */
export const flood = (options: FloodOptions): FloodResult => {
  const { rate, clients, seconds } = options
  const world = new World(options)
  const steps = seconds * 1000
  for (let n = 0; n < QUIET; n++) world.step(0)
  let fetched = world.fetched
  for (let n = 0; n < QUIET; n++) world.step(0)
  const before = ((world.fetched - fetched) * 1000) / QUIET
  fetched = world.fetched
  const counters = { ...world.server.counters }
  const start = held()
  let growth = 0
  for (let n = 0; n < steps; n++) {
    if (Math.floor(((n + 1) * clients) / steps) > Math.floor((n * clients) / steps)) world.connect()
    world.step(rate)
    if (n % QUIET === QUIET - 1) growth = Math.max(growth, held() - start)
  }
  const during = (world.fetched - fetched) / seconds
  // Under attack until the last of them has had its answer, or its time.
  for (let n = 0; n < PATIENCE && world.waits.length < clients; n++) world.step(rate)
  return {
    syns: world.syns,
    waits: world.waits,
    clients,
    before,
    during,
    growth,
    counters: moved(counters, world.server.counters),
    drops: world.drops,
    requests: world.requests,
  }
}

const held = (): number => {
  Bun.gc(true)
  // Array buffers are in it.
  return heapStats().heapSize
}

const moved = (
  before: Readonly<Record<string, number>>,
  after: Readonly<Record<string, number>>,
): Readonly<Record<string, number>> =>
  Object.fromEntries(
    Object.entries(after)
      .map(([name, value]) => [name, value - (before[name] ?? 0)] as const)
      .filter(([, by]) => by !== 0),
  )

const put = (device: Device, bytes: Uint8Array): void => {
  const memory = device.reserve(bytes.length)
  if (memory === undefined) return
  memory.set(bytes)
  device.commit(bytes.length, NO_OFFLOAD)
}

const serverConfig = (settings: TcpSettings): HostConfig => ({
  interfaces: [
    {
      name: "flood0",
      mac: SERVER_MAC,
      layer: "ethernet",
      mtu: 1500,
      burst: 0,
      addresses: [{ address: SERVER, prefixLength: 24 }],
    },
  ],
  routes: [everywhere(GATEWAY)],
  settings,
  secret: new Uint8Array(32).fill(1),
})

const peopleConfig = (settings: TcpSettings): HostConfig => ({
  interfaces: [
    {
      name: "people0",
      mac: GATEWAY_MAC,
      layer: "ip",
      mtu: 1500,
      burst: 0,
      addresses: [{ address: CLIENTS, prefixLength: 24 }],
    },
  ],
  routes: [everywhere(undefined)],
  settings,
  secret: new Uint8Array(32).fill(2),
})

const everywhere = (via: IpAddress | undefined): HostConfig["routes"][number] => ({
  prefix: UNSPECIFIED4,
  prefixLength: 0,
  via,
  interface: 0,
})
