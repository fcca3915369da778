import { type Endpoint, ipv4, type MacAddress } from "../../src/wire/address.ts"
import { ETHERNET_HEADER, ETHERTYPE_IPV4, writeEthernet } from "../../src/wire/ethernet.ts"
import { IPV4_HEADER, PROTOCOL_TCP, writeIpv4 } from "../../src/wire/ipv4.ts"
import { encodeTcp } from "../../src/wire/tcp.ts"
import { EMPTY, NO_OPTIONS, SYN } from "../../src/wire/tcpSegment.ts"

/** Options as hping3 and real clients send them: a flood that looks like anybody. */
const OFFER = { ...NO_OPTIONS, mss: 1460, sackPermitted: true, windowScale: 7, tsVal: 1, tsEcr: 0 }

/** First and last of the sources: 198.18.1.0 to 198.19.253.255. */
const FIRST = 0xc6120100
const SOURCES = 0xc613fe00 - FIRST

export const SYN_LENGTH = ETHERNET_HEADER + IPV4_HEADER + 40

/** SYNs from sources that nobody has, each another, the same ones in every run. */
export class Spoofer {
  private state: number
  count = 0

  constructor(
    private readonly from: MacAddress,
    private readonly via: MacAddress,
    private readonly target: Endpoint,
    seed = 1,
  ) {
    this.state = seed
  }

  /** Writes the next SYN as an Ethernet frame of SYN_LENGTH octets. */
  write(out: Uint8Array): void {
    const source = ipv4(FIRST + (this.next() % SOURCES))
    const destination = this.target.address
    const sourcePort = 1024 + (this.next() % 60_000)
    const segment = { seq: this.next(), ack: 0, flags: SYN, wnd: 65_535, up: 0, options: OFFER, payload: EMPTY }
    const packet = { source, destination, sourcePort, destinationPort: this.target.port, segment }
    writeEthernet(out, 0, { destination: this.via, source: this.from, etherType: ETHERTYPE_IPV4 })
    const payloadLength = encodeTcp(out, ETHERNET_HEADER + IPV4_HEADER, packet, "linux")
    writeIpv4(out, ETHERNET_HEADER, {
      source,
      destination,
      protocol: PROTOCOL_TCP,
      ttl: 64,
      tos: 0,
      identification: this.count & 0xffff,
      dontFragment: true,
      moreFragments: false,
      fragmentOffset: 0,
      options: EMPTY,
      payloadLength,
    })
    this.count++
  }

  frame(): Uint8Array {
    const out = new Uint8Array(SYN_LENGTH)
    this.write(out)
    return out
  }

  /** xorshift32: every state but zero once. */
  private next(): number {
    let x = this.state
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    this.state = x
    return x >>> 0
  }
}
