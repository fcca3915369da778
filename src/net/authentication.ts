import { Either } from "effect"
import {
  type AoAlgorithm,
  type AoKey,
  type Authentication,
  type Md5Key,
  NO_AUTHENTICATION,
  problemOf,
} from "../tcp/authentication/keys.ts"
import { type Cidr, parseAddress, parseCidr } from "../wire/addressText.ts"
import { InvalidArgument } from "./errors.ts"

/** A peer or several: "198.18.0.1", "198.18.0.0/24", "2001:db8::/32". */
export type Peer = string | Cidr

/** TCP-MD5 (RFC 2385), which only peers that know nothing better should need. */
export interface Md5Options {
  readonly peer: Peer
  /** A secret that both ends know, 1 to 80 octets. */
  readonly key: string | Uint8Array
}

/** A master key tuple of TCP-AO (RFC 5925). The peer has the same one with the two ids exchanged. */
export interface AoOptions {
  readonly peer: Peer
  /** A secret that both ends know, 1 to 80 octets. */
  readonly key: string | Uint8Array
  /** By these, 0 to 255, the ends name the key in what we send and in what we receive. */
  readonly sendId: number
  readonly recvId: number
  /** RFC 5926's HMAC-SHA-1-96, the default, or AES-128-CMAC-96. */
  readonly algorithm?: AoAlgorithm
  /** Octets of the MAC on the wire, 4 to 16. Default 12, as RFC 5926 says. */
  readonly macLength?: number
  /** Whether the MAC covers the other TCP options; a middlebox that changes them needs false. Default true. */
  readonly coverOptions?: boolean
}

/** Who must sign what it sends, and with which key. Segments of such a peer that are not signed right are dropped unanswered. */
export interface AuthenticationOptions {
  readonly md5?: ReadonlyArray<Md5Options>
  readonly ao?: ReadonlyArray<AoOptions>
  /** `sendId` of the TCP-AO key to begin with, and `recvId` of the one that the peer is asked to use. Default: the first for the peer. */
  readonly aoCurrent?: number
  readonly aoRnext?: number
  /** TCP-AO from a peer without a key: dropped, or taken for unsigned. Default "drop". */
  readonly aoUnmatched?: "drop" | "accept"
}

const DEFAULT_MAC = 12

/** The same as the stack keeps it; undefined: nothing is asked for. */
export const authenticationOf = (
  options: AuthenticationOptions,
): Either.Either<Authentication | undefined, InvalidArgument> => {
  const { md5 = [], ao = [], aoCurrent, aoRnext, aoUnmatched = "drop" } = options
  if (md5.length === 0 && ao.length === 0 && aoUnmatched === "drop") return Either.right(undefined)
  return Either.gen(function* () {
    const authentication: Authentication = {
      ...NO_AUTHENTICATION,
      md5: yield* Either.all(md5.map(md5Key)),
      ao: yield* Either.all(ao.map(aoKey)),
      current: aoCurrent,
      rnext: aoRnext,
      unmatchedAo: aoUnmatched,
    }
    const problem = problemOf(authentication)
    if (problem !== undefined) return yield* invalid(ao.length > 0 ? "ao" : "md5", problem)
    return authentication
  })
}

const md5Key = ({ peer, key }: Md5Options): Either.Either<Md5Key, InvalidArgument> =>
  Either.map(prefixOf("md5", peer), (prefix) => ({ peer: prefix, key: octetsOf(key) }))

const aoKey = (options: AoOptions): Either.Either<AoKey, InvalidArgument> =>
  Either.map(prefixOf("ao", options.peer), (peer) => ({
    peer,
    key: octetsOf(options.key),
    sendId: options.sendId,
    recvId: options.recvId,
    algorithm: options.algorithm ?? "sha1",
    macLength: options.macLength ?? DEFAULT_MAC,
    coverOptions: options.coverOptions ?? true,
  }))

const prefixOf = (argument: string, peer: Peer): Either.Either<Cidr, InvalidArgument> => {
  if (typeof peer !== "string") return Either.right(peer)
  const address = parseAddress(peer)
  const prefix = address === undefined ? parseCidr(peer) : { address, length: address.family === 4 ? 32 : 128 }
  return prefix === undefined
    ? invalid(argument, `"${peer}" is neither an address nor a prefix such as 198.18.0.0/24`)
    : Either.right(prefix)
}

/** A copy: the key must not change under a connection (RFC 5925 section 3.1). */
const octetsOf = (key: string | Uint8Array): Uint8Array =>
  typeof key === "string" ? new TextEncoder().encode(key) : new Uint8Array(key)

const invalid = (argument: string, reason: string): Either.Either<never, InvalidArgument> =>
  Either.left(new InvalidArgument({ argument, reason }))
