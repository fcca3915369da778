import type { Device } from "../../src/device/device.ts"
import { memoryPair } from "../../src/device/memory.ts"
import { encodeSegment } from "../../src/host/encode.ts"
import { makeHost } from "../../src/host/host.ts"
import type { HostApi, SocketId } from "../../src/host/types.ts"
import { defaultUdpOptions } from "../../src/host/udp/types.ts"
import { defaultSettings } from "../../src/tcp/settings.ts"
import { defaultSocketOptions } from "../../src/tcp/tcb.ts"
import type { Micros } from "../../src/tcp/time.ts"
import { type IpAddress, ipv4, ipv6, sameAddress, UNSPECIFIED6, withoutZone } from "../../src/wire/address.ts"
import { ARP_REQUEST } from "../../src/wire/arp.ts"
import { getU16 } from "../../src/wire/bytes.ts"
import { ETHERNET_HEADER, ETHERTYPE_IPV6 } from "../../src/wire/ethernet.ts"
import { decodeIpv4, PROTOCOL_TCP } from "../../src/wire/ipv4.ts"
import { decodeIpv6 } from "../../src/wire/ipv6.ts"
import { multicastMac, solicitedNode } from "../../src/wire/multicast.ts"
import { decodeTcp } from "../../src/wire/tcp.ts"
import { ACK, FIN, SYN } from "../../src/wire/tcpSegment.ts"
import { A, B, MAC_A, MAC_B, pattern, SECOND } from "../host/lab.ts"
import { addressOf, arpFrame, ndpFrame, type TcpFields, tcp6Frame, tcpFrame } from "../host/stranger.ts"
import { A6, B6 } from "./frames6.ts"

/** Where a connection of the world stands, so that a frame can be aimed at it. */
export interface Place {
  readonly family: Family
  readonly sourcePort: number
  readonly destinationPort: number
  readonly seq: number
  readonly ack: number
}

/** What one frame led to. */
export interface Outcome {
  /** Whole frames that left, link header first. */
  readonly frames: ReadonlyArray<Uint8Array>
  /** The `why` of everything that was sent, dropped or closed. */
  readonly whys: ReadonlyArray<string>
}

type Family = 4 | 6
const FAMILIES: ReadonlyArray<Family> = [4, 6]

/** The stranger asks for the host, who learns its link address by that. */
const INTRODUCTIONS = [
  arpFrame({ operation: ARP_REQUEST, senderMac: MAC_B, senderAddress: B, targetAddress: A }),
  ndpFrame(
    { _tag: "NeighbourSolicitation", target: A6, sourceMac: MAC_B },
    { source: B6, destination: solicitedNode(A6) },
    multicastMac(solicitedNode(A6)),
  ),
]

/** A segment of the stranger's, by either version. */
const segmentFrame = (family: Family, fields: TcpFields): Uint8Array =>
  family === 4 ? tcpFrame(fields) : tcp6Frame({ source: B6, destination: A6, ...fields })

/** A host with listeners, and connections in every state, that is sent whatever there is. */
export class World {
  now: Micros = SECOND
  readonly places: Array<Place> = []
  private readonly host: HostApi
  private readonly listener: SocketId
  private readonly udp: SocketId
  private readonly near: Device
  private readonly far: Device
  private accepted = 0

  constructor() {
    const [near, far] = memoryPair({ capacity: 4096, mtu: 1500, macs: [MAC_A, MAC_B] })
    this.near = near
    this.far = far
    this.host = makeHost({
      interfaces: [
        {
          name: "fuzz0",
          mac: MAC_A,
          layer: "ethernet",
          mtu: 1500,
          burst: 0,
          addresses: [
            { address: A, prefixLength: 16 },
            { address: A6, prefixLength: 64 },
          ],
          ipv6: "auto",
          dadTransmits: 0,
        },
      ],
      routes: [],
      settings: { ...defaultSettings, tcpMaxSynBacklog: 64, tcpMaxTwBuckets: 64, tcpFastopen: 3 },
      secret: new Uint8Array(32).fill(1),
    })
    this.introduce()
    this.listener = this.listen(7, { backlog: 32, fastOpen: 8 })
    this.listen(9, { backlog: 2 })
    this.listen("every", { backlog: 8, deferAccept: SECOND })
    for (const family of FAMILIES) {
      for (let port = 1; port <= 8; port++) this.open(family, port)
      this.connect(family, 80)
    }
    this.udp = this.host.udp.socket(defaultUdpOptions)
    this.host.udp.bind(this.udp, { address: UNSPECIFIED6, port: 9999 })
    for (const group of [ipv4(0xefc00001), ipv6(0xff020000, 0, 0, 0xfb)])
      this.host.udp.join(this.udp, group, 0, this.now)
    this.wait(10 * SECOND)
  }

  /** One of the host's addresses, those included that routers have made it take. */
  owns(address: IpAddress): boolean {
    return this.host.addresses().some((own) => sameAddress(withoutZone(own.address), address))
  }

  /** One frame, and what is due. */
  put(frame: Uint8Array): Outcome {
    this.host.frame(0, frame, 0, frame.length, false, this.now)
    return this.finish()
  }

  wait(time: Micros): Outcome {
    this.now += time
    this.host.advance(this.now)
    return this.finish()
  }

