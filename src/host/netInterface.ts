import { isMember, type Membership, NO_GROUPS } from "../ip/membership.ts"
import { isUsable, type OwnAddress } from "../ip/ownAddress.ts"
import { type Discovery, SILENT } from "../ip/routerDiscovery.ts"
import { type IpAddress, ipv4, isMulticast, sameAddress } from "../wire/address.ts"
import { ALL_NODES, ALL_SYSTEMS4 } from "../wire/multicast.ts"
import type { InterfaceConfig } from "./types.ts"

/** ff01::1: every node, within one interface. */
const INTERFACE_NODES: IpAddress = { ...ALL_NODES, a: 0xff010000 }

/** One interface of a host: what it was told, and what it has come to know. */
export class NetInterface {
  /** Of its link-local addresses (RFC 4007). */
  readonly zone: number
  readonly ipv6: "auto" | "static" | "off"
  /** Those that may be sources and destinations. */
  local: ReadonlyArray<IpAddress> = []
  /** IPv4: their directed broadcasts. */
  broadcasts: ReadonlyArray<IpAddress> = []
  groups4: Membership = NO_GROUPS
  groups6: Membership = NO_GROUPS
  discovery: Discovery = SILENT
  /** What a DHCP server has said of the link (RFC 2132 section 5.1); 0: nothing. */
  leasedMtu = 0
  private all: ReadonlyArray<OwnAddress> = []

  constructor(
    readonly index: number,
    readonly config: InterfaceConfig,
  ) {
    this.zone = index + 1
    const hasAddress = config.addresses.some(({ address }) => address.family === 6)
    this.ipv6 = config.ipv6 ?? (hasAddress ? "static" : "off")
  }

  get owns(): ReadonlyArray<OwnAddress> {
    return this.all
  }

  set owns(owns: ReadonlyArray<OwnAddress>) {
    this.all = owns
    const usable = owns.filter(isUsable)
    this.local = usable.map(({ address }) => address)
    // A /31 or /32 has no broadcast address (RFC 3021 section 2.2).
    this.broadcasts = usable
      .filter(({ address, prefixLength }) => address.family === 4 && prefixLength < 31)
      .map(({ address, prefixLength }) => ipv4((address.d | (0xffffffff >>> prefixLength)) >>> 0))
  }

  get isEthernet(): boolean {
    return this.config.layer === "ethernet"
  }

  /** Octets of the largest packet: a router may have said less for IPv6 (RFC 4861 section 4.6.4), a DHCP server for IPv4. */
  mtu(family: 4 | 6): number {
    const { mtu } = this.config
    const said = family === 6 ? this.discovery.mtu : this.leasedMtu
    return said > 0 ? Math.min(mtu, said) : mtu
  }

  /** Somebody has said that packets are to be smaller than configured. */
  get isNarrowed(): boolean {
    return this.mtu(4) < this.config.mtu || this.mtu(6) < this.config.mtu
  }

  isBroadcast(address: IpAddress): boolean {
    if (address.family === 6) return false
    return address.d === 0xffffffff || this.broadcasts.some((own) => own.d === address.d)
  }

  /** Groups without zones, as they are joined. */
  listensTo(group: IpAddress): boolean {
    if (!isMulticast(group)) return false
    if (group.family === 4) return sameAddress(group, ALL_SYSTEMS4) || isMember(this.groups4, group)
    if (sameAddress(group, ALL_NODES) || sameAddress(group, INTERFACE_NODES)) return true
    return isMember(this.groups6, group)
  }
}
