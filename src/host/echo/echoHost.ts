import type { Micros } from "../../tcp/time.ts"
import { type IpAddress, isUnspecified, sameAddress } from "../../wire/address.ts"
import { type Echo, encodeIcmp, ICMP_HEADER } from "../../wire/icmp.ts"
import type { IpPacket } from "../../wire/ip.ts"
import { PROTOCOL_ICMP } from "../../wire/ipv4.ts"
import { EMPTY } from "../../wire/tcpSegment.ts"
import { DatagramQueue } from "../datagramQueue.ts"
import type { DatagramShell } from "../datagramShell.ts"
import type { IcmpReport } from "../icmpReport.ts"
import { BAD_ID, refuse } from "../refusal.ts"
import type { HostRefusal, SocketId } from "../types.ts"
import type { EchoAnswer, EchoApi, EchoRequestCall, EchoStatus } from "./types.ts"

const IDENTIFIERS = 0x10000
/** What a packet may carry behind its ICMP header. */
const LARGEST = 65535 - 20 - ICMP_HEADER
/** Destinations of one socket that are remembered: only they are believed to answer. The oldest gives way. */
const MOST_ASKED = 64

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

  get status(): EchoStatus {
    const { id, identifier, queue } = this
    return { socket: id, identifier, recvQ: queue.charge, drops: queue.drops }
  }
}

/** Echo requests of applications, and what comes back about them. */
export class EchoHost implements EchoApi {
  private readonly all = new Map<SocketId, EchoSocket>()
  private readonly byIdentifier = new Map<number, EchoSocket>()
  private opened = 0

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
    const { to, payload, ttl, tos, dontFragment } = request
    const { link, paths, identifications } = this.shell
    if (isUnspecified(to)) return refuse("EINVAL", "RFC1122-3.2.1.3:unspecified-destination")
    if (payload.length > LARGEST) return refuse("EMSGSIZE", "RFC791-3.1:longer-than-65535")
    const reach = link.reachOf(to)
    if (reach !== undefined && reach !== "unicast") return refuse("EACCES", "Linux:ping_v4_sendmsg:SO_BROADCAST")
    const hop = link.wayTo(to)
    if (hop === undefined) return refuse("ENETUNREACH", "Linux:ip_route_output:no-route")
    const source = request.source ?? (reach === "unicast" ? to : link.sourceFor(hop.interface, to))
    if (source === undefined || !link.isLocal(source)) return refuse("EADDRNOTAVAIL", "RFC6724:no-source-address")
    const length = ICMP_HEADER + payload.length
    const mtu = paths.mtu(to, hop.interface, now)
    if (dontFragment && !paths.fits(to, length, mtu)) {
      return refuse("EMSGSIZE", "RFC1191-6.2:longer-than-the-path-takes")
    }
    socket.remember(to)
    const { identifier } = socket
    const message: Echo = { _tag: "EchoRequest", identifier, sequence: request.sequence & 0xffff, payload }
    link.datagramTo(
      to,
      source,
      PROTOCOL_ICMP,
      length,
      (out, offset) => void encodeIcmp(out, offset, message),
      "RFC1122-3.2.2.6:echo-request",
      now,
      {
        ...(ttl > 0 ? { ttl } : {}),
        tos,
        dontFragment,
        identification: identifications.next(source, to, PROTOCOL_ICMP),
        mtu,
      },
    )
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
    if (socket === undefined || !socket.asked.some((to) => sameAddress(to, packet.source))) return false
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
    const start = this.shell.keys.unguessable(++this.opened)
    for (let tries = 0; tries < IDENTIFIERS; tries++) {
      const identifier = (start + tries) % IDENTIFIERS
      if (identifier !== 0 && !this.byIdentifier.has(identifier)) return identifier
    }
    return undefined
  }
}
