import { type IpAddress, inPrefix } from "../../wire/address.ts"
import type { Cidr } from "../../wire/addressText.ts"
import { OPTION_SPACE } from "../../wire/tcpOptionKind.ts"

/** RFC 2385: one secret for a peer. Of several prefixes that hold it the longest counts, as in Linux. */
export interface Md5Key {
  readonly peer: Cidr
  /** 1 to 80 octets (Linux's TCP_MD5SIG_MAXKEYLEN). */
  readonly key: Uint8Array
}

/** The pairs of key derivation and MAC of RFC 5926, under the names that its section 3.1.1.3 recommends. */
export type AoAlgorithm = "sha1" | "aes128"

/** A master key tuple (RFC 5925 section 3.1). */
export interface AoKey {
  readonly peer: Cidr
  /** The master key: 1 to 80 octets (Linux's TCP_AO_MAXKEYLEN). */
  readonly key: Uint8Array
  /** KeyID of what we send, and of what we receive. */
  readonly sendId: number
  readonly recvId: number
  readonly algorithm: AoAlgorithm
  /** Octets of the MAC on the wire; RFC 5926 says 12. */
  readonly macLength: number
  /** The TCP option flag: the MAC covers the other options too. */
  readonly coverOptions: boolean
}

/** What a socket demands of its peers' segments, and signs its own with. A peer without a key is spoken to unsigned. */
export interface Authentication {
  readonly md5: ReadonlyArray<Md5Key>
  readonly ao: ReadonlyArray<AoKey>
  /** SendID of the key to send with first, and RecvID of the one that the peer is asked to use; undefined: the first that fits. */
  readonly current: number | undefined
  readonly rnext: number | undefined
  /** Signed with TCP-AO by a peer without a key: drop as Linux does, or take it for unsigned (RFC 5925 section 7.3). */
  readonly unmatchedAo: "drop" | "accept"
}

export const NO_AUTHENTICATION: Authentication = {
  md5: [],
  ao: [],
  current: undefined,
  rnext: undefined,
  unmatchedAo: "drop",
}

export const MAX_KEY = 80
/** A SYN has MSS, timestamps with SACK-permitted, and window scale: 20 of its 40 octets. */
const SYN_OPTIONS = 20
/** Kind, length and the two key ids. */
export const AO_HEAD = 4
export const MIN_MAC = 4
export const MAX_MAC = OPTION_SPACE - SYN_OPTIONS - AO_HEAD
/** Two NOPs and the option. */
const MD5_OCTETS = 20

/** The key of the longest prefix that holds the peer. */
export const md5KeyFor = (authentication: Authentication | undefined, peer: IpAddress): Md5Key | undefined => {
  let best: Md5Key | undefined
  for (const key of authentication?.md5 ?? []) {
    if (!inPrefix(peer, key.peer.address, key.peer.length)) continue
    if (best === undefined || key.peer.length > best.peer.length) best = key
  }
  return best
}

/** All master keys for a peer: their ids tell them apart. */
export const aoKeysFor = (authentication: Authentication | undefined, peer: IpAddress): ReadonlyArray<AoKey> =>
  authentication?.ao.filter(({ peer: { address, length } }) => inPrefix(peer, address, length)) ?? []

/** Octets that signing takes from every segment to a peer, padding included (RFC 5925 section 7.6). */
export const signatureOctets = (authentication: Authentication | undefined, peer: IpAddress): number => {
  if (authentication === undefined) return 0
  let most = 0
  for (const { macLength } of aoKeysFor(authentication, peer)) most = Math.max(most, aoOctets(macLength))
  return most > 0 ? most : md5KeyFor(authentication, peer) === undefined ? 0 : MD5_OCTETS
}

const aoOctets = (macLength: number): number => (AO_HEAD + macLength + 3) & ~3

/** What is wrong with keys, in words; undefined: nothing. */
export const problemOf = ({ md5, ao, current, rnext }: Authentication): string | undefined => {
  for (const { key, peer } of [...md5, ...ao]) {
    if (key.length < 1 || key.length > MAX_KEY) return `a key has 1 to ${MAX_KEY} octets, not ${key.length}`
    if (!isPrefix(peer)) return `${peer.length} is no prefix length`
  }
  for (const { sendId, recvId, macLength } of ao) {
    if (!isId(sendId) || !isId(recvId)) return "the ids of a TCP-AO key are 0 to 255"
    if (!Number.isInteger(macLength) || macLength < MIN_MAC || macLength > MAX_MAC) {
      return `a MAC has ${MIN_MAC} to ${MAX_MAC} octets, not ${macLength}`
    }
  }
  for (const [one, other] of pairs(md5)) {
    if (one.peer.length === other.peer.length && overlap(one.peer, other.peer)) return "two MD5 keys are for one peer"
  }
  for (const [one, other] of pairs(ao)) {
    // RFC 5925 section 3.1: IDs must not overlap where the connection identifiers do.
    if (overlap(one.peer, other.peer) && (one.sendId === other.sendId || one.recvId === other.recvId)) {
      return "two TCP-AO keys for one peer share an id"
    }
  }
  if (md5.some((one) => ao.some((other) => overlap(one.peer, other.peer)))) return "a peer has MD5 or TCP-AO, not both"
  if (current !== undefined && !ao.some(({ sendId }) => sendId === current)) return `no TCP-AO key sends as ${current}`
  if (rnext !== undefined && !ao.some(({ recvId }) => recvId === rnext)) return `no TCP-AO key receives as ${rnext}`
  return undefined
}

const isId = (id: number): boolean => Number.isInteger(id) && id >= 0 && id <= 255

const isPrefix = ({ address, length }: Cidr): boolean =>
  Number.isInteger(length) && length >= 0 && length <= (address.family === 4 ? 32 : 128)

const overlap = (x: Cidr, y: Cidr): boolean => inPrefix(x.address, y.address, Math.min(x.length, y.length))

const pairs = <A>(all: ReadonlyArray<A>): ReadonlyArray<readonly [A, A]> =>
  all.flatMap((one, i) => all.slice(i + 1).map((other) => [one, other] as const))
