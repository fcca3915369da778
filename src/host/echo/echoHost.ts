import type { Micros } from "../../tcp/time.ts"
import { type IpAddress, isMulticast, isUnspecified, lacksZone, sameAddress, unmapped } from "../../wire/address.ts"
import { encodeIcmp, ICMP_HEADER } from "../../wire/icmp.ts"
import type { Echo } from "../../wire/icmpMessage.ts"
import { encodeIcmpv6 } from "../../wire/icmpv6.ts"
import type { IpPacket } from "../../wire/ip.ts"
import { IPV4_HEADER, PROTOCOL_ICMP } from "../../wire/ipv4.ts"
import { NEXT_HEADER_ICMPV6 } from "../../wire/ipv6.ts"
import { EMPTY } from "../../wire/tcpSegment.ts"
import { DatagramQueue } from "../datagramQueue.ts"
import type { DatagramShell } from "../datagramShell.ts"
import type { IcmpReport } from "../icmpReport.ts"
import { BAD_ID, refuse } from "../refusal.ts"
import type { HostRefusal, SendFrame, SocketId } from "../types.ts"
import type { EchoAnswer, EchoApi, EchoRequestCall, EchoStatus } from "./types.ts"

const IDENTIFIERS = 0x10000
/** What a packet may carry behind its ICMP header: IPv4's length counts the header before it too. */
const LARGEST = { 4: 65535 - IPV4_HEADER - ICMP_HEADER, 6: 65535 - ICMP_HEADER } as const
/** Destinations of one socket that are remembered: only they are believed to answer. The oldest gives way. */
const MOST_ASKED = 64

interface Carried {
  readonly protocol: number
  readonly write: (out: Uint8Array, offset: number, source: IpAddress) => void
  readonly why: SendFrame["why"]
}

const over4 = (message: Echo): Carried => ({
  protocol: PROTOCOL_ICMP,
  write: (out, offset) => void encodeIcmp(out, offset, message),
  why: "RFC1122-3.2.2.6:echo-request",
})

const over6 = (message: Echo, to: IpAddress): Carried => ({
  protocol: NEXT_HEADER_ICMPV6,
  write: (out, offset, source) => void encodeIcmpv6(out, offset, message, source, to),
  why: "RFC4443-4.1:echo-request",
})

class EchoSocket {
  readonly queue = new DatagramQueue<EchoAnswer>()
  /** Whom it has asked, youngest last. */
  readonly asked: Array<IpAddress> = []

  constructor(
    readonly id: SocketId,
    readonly identifier: number,
    readonly receiveBuffer: number,
  ) {}

  remember(to: IpAddress): void {
    const index = this.asked.findIndex((one) => sameAddress(one, to))
    if (index >= 0) this.asked.splice(index, 1)
    else if (this.asked.length >= MOST_ASKED) this.asked.shift()
    this.asked.push(to)
  }

  /** A group's members answer for it. */
  hasAsked(from: IpAddress): boolean {
    return this.asked.some((to) => sameAddress(to, from) || (isMulticast(to) && to.family === from.family))
  }

  get status(): EchoStatus {
    const { id, identifier, queue } = this
    return { socket: id, identifier, recvQ: queue.charge, drops: queue.drops }
  }
}

/** Echo requests of applications, and what comes back about them. */
export class EchoHost implements EchoApi {
  private readonly all = new Map<SocketId, EchoSocket>()
  private readonly byIdentifier = new Map<number, EchoSocket>()

  constructor(private readonly shell: DatagramShell) {}

  open(wanted: number, receiveBuffer: number): SocketId | HostRefusal {
    if (!Number.isInteger(wanted) || wanted < 0 || wanted >= IDENTIFIERS) {
      return refuse("EINVAL", "RFC792:identifier-out-of-range")
    }
    const identifier = wanted === 0 ? this.freeIdentifier() : wanted
    if (identifier === undefined || this.byIdentifier.has(identifier)) {
      return refuse("EADDRINUSE", "Linux:ping_get_port:identifier-in-use")
    }
    const id = this.shell.nextId()
    const socket = new EchoSocket(id, identifier, receiveBuffer)
    this.all.set(id, socket)
    this.byIdentifier.set(identifier, socket)
    return id
  }

