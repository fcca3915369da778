import { describe, expect, test } from "bun:test"
import { answer, type DhcpBindings, type DhcpPool, NO_BINDINGS } from "../../src/ip/dhcpServer.ts"
import { sameAddress } from "../../src/wire/address.ts"
import { formatAddress } from "../../src/wire/addressText.ts"
import { ARP_REQUEST, decodeArp } from "../../src/wire/arp.ts"
import { type DhcpMessage, decodeDhcp, encodeDhcp } from "../../src/wire/dhcp.ts"
import { isDrop } from "../../src/wire/drop.ts"
import { BROADCAST_MAC, decodeEthernet, ETHERTYPE_ARP } from "../../src/wire/ethernet.ts"
import { decodeIpv4, PROTOCOL_UDP } from "../../src/wire/ipv4.ts"
import { decodeUdp, encodeUdp } from "../../src/wire/udp.ts"
import { ip } from "../wire/support.ts"
import { MAC_A, SECOND } from "./lab.ts"
import { arpFrame, ipFrame, Stranger, udpFrame } from "./stranger.ts"

const POOL: DhcpPool = {
  server: ip("198.18.0.1"),
  prefixLength: 24,
  first: ip("198.18.0.50"),
  last: ip("198.18.0.60"),
  routers: [ip("198.18.0.1")],
  routes: [],
  dnsServers: [ip("198.18.0.53")],
  domainName: undefined,
  mtu: undefined,
  leaseTime: 1000,
  reserved: new Map(),
}

/** A host that has nothing but a DHCP client, and a server made by hand. */
class Scene {
  readonly stranger = new Stranger({
    more: {
      interfaces: [
        { name: "test0", mac: MAC_A, layer: "ethernet", mtu: 1500, burst: 0, addresses: [], dhcp: { hostName: "lab" } },
      ],
    },
  })
  bindings: DhcpBindings = NO_BINDINGS
  pool: DhcpPool = POOL
  /** What it has sent ARP announcements of (RFC 5227 section 2.3). */
  readonly announced: Array<string> = []
  /** What the client has said, with its frames. */
  readonly said: Array<string> = []

  constructor() {
    this.stranger.host.frames = []
  }

  /** What the client has sent since, read. */
  sent(): ReadonlyArray<DhcpMessage> {
    const { host } = this.stranger
    const messages: Array<DhcpMessage> = []
    for (const frame of host.frames?.splice(0) ?? []) {
      const link = decodeEthernet(frame, 0, frame.length)
      if (isDrop(link)) throw new Error(link)
      const arp = decodeArp(frame, link.payloadOffset, link.payloadLength)
      if (link.etherType === ETHERTYPE_ARP && !isDrop(arp) && sameAddress(arp.senderAddress, arp.targetAddress)) {
        this.announced.push(formatAddress(arp.senderAddress))
      }
      const packet = decodeIpv4(frame, link.payloadOffset, link.payloadLength)
      if (isDrop(packet) || packet.protocol !== PROTOCOL_UDP) continue
      const udp = decodeUdp(frame, packet.payloadOffset, packet.payloadLength, packet.source, packet.destination, true)
      const message = isDrop(udp) ? udp : decodeDhcp(udp.payload)
      if (isDrop(message)) throw new Error(message)
      const to = link.destination === BROADCAST_MAC ? "all" : formatAddress(packet.destination)
      this.said.push(`${message.options.messageType} from ${formatAddress(packet.source)} to ${to}`)
      messages.push(message)
    }
    return messages
  }

  /** The server answers everything until the client is content. */
  serve(): void {
    for (let round = 0; round < 5; round++) {
      for (const message of this.sent()) {
        const made = answer(this.pool, this.bindings, message, this.stranger.now)
        this.bindings = made.bindings
        if (made.reply !== undefined) this.say(made.reply.message)
      }
    }
  }

  say(message: DhcpMessage): void {
    const payload = encodeDhcp(message)
    const ends = { source: POOL.server, destination: ip("255.255.255.255") }
    const packet = { ...ends, sourcePort: 67, destinationPort: 68, payload }
    const write = (out: Uint8Array, at: number) => encodeUdp(out, at, packet)
    this.stranger.put(ipFrame({ protocol: PROTOCOL_UDP, ...ends }, 8 + payload.length, write, BROADCAST_MAC))
    this.stranger.host.turn()
  }

  /** Brings the client up: DISCOVER to BOUND. */
  bound(): this {
    this.stranger.host.turn()
    this.serve()
    return this
  }

  /** The client learns the server's link address. */
  meet(): void {
    const fields = { senderAddress: POOL.server, targetAddress: POOL.first }
    this.stranger.send(arpFrame({ operation: ARP_REQUEST, ...fields }))
  }

