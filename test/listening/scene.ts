import { makeHost } from "../../src/host/host.ts"
import type {
  HostApi,
  HostConfig,
  HostEffect,
  HostRefusal,
  SendSegment,
  SocketEvent,
  SocketId,
  SocketStatus,
} from "../../src/host/types.ts"
import { slice } from "../../src/tcp/sendQueue.ts"
import { defaultSettings, type TcpSettings } from "../../src/tcp/settings.ts"
import { defaultSocketOptions, type SocketOptions, type State } from "../../src/tcp/tcb.ts"
import { type Micros, OFF } from "../../src/tcp/time.ts"
import { type Endpoint, type IpAddress, ipv4, ipv6, UNSPECIFIED4 } from "../../src/wire/address.ts"
import { IPV4_HEADER, PROTOCOL_TCP, writeIpv4 } from "../../src/wire/ipv4.ts"
import { encodeTcp } from "../../src/wire/tcp.ts"
import {
  ACK,
  EMPTY,
  FIN,
  NO_OPTIONS,
  PSH,
  RST,
  type Segment,
  SYN,
  type TcpOptions,
  type TcpPacket,
} from "../../src/wire/tcpSegment.ts"

/**
 * One host on a bare IP link, in virtual time, and peers made by hand: what they send is handed to
 * the host octet by octet, what it wants done is read from its effects, so that every answer comes
 * with its `why`.
 */

export const SECOND: Micros = 1_000_000
export const MINUTE: Micros = 60 * SECOND
/** The host's own addresses. */
export const HOST = ipv4(0xc6120001)
export const HOST2 = ipv4(0xc6120002)
/** One that it has where a scene asks for it: 2001:db8::1. */
export const HOST6 = ipv6(0x20010db8, 0, 0, 1)
/** The nth address of the host's neighbourhood: 198.18.1.0 + n. */
export const peerAddress = (n: number): IpAddress => ipv4(0xc6120100 + n)
export const PORT = 80

/** What a host has sent, with the time and the reason. */
export interface Said {
  readonly at: Micros
  readonly from: Endpoint
  readonly to: Endpoint
  readonly segment: Segment
  readonly why: string
}

export interface Segments extends Partial<Omit<Segment, "options">> {
  readonly flags: number
  readonly options?: Partial<TcpOptions>
}

export interface SceneOptions {
  readonly settings?: Partial<TcpSettings>
  readonly secret?: number
  readonly now?: Micros
  readonly host?: IpAddress
  readonly mtu?: number
  /** It has HOST6 too. */
  readonly dual?: boolean
}

export type ListenOptions = Partial<SocketOptions> & {
  readonly address?: IpAddress
  readonly port?: number
  readonly backlog?: number
}

export class Scene {
  now: Micros
  readonly host: HostApi
  /** The host's first address. */
  readonly listenAddress: IpAddress
  /** All that was sent, and why packets and segments were dropped, since the scene was last asked. */
  private said: Array<Said> = []
  private drops: Array<string> = []
  private events: Array<SocketEvent> = []
  private seen: Record<string, number> = {}

  constructor(options: SceneOptions = {}) {
    const { settings = {}, secret = 1, now = SECOND, host = HOST, mtu = 1500, dual = false } = options
    this.now = now
    this.listenAddress = host
    this.host = makeHost(configOf(settings, secret, host, mtu, dual))
    this.seen = { ...this.host.counters }
  }

  listen({ address = UNSPECIFIED4, port = PORT, backlog = 8, ...options }: ListenOptions = {}): SocketId {
    return granted(
      this.host.listen({ address, port, backlog, options: { ...defaultSocketOptions, ...options } }, this.now),
    )
  }

  /** Hands segments over in one batch, and takes the host's answers. */
  batch(packets: ReadonlyArray<TcpPacket>): ReadonlyArray<string> {
    for (const packet of packets) this.put(packet)
    return this.turn()
  }

  /** Hands a packet over without letting the host answer. */
  put(packet: TcpPacket): void {
    const bytes = octetsOf(packet)
    this.host.frame(0, bytes, 0, bytes.length, false, this.now)
  }

  /** The end of a batch: what the host says to it, in short. */
  turn(): ReadonlyArray<string> {
    this.host.advance(this.now)
    this.host.flush(this.now)
    return this.host.take().flatMap((effect) => this.note(effect))
  }

  /** Turns until nothing is wanted at once. */
  settle(): ReadonlyArray<string> {
    const out = [...this.turn()]
    for (let n = 0; n < 10_000; n++) {
      const next = this.host.nextDeadline()
      if (next === OFF || next > this.now) return out
      out.push(...this.turn())
    }
    throw new Error("the host never falls silent")
  }

  /** Time goes by, from deadline to deadline; what was sent meanwhile. */
  wait(duration: Micros): ReadonlyArray<Said> {
    const end = this.now + duration
    this.said = []
    this.settle()
    for (;;) {
      const next = this.host.nextDeadline()
      if (next === OFF || next > end) break
      this.now = Math.max(this.now, next)
      this.settle()
    }
    this.now = end
    this.settle()
    return this.took()
  }

