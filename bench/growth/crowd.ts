import { makeHost } from "../../src/host/host.ts"
import type { HostApi, HostConfig, HostEffect, SendSegment, SocketId } from "../../src/host/types.ts"
import { add } from "../../src/tcp/seq.ts"
import { defaultSettings, linux, type TcpSettings, type WireProfile } from "../../src/tcp/settings.ts"
import { defaultSocketOptions } from "../../src/tcp/tcb.ts"
import { type Micros, OFF } from "../../src/tcp/time.ts"
import { type Endpoint, ipv4, type MacAddress } from "../../src/wire/address.ts"
import { IPV4_HEADER, PROTOCOL_TCP, writeIpv4 } from "../../src/wire/ipv4.ts"
import { encodeTcp } from "../../src/wire/tcp.ts"
import { onlyTimestamps } from "../../src/wire/tcpOptions.ts"
import { ACK, EMPTY, NO_OPTIONS, type Segment, SYN } from "../../src/wire/tcpSegment.ts"

/** A server with very many peers, whose frames are made by hand: a host on a link without addresses, no device. */

const SERVER: Endpoint = { address: ipv4(0xc6120001), port: 7 }
/** Peer n has the address 198.18.1.0 + n / 4096 and the port 1024 + n % 4096. */
const FIRST_ADDRESS = 0xc6120100
const FIRST_PORT = 1024
const PORT_BITS = 12
const PORTS = 1 << PORT_BITS

const OFFER = { ...NO_OPTIONS, mss: 1460, sackPermitted: true, windowScale: 7, tsVal: 1, tsEcr: 0 }
/** SYNs that a listener handles in one turn. */
export const TURN = 100
const START: Micros = 1_000_000
/** Longer than a host waits between two looks for connections that nothing happens to. */
const ROUND: Micros = 200_000

/** More than there are ever peers: a listener keeps the last quarter of its SYN queue for those it knows. */
const MOST = 1 << 21

export interface CrowdOptions {
  /** Peers that can be told apart. */
  readonly peers: number
  readonly profile?: Partial<WireProfile>
}

const isSegment = (effect: HostEffect): effect is SendSegment => effect._tag === "SendSegment"

export class Crowd {
  readonly host: HostApi
  now: Micros = START
  /** Of each peer: SND.NXT, and RCV.NXT as its next segment will acknowledge it. */
  private readonly seqs: Uint32Array
  private readonly acks: Uint32Array
  private readonly listener: SocketId
  private readonly sockets: Array<SocketId>

  constructor({ peers, profile = {} }: CrowdOptions) {
    this.sockets = new Array(peers)
    this.seqs = new Uint32Array(peers)
    this.acks = new Uint32Array(peers)
    this.host = makeHost(configOf({ ...defaultSettings, ...LIMITS, profile: { ...linux, ...profile } }))
    const options = { ...defaultSocketOptions, noDelay: true }
    const listener = this.host.listen({ ...SERVER, backlog: MOST, options }, this.now)
    if (typeof listener !== "number") throw new Error(listener.why)
    this.listener = listener
  }

  /** Half-open requests now. */
  get requests(): number {
    const { tcb } = this.host.status(this.listener) ?? {}
    return tcb?._tag === "LISTEN" ? tcb.requests : 0
  }

  /** SYNs of the peers from `from` on: `count` half-open requests. */
  request(from: number, count: number): void {
    const out = memory()
    for (let n = from; n < from + count; n++) {
      this.give(this.syn(n, out))
      if (n % TURN === TURN - 1) this.learn(this.end())
    }
    this.learn(this.end())
  }

  /** Handshakes with the peers from `from` on; their connections are accepted. */
  connect(from: number, count: number): void {
    const out = memory()
    for (let first = from; first < from + count; first += TURN) {
      const last = Math.min(first + TURN, from + count)
      this.request(first, last - first)
      for (let n = first; n < last; n++) this.give(this.frame(n, ACK, EMPTY, out))
      this.end()
      this.acceptAll()
    }
    for (let n = from; n < from + count; n++) this.socket(n)
  }

  /** The application takes all connections that wait; how many. */
  acceptAll(): number {
    let accepted = 0
    for (let s = this.host.accept(this.listener); s !== undefined; s = this.host.accept(this.listener)) {
      const remote = this.host.status(s)?.remote
      if (remote !== undefined) this.sockets[peerOf(remote)] = s
      accepted++
    }
    return accepted
  }

