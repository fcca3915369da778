import { sha256 } from "@noble/hashes/sha2.js"
import type { Keys } from "../tcp/keys.ts"
import { add } from "../tcp/seq.ts"
import { type Endpoint, type IpAddress, ipv6, type MacAddress } from "../wire/address.ts"
import { getU32, setU16, setU32 } from "../wire/bytes.ts"

export interface HostKeys extends Keys {
  /** Where the search for a free port to `remote` begins (RFC 6056 section 3.3.3). */
  readonly portOffset: (remote: Endpoint) => number
  /** A value from which nobody outside can tell the next one: the `count`th of its kind. */
  readonly unguessable: (count: number) => number
  /** Where the identifications of datagrams between two addresses begin, and which counter of many is theirs (RFC 7739 section 5.3). */
  readonly identification: (source: IpAddress, destination: IpAddress, protocol: number) => readonly [number, number]
  /** Seed of the connection table's hash, so that nobody outside can aim at one chain. */
  readonly tableSeed: number
  /** The last 64 bits of an address on a prefix (RFC 7217): the same for the same link, another for every attempt. */
  readonly identifier: (prefix: IpAddress, mac: MacAddress, attempts: number) => readonly [number, number]
  /** From 0 to below 1, another for every `count`: where hosts must not act together. */
  readonly chance: (mac: MacAddress, count: number) => number
}

/** Octets of one block of SHA-256, which the key fills: what follows begins where the key has left off. */
const BLOCK = 64
const ENDPOINT = 18
/** What a digest is for, and a count; with the ends one block more. */
const PURPOSE = 2 * ENDPOINT
const MESSAGE = PURPOSE + 1 + 4
/** Of which a connection needs three words: ISS, timestamp offset, and the part of a cookie that does not change. */
const DIGEST = 32

const CONNECTION = 1
const COOKIE = 2
const FAST_OPEN = 3
const PORT = 4
const TABLE = 5
const UNGUESSABLE = 6
const IDENTIFICATION = 7
const IDENTIFIER = 8
const CHANCE = 9

/**
 * Ticks of the ISN clock per microsecond. RFC 6528 section 3 says one in 4 us, for networks of its
 * day: a connection that sends faster overtakes the ISN of its successor. Linux ticks every 64 ns,
 * which wraps in 274 s, still longer than any segment lives.
 */
const ISN_TICKS = 15.625

const NOWHERE: Endpoint = { address: { family: 4, a: 0, b: 0, c: 0, d: 0 }, port: 0 }

/**
 * SHA-256 over a secret and the endpoints: one digest yields what a connection needs. The secret comes
 * first and all messages are equally long, so that none can be made from the digest of another.
 */
export const makeKeys = (secret: Uint8Array): HostKeys => {
  const key = new Uint8Array(BLOCK)
  key.set(sha256(secret))
  // A hash is set back to its start, not made anew: that costs more than the hashing.
  const begun = sha256.create().update(key)
  const hash = begun.clone()
  const message = new Uint8Array(MESSAGE)
  /** Of whatever was asked last, but for what `ofConnection` keeps. */
  const scratch = new Uint8Array(DIGEST)

  const digest = (purpose: number, local: Endpoint, remote: Endpoint, count: number, out = scratch): Uint8Array => {
    writeEndpoint(message, 0, local)
    writeEndpoint(message, ENDPOINT, remote)
    message[PURPOSE] = purpose
    setU32(message, PURPOSE + 1, count)
    begun._cloneInto(hash)
    hash.update(message)
    hash.digestInto(out)
    return out
  }

  // A handshake asks several times in a row about the same two endpoints.
  let lastLocal: Endpoint | undefined
  let lastRemote: Endpoint | undefined
  const last = new Uint8Array(DIGEST)
  const ofConnection = (local: Endpoint, remote: Endpoint): Uint8Array => {
    if (local !== lastLocal || remote !== lastRemote) {
      digest(CONNECTION, local, remote, 0, last)
      lastLocal = local
      lastRemote = remote
    }
    return last
  }

  return {
    iss: (local, remote, now) => add(getU32(ofConnection(local, remote), 0), Math.floor(now * ISN_TICKS) % 2 ** 32),
    timestampOffset: (local, remote) => getU32(ofConnection(local, remote), 4),
    cookie: (local, remote, count) =>
      count === 0 ? getU32(ofConnection(local, remote), 8) : getU32(digest(COOKIE, local, remote, count), 0),
    fastOpenCookie: (local, remote) =>
      digest(FAST_OPEN, { address: local, port: 0 }, { address: remote, port: 0 }, 0).slice(0, 8),
    portOffset: (remote) => getU32(digest(PORT, NOWHERE, remote, 0), 0),
    unguessable: (count) => getU32(digest(UNGUESSABLE, NOWHERE, NOWHERE, count), 0),
    identification: (source, destination, protocol) => {
      const made = digest(IDENTIFICATION, { address: source, port: 0 }, { address: destination, port: 0 }, protocol)
      return [getU32(made, 0), getU32(made, 4)]
    },
    tableSeed: getU32(digest(TABLE, NOWHERE, NOWHERE, 0), 0),
    identifier: (prefix, mac, attempts) => {
      // RFC 5453: some are reserved; then the next one.
      for (let count = attempts; ; count += RESERVED_STEP) {
        const hash = digest(IDENTIFIER, { address: prefix, port: 0 }, linkEndpoint(mac), count)
        const [high, low] = [getU32(hash, 0), getU32(hash, 4)]
        if (!isReserved(high, low)) return [high, low]
      }
    },
    chance: (mac, count) => getU32(digest(CHANCE, NOWHERE, linkEndpoint(mac), count), 0) / 2 ** 32,
  }
}

const RESERVED_STEP = 0x10000

/** Subnet-router anycast, the IANA's block, and subnet anycast (RFC 5453 section 3). */
const isReserved = (high: number, low: number): boolean =>
  (high === 0 && low === 0) ||
  (high === 0x02005eff && low >>> 24 === 0xfe) ||
  (high === 0xfdffffff && low >>> 7 === 0xffffff80 >>> 7)

const linkEndpoint = (mac: MacAddress): Endpoint => ({
  address: ipv6(0, 0, Math.floor(mac / 2 ** 32), mac % 2 ** 32),
  port: 0,
})

const writeEndpoint = (out: Uint8Array, at: number, { address, port }: Endpoint): void => {
  setU32(out, at, address.a)
  setU32(out, at + 4, address.b)
  setU32(out, at + 8, address.c)
  setU32(out, at + 12, address.d)
  setU16(out, at + 16, port)
}