  get own(): ReadonlyArray<string> {
    return this.stranger.host.host
      .addresses()
      .map(({ address, prefixLength }) => `${formatAddress(address)}/${prefixLength}`)
  }

  get routes(): ReadonlyArray<string> {
    return this.stranger.host.host
      .routes()
      .filter(({ origin }) => origin === "static")
      .map(
        ({ prefix, prefixLength, via }) =>
          `${formatAddress(prefix)}/${prefixLength} via ${via === undefined ? "link" : formatAddress(via)}`,
      )
  }
}

describe("a host with a DHCP client", () => {
  test("no address: asks from 0.0.0.0, as broadcasts, and takes what it is given", () => {
    const scene = new Scene().bound()
    expect(scene.said).toEqual(["DISCOVER from 0.0.0.0 to all", "REQUEST from 0.0.0.0 to all"])
    expect(scene.own).toEqual(["198.18.0.50/24"])
    expect(scene.routes).toEqual(["0.0.0.0/0 via 198.18.0.1"])
    expect(scene.stranger.host.host.resolvers()).toEqual([ip("198.18.0.53")])
    expect(scene.stranger.host.host.leases()).toMatchObject([{ interface: 0, state: "BOUND" }])
    expect([...scene.bindings.values()]).toMatchObject([{ hostName: "lab", state: "bound" }])
  })

  test("an address that is taken without asking: announced, twice (RFC 2131 section 4.4.1)", () => {
    const scene = new Scene().bound()
    scene.stranger.wait(10 * SECOND)
    scene.sent()
    expect(scene.announced).toEqual(["198.18.0.50", "198.18.0.50"])
  })

  test("T1: asks its server, from its address; the answer moves the end of the lease", () => {
    const scene = new Scene().bound()
    const { stranger } = scene
    scene.meet()
    stranger.wait(500 * SECOND)
    scene.said.length = 0
    scene.serve()
    expect(scene.said).toEqual(["REQUEST from 198.18.0.50 to 198.18.0.1"])
    expect(stranger.host.host.leases()).toMatchObject([{ state: "BOUND" }])
    const [view] = stranger.host.host.addresses()
    expect(view?.validUntil).toBeGreaterThan(1400 * SECOND)
  })

  test("a renewal with another router and MTU: these in place of those of before", () => {
    const scene = new Scene()
    scene.pool = { ...POOL, mtu: 1400 }
    scene.bound()
    const { stranger } = scene
    const { host } = stranger.host
    expect(host.pathMtu(ip("192.0.2.1"), stranger.now)).toBe(1400)
    scene.meet()
    scene.pool = { ...POOL, routers: [ip("198.18.0.9")] }
    stranger.wait(500 * SECOND)
    scene.serve()
    expect(scene.routes).toEqual(["0.0.0.0/0 via 198.18.0.9"])
    expect(host.pathMtu(ip("192.0.2.1"), stranger.now)).toBe(1500)
  })

  test.each([
    [1400, 1400],
    [9000, 1500],
    [68, 1500],
  ])("an MTU of %d on a link of 1500: packets of %d", (mtu, expected) => {
    const scene = new Scene()
    scene.pool = { ...POOL, mtu }
    scene.bound()
    expect(scene.stranger.host.host.pathMtu(POOL.server, scene.stranger.now)).toBe(expected)
  })

  test("nobody answers any more: at the end of the lease the address and its routes are gone, and it asks anew", () => {
    const scene = new Scene().bound()
    scene.stranger.wait(1001 * SECOND)
    expect(scene.own).toEqual([])
    expect(scene.routes).toEqual([])
    scene.said.length = 0
    scene.sent()
    expect(scene.said.at(-1)).toBe("DISCOVER from 0.0.0.0 to all")
    expect(scene.said.some((what) => what.startsWith("DECLINE"))).toBe(false)
  })

  test("the end of the host: the server is told, and has the address again", () => {
    const scene = new Scene().bound()
    const { host, now } = scene.stranger
    scene.meet()
    host.host.release(now)
    host.turn()
    scene.said.length = 0
    scene.serve()
    expect(scene.said).toEqual(["RELEASE from 198.18.0.50 to 198.18.0.1"])
    expect(scene.own).toEqual([])
    expect(scene.bindings.size).toBe(0)
  })

  test("a DHCP answer to a host without a client: nobody's port", () => {
    const stranger = new Stranger()
    stranger.introduce()
    const seen = stranger.send(udpFrame(new Uint8Array(300)))
    expect(seen.length).toBe(1)
  })
})