  /** Sockets and blocks: what must not grow without bound. */
  get size(): number {
    return this.host.sockets().length
  }

  /** The application reads, answers and closes now and then, so that blocks come and go. */
  live(turn: number): void {
    const { host, listener } = this
    for (let id = host.accept(listener); id !== undefined; id = host.accept(listener)) {
      this.accepted++
      if (this.accepted % 3 === 0) host.close(id, this.now)
      else if (this.accepted % 3 === 1) host.write(id, pattern(2000), this.now)
    }
    for (;;) {
      const datagram = host.udp.receive(this.udp)
      if (datagram === "empty" || "errno" in datagram) break
      host.udp.send(this.udp, datagram.payload, datagram.source, this.now)
    }
    for (const { socket, state } of turn % 64 === 0 ? host.sockets() : []) {
      if (state !== "LISTEN") host.read(socket, 65_536, this.now)
    }
  }

  /** After all that: a newcomer is greeted. */
  greets(): void {
    // What waits in the queues gives up, and the listener has room.
    this.wait(200 * SECOND)
    this.live(0)
    this.introduce()
    for (const family of FAMILIES) {
      this.isnOf(this.put(segmentFrame(family, { sourcePort: 65_001, seq: 0, flags: SYN })))
    }
  }

  private introduce(): void {
    for (const frame of INTRODUCTIONS) this.put(frame)
  }

  private finish(): Outcome {
    this.host.flush(this.now)
    const frames: Array<Uint8Array> = []
    const whys: Array<string> = []
    for (const effect of this.host.take()) {
      switch (effect._tag) {
        case "SendSegment":
          whys.push(effect.segment.why)
          encodeSegment(this.near, "linux", effect)
          break
        case "SendFrame":
          whys.push(effect.why)
          frames.push(effect.bytes)
          break
        case "Dropped":
          whys.push(effect.why)
          break
        case "SocketEvent":
          break
      }
    }
    this.near.flush()
    this.far.receive(({ bytes, offset, length }) => frames.push(bytes.slice(offset, offset + length)), 4096)
    return { frames, whys }
  }

  private listen(
    port: number | "every",
    options: { readonly backlog: number; fastOpen?: number; deferAccept?: number },
  ) {
    const { backlog, ...rest } = options
    const id = this.host.listen(
      { address: UNSPECIFIED6, port, backlog, options: { ...defaultSocketOptions, ...rest } },
      this.now,
    )
    if (typeof id === "object") throw new Error(id.why)
    return id
  }

  /** A connection from `sourcePort`, brought into a state of its own. */
  private open(family: Family, sourcePort: number): void {
    const segment = (fields: TcpFields): Outcome => this.put(segmentFrame(family, { sourcePort, ...fields }))
    const seq = this.isnOf(segment({ seq: 1000, flags: SYN, options: { sackPermitted: true } }))
    const ack = (seq + 1) >>> 0
    this.places.push({ family, sourcePort, destinationPort: 7, seq: 1001, ack })
    if (sourcePort === 1) return
    segment({ seq: 1001, ack, flags: ACK })
    const socket = this.host.accept(this.listener)
    if (socket === undefined) throw new Error("not accepted")
    const fin = (at: number): Outcome => segment({ seq: 1001, ack: at, flags: ACK | FIN })
    switch (sourcePort) {
      case 3:
        this.host.write(socket, pattern(5000), this.now)
        break
      case 4:
        this.host.shutdown(socket, this.now)
        break
      case 5:
        fin(ack)
        break
      case 6:
        this.host.close(socket, this.now)
        break
      case 7:
        this.host.close(socket, this.now)
        this.finish()
        fin((ack + 1) >>> 0)
        break
      default:
        break
    }
    this.finish()
  }

  /** SYN-SENT, towards the stranger and towards somebody who does not answer who asks for them. */
  private connect(family: Family, port: number): void {
    for (const address of family === 4 ? [B, addressOf(77)] : [B6, ipv6(0x20010db8, 0, 0, 77)]) {
      const call = {
        remote: { address, port },
        local: { port: 5000 + port },
        options: { ...defaultSocketOptions, reuseAddress: true },
      }
      const id = this.host.connect(call, this.now)
      if (typeof id === "object") throw new Error(id.why)
    }
    const seq = this.isnOf(this.finish())
    this.places.push({ family, sourcePort: port, destinationPort: 5000 + port, seq: 1, ack: (seq + 1) >>> 0 })
  }

  private isnOf({ frames }: Outcome): number {
    for (const frame of frames) {
      const length = frame.length - ETHERNET_HEADER
      const isIpv6 = getU16(frame, ETHERNET_HEADER - 2) === ETHERTYPE_IPV6
      const ip = isIpv6 ? decodeIpv6(frame, ETHERNET_HEADER, length) : decodeIpv4(frame, ETHERNET_HEADER, length)
      if (typeof ip === "string" || ip.protocol !== PROTOCOL_TCP) continue
      const tcp = decodeTcp(frame, ip.payloadOffset, ip.payloadLength, ip.source, ip.destination, true)
      if (typeof tcp !== "string" && (tcp.segment.flags & SYN) !== 0) return tcp.segment.seq
    }
    throw new Error("no SYN was sent")
  }
}
