import type { Micros } from "../tcp/time.ts"
import { type IpAddress, isMulticast, type MacAddress, sameAddress, UNSPECIFIED4 } from "../wire/address.ts"
import { ARP_LENGTH, ARP_REPLY, ARP_REQUEST, decodeArp, encodeArp } from "../wire/arp.ts"
import { isDrop } from "../wire/drop.ts"
import { BROADCAST_MAC, ETHERNET_HEADER, ETHERTYPE_ARP, isGroupMac, NO_MAC, writeEthernet } from "../wire/ethernet.ts"
import type { Addresses } from "./addresses.ts"
import type { Neighbours } from "./neighbours.ts"
import type { NetInterface } from "./netInterface.ts"
import type { Packet } from "./output.ts"
import type { HostEffect, SendFrame } from "./types.ts"

/** RFC 5227 section 1.1. */
const DEFEND_INTERVAL: Micros = 10_000_000
const MOST_DEFENDED = 256

/** ARP of a host (RFC 826), with the probes, announcements and defence of RFC 5227. */
export class ArpHost {
  /** When an address was last defended. */
  private readonly defended = new Map<number, Micros>()

  constructor(
    private readonly addresses: Addresses,
    private readonly caches: ReadonlyArray<Neighbours<Packet>>,
    private readonly emit: (effect: HostEffect) => void,
  ) {}

  /** RFC 826: learn the sender if it is known or asks for us; answer if it asks for us. */
  input(iface: NetInterface, bytes: Uint8Array, offset: number, length: number, now: Micros): void {
    const packet = decodeArp(bytes, offset, length)
    if (isDrop(packet)) return this.drop(packet)
    const cache = this.caches[iface.index]
    if (cache === undefined) return
    const { operation, senderAddress, senderMac, targetAddress } = packet
    if (this.conflicts(iface, senderAddress, senderMac, targetAddress, now)) return
    const forUs = iface.local.some((own) => sameAddress(own, targetAddress))
    if (isGroupMac(senderMac) || senderMac === NO_MAC) return this.drop("arp:bad-sender")
    // Nobody speaks as a group, or as everyone (RFC 1122 section 3.2.1.3).
    if (isMulticast(senderAddress) || iface.isBroadcast(senderAddress)) return this.drop("arp:bad-sender")
    if (operation === ARP_REPLY && forUs) cache.confirm(senderAddress, senderMac, now)
    // A probe (RFC 5227 section 1.1) comes from 0.0.0.0: nothing to learn. What says of itself where it is, unasked,
    // changes what is known and adds nothing (Linux's arp_accept 0).
    else if (senderAddress.d !== 0) {
      cache.hear(senderAddress, senderMac, forUs && operation === ARP_REQUEST, now)
    }
    if (operation === ARP_REQUEST && forUs) {
      this.send(iface, ARP_REPLY, senderMac, senderMac, targetAddress, senderAddress, "RFC826:request-for-our-address")
    }
  }

  /** Who has `target`? Everyone is asked, or the one that should. */
  solicit(iface: NetInterface, source: IpAddress, target: IpAddress, to: MacAddress | "everyone"): void {
    const mac = to === "everyone" ? BROADCAST_MAC : to
    this.send(iface, ARP_REQUEST, mac, NO_MAC, source, target, "RFC4861-7.2.2:resolve")
  }

  /** RFC 5227 section 2.1.1. */
  probe(iface: NetInterface, address: IpAddress): void {
    this.send(iface, ARP_REQUEST, BROADCAST_MAC, NO_MAC, UNSPECIFIED4, address, "RFC5227-2.1.1:probe")
  }

  /** RFC 5227 section 2.3. */
  announce(iface: NetInterface, address: IpAddress): void {
    this.send(iface, ARP_REQUEST, BROADCAST_MAC, NO_MAC, address, address, "RFC5227-2.3:announcement")
  }

  /** Somebody else claims an address of ours, or probes for the one that we probe for (RFC 5227 sections 2.1.1 and 2.4). */
  private conflicts(
    iface: NetInterface,
    sender: IpAddress,
    senderMac: MacAddress,
    target: IpAddress,
    now: Micros,
  ): boolean {
    if (this.addresses.isLocal(sender)) {
      this.drop("arp:our-address-is-claimed")
      if (senderMac !== iface.config.mac) this.defend(iface, sender, now)
      return true
    }
    const claimed = sender.d === 0 ? target : sender
    if (senderMac === iface.config.mac || !this.addresses.conflict(iface, claimed, now)) return false
    this.drop("RFC5227-2.1.1:address-in-use")
    return true
  }

  /** RFC 5227 section 2.4(c): we keep the address and say so, once in a while, so that two who both keep it make no storm. */
  private defend(iface: NetInterface, address: IpAddress, now: Micros): void {
    if (!iface.local.some((own) => sameAddress(own, address))) return
    const last = this.defended.get(address.d)
    if (last !== undefined && now - last < DEFEND_INTERVAL) return
    // Addresses come and go; those that are ours are few.
    if (this.defended.size >= MOST_DEFENDED) this.defended.clear()
    this.defended.set(address.d, now)
    this.send(iface, ARP_REQUEST, BROADCAST_MAC, NO_MAC, address, address, "RFC5227-2.4:defence")
  }

  private drop(why: string): void {
    this.emit({ _tag: "Dropped", why })
  }

  private send(
    iface: NetInterface,
    operation: number,
    to: MacAddress,
    targetMac: MacAddress,
    senderAddress: IpAddress,
    targetAddress: IpAddress,
    why: SendFrame["why"],
  ): void {
    const { mac } = iface.config
    const bytes = new Uint8Array(ETHERNET_HEADER + ARP_LENGTH)
    writeEthernet(bytes, 0, { destination: to, source: mac, etherType: ETHERTYPE_ARP })
    encodeArp(bytes, ETHERNET_HEADER, { operation, senderMac: mac, senderAddress, targetMac, targetAddress })
    this.emit({ _tag: "SendFrame", interface: iface.index, bytes, why })
  }
}
