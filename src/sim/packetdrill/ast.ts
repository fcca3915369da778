import type { Micros } from "../../tcp/time.ts"

/** A place in a script; both count from 1. */
export interface Position {
  readonly line: number
  readonly column: number
}

/** A script as written, before anything of it has run. */
export interface Script {
  /** `--name=value` lines, in order. */
  readonly flags: ReadonlyArray<Flag>
  /** Commands that stand before the first event: they run before the clock starts. */
  readonly setup: ReadonlyArray<CommandAction>
  readonly events: ReadonlyArray<ScriptEvent>
  /** What the preprocessor defined, and `-D`. */
  readonly definitions: ReadonlyMap<string, string>
}

export interface Flag {
  readonly name: string
  readonly value: string
  readonly at: Position
}

export interface ScriptEvent {
  readonly at: Position
  readonly time: EventTime
  readonly action: Action
}

/** When an event happens, or (an outbound packet) must have happened. */
export type EventTime =
  | { readonly _tag: "Absolute"; readonly at: Micros }
  | { readonly _tag: "Relative"; readonly after: Micros }
  | { readonly _tag: "AbsoluteRange"; readonly from: Micros; readonly to: Micros }
  | { readonly _tag: "RelativeRange"; readonly from: Micros; readonly to: Micros }
  | { readonly _tag: "Any" }

export type Action = TcpAction | IcmpAction | CallAction | CommandAction | CodeAction

export type Direction = "inbound" | "outbound"

/** What `[...]` before the flags says of the IP header; absent parts are not checked. */
export interface IpSpec {
  readonly ecn: "noecn" | "ect0" | "ect1" | "ect01" | "ce" | undefined
  readonly tos: number | undefined
  readonly ttl: number | undefined
  readonly flowLabel: number | undefined
}

export const NO_IP_SPEC: IpSpec = { ecn: undefined, tos: undefined, ttl: undefined, flowLabel: undefined }

/** A number that a packet must carry: relative to an ISN, as it is on the wire (`!`), or of no interest (`...`). */
export interface Numbered {
  readonly kind: "relative" | "absolute" | "any"
  readonly value: number
}

export interface TcpAction {
  readonly _tag: "Tcp"
  readonly at: Position
  readonly direction: Direction
  readonly ip: IpSpec
  /** Bits of `wire/tcpSegment.ts`. */
  readonly flags: number
  readonly seq: Numbered
  /** Octets of payload. */
  readonly length: number
  /** Undefined: the segment has an acknowledgment number of 0. */
  readonly ack: Numbered | undefined
  /** As in the header. Undefined (outbound only): not checked. */
  readonly window: number | undefined
  readonly urgent: number | undefined
  /** In wire order, padding included; "any" (outbound only): not checked. */
  readonly options: ReadonlyArray<OptionSpec> | "any"
}

export type OptionSpec =
  | { readonly _tag: "nop" }
  | { readonly _tag: "eol" }
  | { readonly _tag: "mss"; readonly value: number }
  | { readonly _tag: "wscale"; readonly shift: number }
  | { readonly _tag: "sackOK" }
  | { readonly _tag: "sack"; readonly blocks: ReadonlyArray<SackSpec> }
  | { readonly _tag: "ts"; readonly val: Numbered; readonly ecr: Numbered }
  | { readonly _tag: "fastOpen"; readonly experimental: boolean; readonly cookie: Uint8Array | "any" }
  /** "valid": the one that the key makes of the segment. */
  | { readonly _tag: "md5"; readonly digest: Uint8Array | "any" | "valid" }
  | { readonly _tag: "raw"; readonly kind: number; readonly data: Uint8Array }

export interface SackSpec {
  readonly left: Numbered
  readonly right: Numbered
}

export interface IcmpAction {
  readonly _tag: "Icmp"
  readonly at: Position
  readonly direction: Direction
  readonly ip: IpSpec
  /** As written: "unreachable", or a number. */
  readonly type: string
  readonly code: string | undefined
  readonly mtu: number | undefined
  /** Sequence numbers of the TCP segment that the error quotes. */
  readonly quoted: { readonly seq: Numbered; readonly length: number } | undefined
}

export interface CallAction {
  readonly _tag: "Call"
  readonly at: Position
  readonly name: string
  readonly args: ReadonlyArray<Expression>
  readonly result: Expression
  /** The name after a result of -1. */
  readonly errno: string | undefined
  /** Blocking calls: when the call returns, absolute or relative as the event's own time is. */
  readonly until: Micros | undefined
}

/** A shell command in backticks. */
export interface CommandAction {
  readonly _tag: "Command"
  readonly at: Position
  readonly text: string
}

/** What stands between %{ and }%. */
export interface CodeAction {
  readonly _tag: "Code"
  readonly at: Position
  readonly text: string
}

export type Expression =
  | { readonly _tag: "Ellipsis"; readonly at: Position }
  | { readonly _tag: "Number"; readonly at: Position; readonly value: number }
  | { readonly _tag: "Text"; readonly at: Position; readonly value: string }
  | { readonly _tag: "Name"; readonly at: Position; readonly name: string }
  | { readonly _tag: "Or"; readonly at: Position; readonly parts: ReadonlyArray<Expression> }
  | { readonly _tag: "Not"; readonly at: Position; readonly of: Expression }
  | { readonly _tag: "Array"; readonly at: Position; readonly items: ReadonlyArray<Expression> }
  | { readonly _tag: "Struct"; readonly at: Position; readonly fields: ReadonlyArray<Field> }
  | { readonly _tag: "Apply"; readonly at: Position; readonly name: string; readonly args: ReadonlyArray<Expression> }

/** A field by name (`fd=3`, `msg_iov(1)=[...]`) or, with no name, by place (`{..., 1000}`). */
export interface Field {
  readonly name: string | undefined
  /** What stands in parentheses after the name. */
  readonly size: Expression | undefined
  readonly value: Expression
}