  /** Segments sent since the last time of asking. */
  took(): ReadonlyArray<Said> {
    const { said } = this
    this.said = []
    return said
  }

  /** Reasons of drops since the last time of asking. */
  dropped(): ReadonlyArray<string> {
    const { drops } = this
    this.drops = []
    return drops
  }

  heard(socket: SocketId): ReadonlyArray<SocketEvent["event"]> {
    const mine = this.events.filter((event) => event.socket === socket)
    this.events = this.events.filter((event) => event.socket !== socket)
    return mine.map(({ event }) => event)
  }

  /** Counters that have moved since the last time of asking, and by how much; those of every segment left out. */
  counted(): Readonly<Record<string, number>> {
    const moved: Record<string, number> = {}
    for (const [name, value] of Object.entries(this.host.counters)) {
      const by = value - (this.seen[name] ?? 0)
      if (by !== 0 && name !== "InSegs" && name !== "OutSegs" && !name.startsWith("Ip")) moved[name] = by
    }
    this.seen = { ...this.host.counters }
    return moved
  }

  status(socket: SocketId): SocketStatus {
    const status = this.host.status(socket)
    if (status === undefined) throw new Error("no such socket")
    return status
  }

  /** The listener's own view of its queues: half-open requests, those of them young, waiting to be accepted. */
  queues(listener: SocketId): { readonly requests: number; readonly young: number; readonly waiting: number } {
    const { tcb } = this.status(listener)
    if (tcb._tag !== "LISTEN") throw new Error("not a listener")
    return { requests: tcb.requests, young: tcb.young, waiting: tcb.waiting }
  }

  /** States of all blocks but listeners and sockets that are neither bound nor connected. */
  states(): ReadonlyArray<State> {
    const all = this.host.sockets().map(({ state }) => state)
    return all.filter((state) => state !== "LISTEN" && state !== "CLOSED")
  }

  accept(listener: SocketId): SocketId {
    const accepted = this.host.accept(listener)
    if (accepted === undefined) throw new Error("nothing to accept")
    return accepted
  }

  /** What can be read now, as text; or why nothing can. */
  read(socket: SocketId): string {
    const result = this.host.read(socket, 1 << 20, this.now)
    if (result instanceof Uint8Array) return new TextDecoder().decode(result)
    return typeof result === "string" ? `(${result})` : `(${result.errno})`
  }

  private note(effect: HostEffect): ReadonlyArray<string> {
    switch (effect._tag) {
      case "SendSegment": {
        const said = saidOf(effect, this.now)
        this.said.push(said)
        return [`${inShort(said.segment)} ${said.why}`]
      }
      case "SocketEvent":
        this.events.push(effect)
        return []
      case "Dropped":
        this.drops.push(effect.why)
        return [`drop ${effect.why}`]
      case "SendFrame":
        return [`frame ${effect.why}`]
    }
  }
}

/** Options of an ordinary SYN: what Linux offers. */
export const OFFER: Partial<TcpOptions> = { mss: 1460, sackPermitted: true, windowScale: 7, tsVal: 1000, tsEcr: 0 }

export interface PeerOptions {
  readonly address?: IpAddress
  readonly port?: number
  readonly to?: Endpoint
  readonly iss?: number
  /** Of its SYN. Default: `OFFER`. */
  readonly options?: Partial<TcpOptions>
  readonly wnd?: number
}

/** A client made by hand: it keeps its sequence numbers and timestamps, and does only what it is told. */
export class Peer {
  readonly address: IpAddress
  readonly port: number
  readonly to: Endpoint
  readonly iss: number
  readonly offer: Partial<TcpOptions>
  /** Its next sequence number. */
  seq: number
  /** The last SYN-ACK that it was sent. */
  synAck: Said | undefined = undefined
  ack = 0
  tsVal: number
  tsEcr = 0

  constructor(
    readonly scene: Scene,
    { address = peerAddress(1), port = 40_000, to, iss = 5000, options = OFFER }: PeerOptions = {},
  ) {
    this.address = address
    this.port = port
    this.to = to ?? { address: HOST, port: PORT }
    this.iss = iss
    this.offer = options
    this.seq = iss + 1
    this.tsVal = options.tsVal ?? 0
  }

  packet({ options = {}, ...fields }: Segments): TcpPacket {
    return {
      source: this.address,
      destination: this.to.address,
      sourcePort: this.port,
      destinationPort: this.to.port,
      segment: {
        seq: this.seq,
        ack: this.ack,
        wnd: 65_535,
        up: 0,
        payload: EMPTY,
        options: { ...NO_OPTIONS, ...options },
        ...fields,
      },
    }
  }

  synPacket(fields: Partial<Segments> = {}): TcpPacket {
    return this.packet({ flags: SYN, seq: this.iss, ack: 0, options: this.offer, ...fields })
  }

  /** <SYN>; a SYN-ACK that answers it is remembered. */
  syn(fields: Partial<Segments> = {}): ReadonlyArray<string> {
    const answer = this.scene.batch([this.synPacket(fields)])
    this.listenFor()
    return answer
  }

