import type { Micros } from "../tcp/time.ts"
import { isDrop } from "../wire/drop.ts"
import { ETHERNET_HEADER } from "../wire/ethernet.ts"
import { PROTOCOL_ICMP, PROTOCOL_UDP } from "../wire/ipv4.ts"
import { NEXT_HEADER_ICMPV6 } from "../wire/ipv6.ts"
import { decodeQuote, type Quote } from "../wire/quote.ts"
import type { DatagramShell } from "./datagramShell.ts"
import { EchoHost } from "./echo/echoHost.ts"
import { hostUnreachable, type IcmpReport } from "./icmpReport.ts"
import type { SendFrame, SocketEvent, SocketId } from "./types.ts"
import { UdpHost } from "./udp/udpHost.ts"

/** Type and code of an echo that an ICMP error quotes, as the two octets that ports would be in. */
const ECHO_REQUEST = { 4: 0x0800, 6: 0x8000 }
const ECHO_REPLY = { 4: 0x0000, 6: 0x8100 }

/** The datagram sockets of a host, and what ICMP has to say about what they sent. */
export class Datagrams {
  readonly udp: UdpHost
  readonly echo: EchoHost
  private reported = new Map<SocketId, number>()
  private readonly shell: DatagramShell

  constructor(shell: Omit<DatagramShell, "notify">, event: (event: SocketEvent) => void) {
    this.shell = {
      ...shell,
      notify: (socket, what) => {
        const bit = what === "error" ? 2 : 1
        const before = this.reported.get(socket) ?? 0
        if ((before & bit) !== 0) return
        this.reported.set(socket, before | bit)
        event({ _tag: "SocketEvent", socket, event: what })
      },
    }
    this.udp = new UdpHost(this.shell)
    this.echo = new EchoHost(this.shell)
  }

  /** The batch's effects have been taken: events may be reported anew. */
  taken(): void {
    if (this.reported.size > 0) this.reported = new Map()
  }

  /** Nobody answers for the next hop of a frame of ours: as if a router had said so (Linux's ipv4_link_failure). */
  unreachable({ bytes, interface: iface }: SendFrame, now: Micros): void {
    const start = this.shell.link.interface(iface)?.layer === "ethernet" ? ETHERNET_HEADER : 0
    const quote = decodeQuote(bytes.subarray(start), iface + 1)
    if (!isDrop(quote)) this.icmpError(quote, hostUnreachable(quote.ip.source), now)
  }

  /** An error about a packet that was not TCP's; false: none of our sockets sent it. */
  icmpError(quote: Quote, report: IcmpReport, now: Micros): boolean {
    const { source, destination } = quote.ip
    // What we are told of must be ours: the source was one of our addresses.
    if (!this.shell.link.isLocal(source)) return false
    const taken = this.isTaken(quote, report, now)
    // An echo reply has no socket: what was asked of us is as good a reason to believe.
    if (report.problem === "MessageTooBig" && (taken || isEcho(quote, ECHO_REPLY))) {
      this.shell.link.pathMtus.learn(destination, report.mtu, now, quote.length)
      return true
    }
    return taken
  }

  private isTaken(quote: Quote, report: IcmpReport, now: Micros): boolean {
    if (quote.ip.protocol === PROTOCOL_UDP) return this.udp.icmpError(quote, report, now)
    if (!isEcho(quote, ECHO_REQUEST)) return false
    return this.echo.icmpError(quote.seq >>> 16, quote.seq & 0xffff, quote.ip.destination, report, now)
  }
}

const isEcho = ({ ip, sourcePort }: Quote, typeAndCode: { readonly 4: number; readonly 6: number }): boolean =>
  ip.protocol === (ip.source.family === 4 ? PROTOCOL_ICMP : NEXT_HEADER_ICMPV6) &&
  sourcePort === typeAndCode[ip.source.family]
