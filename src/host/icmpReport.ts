import type { IcmpErrno } from "../tcp/effect.ts"
import type { IpAddress } from "../wire/address.ts"
import {
  ADMINISTRATIVELY_PROHIBITED,
  FRAGMENTATION_NEEDED,
  HOST_UNREACHABLE,
  type IcmpMessage,
  NET_UNREACHABLE,
  PORT_UNREACHABLE,
  PROTOCOL_UNREACHABLE,
  REASSEMBLY_TIME_EXCEEDED,
} from "../wire/icmp.ts"
import {
  ADDRESS_UNREACHABLE6,
  type Icmpv6Message,
  NO_ROUTE6,
  POLICY_FAILED6,
  PORT_UNREACHABLE6,
  PROHIBITED6,
  REJECTED_ROUTE6,
} from "../wire/icmpv6.ts"
import { UNKNOWN_NEXT_HEADER } from "../wire/ipv6Extension.ts"

/** What went wrong on the way of a datagram, in one set of words for both families. */
export type IcmpProblem =
  | "NetUnreachable"
  | "HostUnreachable"
  | "ProtocolUnreachable"
  | "PortUnreachable"
  | "AdministrativelyProhibited"
  | "OtherUnreachable"
  | "MessageTooBig"
  | "HopLimitExceeded"
  | "ReassemblyTimeExceeded"
  | "ParameterProblem"

/** An ICMP error about a datagram of ours, as IP_RECVERR gives it. */
export interface IcmpReport {
  readonly problem: IcmpProblem
  /** Who says so: the destination, or a router on the way. */
  readonly from: IpAddress
  readonly errno: IcmpErrno
  /** It will not pass by itself: a connected socket fails with it (Linux's icmp_err_convert). */
  readonly isHard: boolean
  /** Octets that the next hop takes, with MessageTooBig; 0: it did not say. */
  readonly mtu: number
  readonly type: number
  readonly code: number
}

/** What an ICMP error for IPv4 says; undefined for what is no error. */
export const reportOf = (message: IcmpMessage, from: IpAddress): IcmpReport | undefined => {
  switch (message._tag) {
    case "DestinationUnreachable": {
      const { code, nextHopMtu: mtu } = message
      return { ...unreachable(code), from, mtu: code === FRAGMENTATION_NEEDED ? mtu : 0, type: 3, code }
    }
    case "TimeExceeded": {
      const problem = message.code === REASSEMBLY_TIME_EXCEEDED ? "ReassemblyTimeExceeded" : "HopLimitExceeded"
      return { problem, from, errno: "EHOSTUNREACH", isHard: false, mtu: 0, type: 11, code: message.code }
    }
    case "ParameterProblem":
      return { problem: "ParameterProblem", from, errno: "EPROTO", isHard: true, mtu: 0, type: 12, code: message.code }
    case "EchoRequest":
    case "EchoReply":
    case "Other":
      return undefined
  }
}

/** The same of one for IPv6 (Linux's icmpv6_err_convert). */
export const reportOf6 = (message: Icmpv6Message, from: IpAddress): IcmpReport | undefined => {
  switch (message._tag) {
    case "DestinationUnreachable": {
      const { code } = message
      return { ...unreachable6(code), from, mtu: 0, type: 1, code }
    }
    case "PacketTooBig":
      return { problem: "MessageTooBig", from, errno: "EMSGSIZE", isHard: true, mtu: message.mtu, type: 2, code: 0 }
    case "TimeExceeded": {
      const problem = message.code === REASSEMBLY_TIME_EXCEEDED ? "ReassemblyTimeExceeded" : "HopLimitExceeded"
      return { problem, from, errno: "EHOSTUNREACH", isHard: false, mtu: 0, type: 3, code: message.code }
    }
    case "ParameterProblem": {
      const problem = message.code === UNKNOWN_NEXT_HEADER ? "ProtocolUnreachable" : "ParameterProblem"
      return { problem, from, errno: "EPROTO", isHard: true, mtu: 0, type: 4, code: message.code }
    }
    case "EchoRequest":
    case "EchoReply":
    case "Other":
      return undefined
  }
}

/** What a host says to itself where nobody answers for the next hop. */
export const hostUnreachable = (from: IpAddress): IcmpReport => ({
  ...unreachable(HOST_UNREACHABLE),
  from,
  mtu: 0,
  type: from.family === 4 ? 3 : 1,
  code: from.family === 4 ? HOST_UNREACHABLE : ADDRESS_UNREACHABLE6,
})

type Unreachable = Pick<IcmpReport, "problem" | "errno" | "isHard">

const unreachable = (code: number): Unreachable => {
  switch (code) {
    case NET_UNREACHABLE:
      return { problem: "NetUnreachable", errno: "ENETUNREACH", isHard: false }
    case HOST_UNREACHABLE:
      return { problem: "HostUnreachable", errno: "EHOSTUNREACH", isHard: false }
    case PROTOCOL_UNREACHABLE:
      return { problem: "ProtocolUnreachable", errno: "ENOPROTOOPT", isHard: true }
    case PORT_UNREACHABLE:
      return { problem: "PortUnreachable", errno: "ECONNREFUSED", isHard: true }
    case FRAGMENTATION_NEEDED:
      return { problem: "MessageTooBig", errno: "EMSGSIZE", isHard: true }
    case ADMINISTRATIVELY_PROHIBITED:
      return { problem: "AdministrativelyProhibited", errno: "EHOSTUNREACH", isHard: true }
    case SOURCE_ROUTE_FAILED:
      return { problem: "OtherUnreachable", errno: "EOPNOTSUPP", isHard: false }
    case NET_UNKNOWN:
    case NET_PROHIBITED:
      return { problem: "NetUnreachable", errno: "ENETUNREACH", isHard: true }
    case NET_UNREACHABLE_FOR_TOS:
      return { problem: "NetUnreachable", errno: "ENETUNREACH", isHard: false }
    case HOST_UNKNOWN:
      return { problem: "HostUnreachable", errno: "EHOSTDOWN", isHard: true }
    case HOST_ISOLATED:
      return { problem: "HostUnreachable", errno: "ENONET", isHard: true }
    case HOST_PROHIBITED:
      return { problem: "AdministrativelyProhibited", errno: "EHOSTUNREACH", isHard: true }
    default:
      return { problem: "OtherUnreachable", errno: "EHOSTUNREACH", isHard: false }
  }
}

/** Codes of Destination Unreachable that are only errors here (RFC 1122 section 3.2.2.1). */
const SOURCE_ROUTE_FAILED = 5
const NET_UNKNOWN = 6
const HOST_UNKNOWN = 7
const HOST_ISOLATED = 8
const NET_PROHIBITED = 9
const HOST_PROHIBITED = 10
const NET_UNREACHABLE_FOR_TOS = 11

const unreachable6 = (code: number): Unreachable => {
  switch (code) {
    case NO_ROUTE6:
      return { problem: "NetUnreachable", errno: "ENETUNREACH", isHard: false }
    case PROHIBITED6:
    case POLICY_FAILED6:
    case REJECTED_ROUTE6:
      return { problem: "AdministrativelyProhibited", errno: "EACCES", isHard: true }
    case ADDRESS_UNREACHABLE6:
      return { problem: "HostUnreachable", errno: "EHOSTUNREACH", isHard: false }
    case PORT_UNREACHABLE6:
      return { problem: "PortUnreachable", errno: "ECONNREFUSED", isHard: true }
    default:
      return { problem: "OtherUnreachable", errno: "EHOSTUNREACH", isHard: false }
  }
}
