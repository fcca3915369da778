import type { Endpoint, IpAddress } from "../wire/address.ts"
import type { Seq } from "./seq.ts"
import type { Micros } from "./time.ts"

/** Everything that an attacker must not guess, as functions of a secret: the reducers' only source of chance. */
export interface Keys {
  /** ISS for a connection (RFC 6528 section 3): a clock plus a keyed hash of the endpoints. */
  readonly iss: (local: Endpoint, remote: Endpoint, now: Micros) => Seq
  /** Hash of a SYN cookie (RFC 4987 section 3.6); `count` makes several of it. */
  readonly cookie: (local: Endpoint, remote: Endpoint, count: number) => number
  /** Fast Open cookie of a client's address (RFC 7413 section 4.1.2): 8 octets. */
  readonly fastOpenCookie: (local: IpAddress, remote: IpAddress) => Uint8Array
  /** Start of the timestamp clock for a connection (RFC 7323 section 5.4). */
  readonly timestampOffset: (local: Endpoint, remote: Endpoint) => number
}
