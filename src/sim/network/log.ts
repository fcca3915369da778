import type { SocketEvent, SocketId } from "../../host/types.ts"
import type { Micros } from "../../wire/time.ts"

/** One thing that happened in a network. Its octets do not change afterwards. */
export type LogEvent = Sent | Arrived | Lost | Marked | Happened | Thrown

/** A host has put a frame on its link. `why`: the rule that sent it; empty where only the frame is known. */
export interface Sent {
  readonly _tag: "Sent"
  readonly at: Micros
  readonly host: string
  readonly interface: number
  readonly bytes: Uint8Array
  readonly why: string
}

export interface Arrived {
  readonly _tag: "Arrived"
  readonly at: Micros
  readonly host: string
  readonly interface: number
  readonly bytes: Uint8Array
}

/** A link has lost a frame that went from one of its ends to the other. */
export interface Lost {
  readonly _tag: "Lost"
  readonly at: Micros
  readonly from: string
  readonly to: string
  readonly bytes: Uint8Array
  readonly why: string
}

/** A queue has set CE. */
export interface Marked {
  readonly _tag: "Marked"
  readonly at: Micros
  readonly from: string
  readonly to: string
  readonly bytes: Uint8Array
}

/** An application was told something. */
export interface Happened {
  readonly _tag: "Happened"
  readonly at: Micros
  readonly host: string
  readonly socket: SocketId
  readonly event: SocketEvent["event"]
}

/** A host has thrown a packet away. */
export interface Thrown {
  readonly _tag: "Thrown"
  readonly at: Micros
  readonly host: string
  readonly why: string
}

export type Observer = (event: LogEvent) => void