  /** Nothing happens until those are at rest that are to be put there (see src/host/rest.ts). */
  settle(): void {
    for (let rounds = 0; rounds < 3; rounds++) {
      this.now += ROUND
      this.end()
      // A round of many has many parts, one right after the other.
      for (let at = this.host.nextDeadline(); at !== OFF && at <= this.now + 1; at = this.host.nextDeadline()) {
        this.now = Math.max(this.now, at)
        this.end()
      }
    }
  }

  /** The server's socket for peer n. */
  socket(n: number): SocketId {
    const socket = this.sockets[n]
    if (socket === undefined) throw new Error(`peer ${n} is not connected`)
    return socket
  }

  /** The application takes what peer n has sent. */
  readAll(n: number): void {
    while (this.host.read(this.socket(n), 65_536, this.now) instanceof Uint8Array);
  }

  syn(n: number, out: Uint8Array): Uint8Array {
    const seq = Math.imul(n, 0x9e3779b1) >>> 0
    this.seqs[n] = add(seq, 1)
    return write(n, { seq, ack: 0, flags: SYN, wnd: 65_535, up: 0, options: OFFER, payload: EMPTY }, out)
  }

  /** The next segment of peer n, into `out`; it acknowledges `more` octets beyond what the one before did. */
  frame(n: number, flags: number, payload: Uint8Array, out: Uint8Array, more = 0): Uint8Array {
    const seq = this.seqs[n] ?? 0
    const ack = add(this.acks[n] ?? 0, more)
    this.seqs[n] = add(seq, payload.length)
    this.acks[n] = ack
    return write(n, { seq, ack, flags, wnd: 65_535, up: 0, options: onlyTimestamps(1, 0), payload }, out)
  }

  give(frame: Uint8Array): void {
    this.host.frame(0, frame, 0, frame.length, true, this.now)
  }

  /** The end of a batch: timers, ACKs and new data. */
  end(): ReadonlyArray<HostEffect> {
    this.host.advance(this.now)
    this.host.flush(this.now)
    return this.host.take()
  }

  /** SYN-ACKs tell their peers where the server begins. */
  private learn(effects: ReadonlyArray<HostEffect>): void {
    for (const effect of effects) {
      if (!isSegment(effect)) continue
      const n = peerOf({ address: effect.destination, port: effect.destinationPort })
      this.acks[n] = add(effect.segment.seq, 1)
    }
  }
}

export const sentIn = (effects: ReadonlyArray<HostEffect>): number => {
  let sent = 0
  for (const effect of effects) if (isSegment(effect)) sent++
  return sent
}

/** Room for one frame of a peer. */
export const memory = (): Uint8Array => new Uint8Array(new ArrayBuffer(2048))

const peerOf = ({ address, port }: Endpoint): number => ((address.d - FIRST_ADDRESS) << PORT_BITS) + (port - FIRST_PORT)

const write = (n: number, segment: Segment, out: Uint8Array): Uint8Array => {
  const source = ipv4(FIRST_ADDRESS + (n >>> PORT_BITS))
  const packet = {
    source,
    destination: SERVER.address,
    sourcePort: FIRST_PORT + (n & (PORTS - 1)),
    destinationPort: SERVER.port,
    segment,
  }
  const payloadLength = encodeTcp(out, IPV4_HEADER, packet, "linux")
  writeIpv4(out, 0, {
    source,
    destination: SERVER.address,
    protocol: PROTOCOL_TCP,
    ttl: 64,
    tos: 0,
    identification: n & 0xffff,
    dontFragment: true,
    moreFragments: false,
    fragmentOffset: 0,
    options: EMPTY,
    payloadLength,
  })
  return out.subarray(0, IPV4_HEADER + payloadLength)
}

const LIMITS: Partial<TcpSettings> = { somaxconn: MOST, tcpMaxSynBacklog: MOST, tcpSyncookies: 0 }

const configOf = (settings: TcpSettings): HostConfig => ({
  interfaces: [
    {
      name: "crowd0",
      mac: 0x02_00_00_00_00_01 as MacAddress,
      layer: "ip",
      mtu: 1500,
      burst: 0,
      addresses: [{ address: SERVER.address, prefixLength: 15 }],
    },
  ],
  routes: [],
  settings,
  secret: new Uint8Array(32).fill(1),
})