  /** Looks through what the host has said to us for a SYN-ACK. */
  listenFor(): Said | undefined {
    for (const said of this.scene.took()) {
      const { flags, seq, options } = said.segment
      if (said.to.port !== this.port || (flags & (SYN | ACK)) !== (SYN | ACK)) continue
      this.synAck = said
      this.ack = (seq + 1) >>> 0
      this.tsEcr = options.tsVal ?? 0
    }
    return this.synAck
  }

  /** Any segment after the SYN, with timestamps where the SYN-ACK had them. */
  after(fields: Partial<Segments>): TcpPacket {
    const timestamps = this.synAck?.segment.options.tsVal !== undefined
    const stamps = timestamps ? { tsVal: this.tsVal, tsEcr: this.tsEcr } : {}
    return this.packet({ flags: ACK, ...fields, options: { ...stamps, ...fields.options } })
  }

  send(fields: Partial<Segments> = {}): ReadonlyArray<string> {
    return this.scene.batch([this.after(fields)])
  }

  /** The third segment, perhaps with text. */
  third(words = ""): ReadonlyArray<string> {
    const answer = this.send({ flags: words === "" ? ACK : ACK | PSH, payload: octets(words) })
    return answer
  }

  text(words: string): ReadonlyArray<string> {
    const answer = this.send({ flags: ACK | PSH, payload: octets(words) })
    this.seq = (this.seq + words.length) >>> 0
    return answer
  }

  /** The whole handshake; the listener has a connection waiting afterwards. */
  connect(): this {
    this.syn()
    if (this.synAck === undefined) throw new Error("the SYN was not answered")
    this.third()
    this.scene.took()
    return this
  }
}

export const octets = (words: string): Uint8Array => new TextEncoder().encode(words)

/** Fails where the host refused. */
export const granted = <A>(result: A | HostRefusal): A => {
  if (isRefusal(result)) throw new Error(`refused: ${result.errno}, ${result.why}`)
  return result
}

export const isRefusal = (result: unknown): result is HostRefusal =>
  typeof result === "object" && result !== null && "_tag" in result && result._tag === "Refused"

/** "" for what was granted, else the errno. */
export const errnoOf = (result: unknown): string => (isRefusal(result) ? result.errno : "")

/** The segments among answers, without their reasons. */
export const sent = (answers: ReadonlyArray<string>): ReadonlyArray<string> =>
  answers.filter((answer) => answer.startsWith("<")).map((answer) => answer.split(" ")[0] ?? "")

const FLAGS = [
  [SYN, "SYN"],
  [FIN, "FIN"],
  [RST, "RST"],
  [ACK, "ACK"],
] as const

/** "<SYN,ACK>", "<ACK>+5" with its octets of text. */
export const inShort = ({ flags, payload }: Segment): string => {
  const names = FLAGS.filter(([bit]) => (flags & bit) !== 0).map(([, name]) => name)
  return `<${names.join()}>${payload.length > 0 ? `+${payload.length}` : ""}`
}

const saidOf = (effect: SendSegment, at: Micros): Said => {
  const { segment, source, destination, sourcePort, destinationPort } = effect
  const { seq, ack, flags, wnd, up, options, queue, length, why } = segment
  const from = (flags & SYN) === 0 ? seq : (seq + 1) >>> 0
  return {
    at,
    from: { address: source, port: sourcePort },
    to: { address: destination, port: destinationPort },
    segment: { seq, ack, flags, wnd, up, options, payload: queue === undefined ? EMPTY : slice(queue, from, length) },
    why,
  }
}

export const packetOf = ({ from, to, segment }: Said): TcpPacket => ({
  source: from.address,
  destination: to.address,
  sourcePort: from.port,
  destinationPort: to.port,
  segment,
})

export const octetsOf = (packet: TcpPacket): Uint8Array => {
  const out = new Uint8Array(IPV4_HEADER + 60 + packet.segment.payload.length)
  const length = encodeTcp(out, IPV4_HEADER, packet, "linux")
  const { source, destination } = packet
  writeIpv4(out, 0, {
    source,
    destination,
    protocol: PROTOCOL_TCP,
    ttl: 64,
    tos: 0,
    identification: 0,
    dontFragment: true,
    moreFragments: false,
    fragmentOffset: 0,
    options: EMPTY,
    payloadLength: length,
  })
  return out.subarray(0, IPV4_HEADER + length)
}

const configOf = (
  settings: Partial<TcpSettings>,
  secret: number,
  host: IpAddress,
  mtu: number,
  dual: boolean,
): HostConfig => ({
  interfaces: [
    {
      name: "test0",
      mac: 0 as HostConfig["interfaces"][number]["mac"],
      layer: "ip",
      mtu,
      burst: 0,
      addresses: [
        { address: host, prefixLength: 15 },
        { address: HOST2, prefixLength: 15 },
        ...(dual ? [{ address: HOST6, prefixLength: 64 }] : []),
      ],
      dadTransmits: 0,
    },
  ],
  routes: [],
  settings: { ...defaultSettings, ...settings },
  secret: new Uint8Array(32).fill(secret),
})
