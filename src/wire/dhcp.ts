import { type IpAddress, type MacAddress, UNSPECIFIED4 } from "./address.ts"
import { getIpv4, getMac, setIpv4, setMac } from "./addressBytes.ts"
import { copyOf, getU8, getU16, getU32, setBytes, setU8, setU16, setU32 } from "./bytes.ts"
import { type DhcpOptions, decodeDhcpOptions, encodeDhcpOptions } from "./dhcpOptions.ts"
import type { WireDrop } from "./drop.ts"
import { NO_MAC } from "./ethernet.ts"

/** A DHCPv4 message (RFC 2131 section 2) of an Ethernet client. Names are the RFC's. */
export interface DhcpMessage {
  readonly op: "request" | "reply"
  readonly hops: number
  readonly xid: number
  /** Since the client began, seconds. */
  readonly secs: number
  /** The client cannot take unicast before it has an address. */
  readonly broadcast: boolean
  readonly ciaddr: IpAddress
  readonly yiaddr: IpAddress
  readonly siaddr: IpAddress
  readonly giaddr: IpAddress
  readonly chaddr: MacAddress
  readonly options: DhcpOptions
}

export const DHCP_SERVER_PORT = 67
export const DHCP_CLIENT_PORT = 68

/** Everything before the options, their magic included. */
export const DHCP_HEADER = 240
/** What BOOTP relays expect at least (RFC 1542 section 2.1). */
const SHORTEST = 300

const BOOTREQUEST = 1
const BOOTREPLY = 2
const HARDWARE_ETHERNET = 1
const MAC_LENGTH = 6
const BROADCAST = 0x8000
const MAGIC = 0x63825363
const SNAME = 44
const FILE = 108
const CHADDR = 28

/** `bytes`: a UDP payload. */
export const decodeDhcp = (bytes: Uint8Array): DhcpMessage | WireDrop => {
  if (bytes.length < DHCP_HEADER) return "dhcp:truncated"
  const op = getU8(bytes, 0)
  if (op !== BOOTREQUEST && op !== BOOTREPLY) return "dhcp:bad-op"
  if (getU8(bytes, 1) !== HARDWARE_ETHERNET || getU8(bytes, 2) !== MAC_LENGTH) return "dhcp:not-ethernet"
  if (getU32(bytes, DHCP_HEADER - 4) !== MAGIC) return "dhcp:no-magic"
  const options = decodeDhcpOptions(
    copyOf(bytes, DHCP_HEADER, bytes.length),
    copyOf(bytes, FILE, DHCP_HEADER - 4),
    copyOf(bytes, SNAME, FILE),
  )
  if (typeof options === "string") return options
  return {
    op: op === BOOTREQUEST ? "request" : "reply",
    hops: getU8(bytes, 3),
    xid: getU32(bytes, 4),
    secs: getU16(bytes, 8),
    broadcast: (getU16(bytes, 10) & BROADCAST) !== 0,
    ciaddr: getIpv4(bytes, 12),
    yiaddr: getIpv4(bytes, 16),
    siaddr: getIpv4(bytes, 20),
    giaddr: getIpv4(bytes, 24),
    chaddr: getMac(bytes, CHADDR),
    options,
  }
}

export const encodeDhcp = (message: DhcpMessage): Uint8Array => {
  const options = encodeDhcpOptions(message.options)
  const out = new Uint8Array(Math.max(SHORTEST, DHCP_HEADER + options.length))
  setU8(out, 0, message.op === "request" ? BOOTREQUEST : BOOTREPLY)
  setU8(out, 1, HARDWARE_ETHERNET)
  setU8(out, 2, MAC_LENGTH)
  setU8(out, 3, message.hops)
  setU32(out, 4, message.xid)
  setU16(out, 8, message.secs)
  setU16(out, 10, message.broadcast ? BROADCAST : 0)
  setIpv4(out, 12, message.ciaddr)
  setIpv4(out, 16, message.yiaddr)
  setIpv4(out, 20, message.siaddr)
  setIpv4(out, 24, message.giaddr)
  setMac(out, CHADDR, message.chaddr)
  setU32(out, DHCP_HEADER - 4, MAGIC)
  setBytes(out, DHCP_HEADER, options)
  return out
}

export const EMPTY_DHCP: Omit<DhcpMessage, "options"> = {
  op: "request",
  hops: 0,
  xid: 0,
  secs: 0,
  broadcast: false,
  ciaddr: UNSPECIFIED4,
  yiaddr: UNSPECIFIED4,
  siaddr: UNSPECIFIED4,
  giaddr: UNSPECIFIED4,
  chaddr: NO_MAC,
}
