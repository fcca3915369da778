import type { Micros } from "../tcp/time.ts"
import { isDrop } from "../wire/drop.ts"
import { ETHERNET_HEADER } from "../wire/ethernet.ts"
import type { IcmpMessage } from "../wire/icmp.ts"
import type { IpPacket } from "../wire/ip.ts"
import { PROTOCOL_ICMP, PROTOCOL_UDP } from "../wire/ipv4.ts"
import { decodeQuote } from "../wire/quote.ts"
import type { DatagramShell } from "./datagramShell.ts"
import { EchoHost } from "./echo/echoHost.ts"
import { hostUnreachable, type IcmpReport, reportOf } from "./icmpReport.ts"
import type { SendFrame, SocketEvent, SocketId } from "./types.ts"
import { UdpHost } from "./udp/udpHost.ts"

/** Type and code of an echo request that an ICMP error quotes, as the two octets that ports would be in. */
const QUOTED_ECHO_REQUEST = 0x0800

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

  /** Replies to our requests, and errors about our datagrams; false: it is for somebody else to judge. */
  icmp(packet: IpPacket, message: IcmpMessage, now: Micros): boolean {
    if (message._tag === "EchoReply") return this.echo.reply(packet, message, now)
    const report = reportOf(message, packet.source)
    return report !== undefined && "quoted" in message && this.report(message.quoted, report, now)
  }

  /** Nobody answers for the next hop of a frame of ours: as if a router had said so (Linux's ipv4_link_failure). */
  unreachable({ bytes, interface: iface }: SendFrame, now: Micros): void {
    const start = this.shell.link.interface(iface)?.layer === "ethernet" ? ETHERNET_HEADER : 0
    const quoted = bytes.subarray(start)
    const quote = decodeQuote(quoted)
    if (!isDrop(quote)) this.report(quoted, hostUnreachable(quote.ip.source), now)
  }

  private report(quoted: Uint8Array, report: IcmpReport, now: Micros): boolean {
    const quote = decodeQuote(quoted)
    if (isDrop(quote)) return false
    const { source, destination, protocol } = quote.ip
    // What we are told of must be ours: the source was one of our addresses.
    if ((protocol !== PROTOCOL_UDP && protocol !== PROTOCOL_ICMP) || !this.shell.link.isLocal(source)) return false
    const isEcho = protocol === PROTOCOL_ICMP
    if (isEcho && quote.sourcePort !== QUOTED_ECHO_REQUEST) return false
    const taken = isEcho
      ? this.echo.icmpError(quote.seq >>> 16, quote.seq & 0xffff, destination, report, now)
      : this.udp.icmpError(quote, report, now)
    if (taken && report.problem === "MessageTooBig") this.shell.paths.learn(destination, report.mtu, now)
    return taken
  }
}