  send(id: SocketId, request: EchoRequestCall, now: Micros): HostRefusal | undefined {
    const socket = this.all.get(id)
    if (socket === undefined) return BAD_ID
    const { payload, ttl, tos, dontFragment } = request
    const to = unmapped(request.to)
    const { link } = this.shell
    if (isUnspecified(to)) return refuse("EINVAL", "RFC1122-3.2.1.3:unspecified-destination")
    if (lacksZone(to)) return refuse("EINVAL", "RFC4007-6:no-zone")
    if (payload.length > LARGEST[to.family]) return refuse("EMSGSIZE", "RFC791-3.1:longer-than-65535")
    const reach = link.reachOf(to)
    // Everybody on a link may be asked over IPv6, as ping6 does; over IPv4 that is what smurfs did.
    const isForMany = reach !== undefined && reach !== "unicast"
    if (isForMany && to.family === 4) return refuse("EACCES", "Linux:ping_v4_sendmsg:SO_BROADCAST")
    const hop = link.wayTo(to)
    if (hop === undefined) return link.noRoute(to, "Linux:ip_route_output:no-route")
    const source = request.source ?? (reach === "unicast" ? to : link.sourceFor(hop.interface, to))
    if (source === undefined || !link.isLocal(source)) return refuse("EADDRNOTAVAIL", "RFC6724:no-source-address")
    const length = ICMP_HEADER + payload.length
    const mtu = link.pathMtus.mtu(to, hop.interface, now)
    if (dontFragment && !link.pathMtus.fits(to, length, mtu)) {
      return refuse("EMSGSIZE", "RFC1191-6.2:longer-than-the-path-takes")
    }
    socket.remember(to)
    const { identifier } = socket
    const message: Echo = { _tag: "EchoRequest", identifier, sequence: request.sequence & 0xffff, payload }
    const { protocol, write, why } = to.family === 4 ? over4(message) : over6(message, to)
    link.datagramTo(to, source, protocol, length, write, why, now, {
      ...(ttl > 0 ? { ttl } : {}),
      tos,
      dontFragment,
    })
    return undefined
  }

  receive(id: SocketId): EchoAnswer | "empty" | HostRefusal {
    const socket = this.all.get(id)
    return socket === undefined ? BAD_ID : (socket.queue.shift() ?? "empty")
  }

  status(id: SocketId): EchoStatus | undefined {
    return this.all.get(id)?.status
  }

  /** False where there is no such socket. */
  close(id: SocketId): boolean {
    const socket = this.all.get(id)
    if (socket === undefined) return false
    this.all.delete(id)
    this.byIdentifier.delete(socket.identifier)
    return true
  }

  get ids(): ReadonlyArray<SocketId> {
    return [...this.all.keys()]
  }

  /** A reply; false: nobody asked its sender under that identifier. */
  reply(packet: IpPacket, { identifier, sequence, payload }: Echo, now: Micros): boolean {
    const socket = this.byIdentifier.get(identifier)
    if (socket === undefined || !socket.hasAsked(packet.source)) return false
    const { source: from, ttl, tos } = packet
    this.deliver(socket, { _tag: "Reply", from, sequence, payload: payload.slice(), ttl, tos, at: now })
    return true
  }

  /** An ICMP error that quotes a request of ours, which `to` names the destination of. */
  icmpError(identifier: number, sequence: number, to: IpAddress, report: IcmpReport, now: Micros): boolean {
    const socket = this.byIdentifier.get(identifier)
    if (socket === undefined || !socket.asked.some((one) => sameAddress(one, to))) return false
    this.deliver(socket, { _tag: "Failure", sequence, to, report, payload: EMPTY, at: now })
    return true
  }

  private deliver(socket: EchoSocket, answer: EchoAnswer): void {
    const { rmemDefault, rmemMax } = this.shell.context.settings
    const limit = Math.min(socket.receiveBuffer || rmemDefault, rmemMax)
    if (!socket.queue.push(answer, limit)) return this.shell.link.drop("Linux:ping_queue_rcv_skb:receive-buffer-full")
    this.shell.notify(socket.id, "readable")
  }

  private freeIdentifier(): number | undefined {
    const start = this.shell.chances.next()
    for (let tries = 0; tries < IDENTIFIERS; tries++) {
      const identifier = (start + tries) % IDENTIFIERS
      if (identifier !== 0 && !this.byIdentifier.has(identifier)) return identifier
    }
    return undefined
  }
}
