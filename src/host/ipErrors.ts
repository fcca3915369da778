import type { Micros } from "../tcp/time.ts"
import type { IpPacket } from "../wire/ip.ts"
import type { Cast } from "./ipInput.ts"

/** What is wrong with a packet, as its sender is told: each family has its own message for it. */
export type IpProblem =
  | { readonly _tag: "NoRoute" }
  | { readonly _tag: "HostUnreachable" }
  | { readonly _tag: "ProtocolUnreachable" }
  | { readonly _tag: "PortUnreachable" }
  | { readonly _tag: "BeyondScope" }
  | { readonly _tag: "TimeExceeded" }
  /** A reassembly ended without all of its fragments. */
  | { readonly _tag: "ReassemblyTimeExceeded" }
  | { readonly _tag: "TooBig"; readonly mtu: number }
  /** `code` is ICMPv6's, and 0 in IPv4. */
  | {
      readonly _tag: "BadParameter"
      readonly code: number
      readonly pointer: number
      readonly evenAboutMulticast: boolean
    }

/** Tells a packet's sender, where that may be told. */
export type ReportProblem = (
  problem: IpProblem,
  packet: IpPacket,
  bytes: Uint8Array,
  cast: Cast,
  why: `${string}:${string}`,
  now: Micros,
) => void
