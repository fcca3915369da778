import { blake2s } from "@noble/hashes/blake2.js"
import type { Keys } from "../tcp/keys.ts"
import { add } from "../tcp/seq.ts"
import type { Endpoint } from "../wire/address.ts"
import { getU32, setU16, setU32 } from "../wire/bytes.ts"

/** Two addresses and two ports. */
const TUPLE_LENGTH = 36

/** A clock tick of RFC 6528 section 3 (and RFC 9293 section 3.4.1): 4 us. */
const ISN_TICK = 4

export interface HostKeys extends Keys {
  /** Where the search for a free port to `remote` begins (RFC 6056 section 3.3.3). */
  readonly portOffset: (remote: Endpoint) => number
  /** Seed of the connection table's hash, so that nobody outside can aim at one chain. */
  readonly tableSeed: number
}

/** Keyed BLAKE2s over the endpoints: one digest yields what a connection needs. */
export const makeKeys = (secret: Uint8Array): HostKeys => {
  const key = secret.slice(0, 32)
  const message = new Uint8Array(TUPLE_LENGTH)
  let digest: Uint8Array = new Uint8Array(8)
  let lastLocal: Endpoint | undefined
  let lastRemote: Endpoint | undefined

  const digestOf = (local: Endpoint, remote: Endpoint): Uint8Array => {
    if (local === lastLocal && remote === lastRemote) return digest
    writeEndpoint(message, 0, local)
    writeEndpoint(message, 18, remote)
    digest = blake2s(message, { key, dkLen: 8 })
    lastLocal = local
    lastRemote = remote
    return digest
  }
  const named = (name: number, endpoint: Endpoint | undefined): number => {
    message.fill(0)
    message[0] = name
    if (endpoint !== undefined) writeEndpoint(message, 18, endpoint)
    lastLocal = undefined
    return getU32(blake2s(message, { key, dkLen: 4 }), 0)
  }
  const cookieMessage = new Uint8Array(TUPLE_LENGTH + 4)
  const cookie = (local: Endpoint, remote: Endpoint, count: number): number => {
    writeEndpoint(cookieMessage, 0, local)
    writeEndpoint(cookieMessage, 18, remote)
    setU32(cookieMessage, TUPLE_LENGTH, count)
    return getU32(blake2s(cookieMessage, { key, dkLen: 4 }), 0)
  }
  return {
    fastOpenCookie: (local, remote) => {
      writeEndpoint(message, 0, { address: local, port: FAST_OPEN })
      writeEndpoint(message, 18, { address: remote, port: 0 })
      lastLocal = undefined
      return blake2s(message, { key, dkLen: 8 })
    },
    cookie,
    iss: (local, remote, now) => add(getU32(digestOf(local, remote), 0), Math.floor(now / ISN_TICK) % 2 ** 32),
    timestampOffset: (local, remote) => getU32(digestOf(local, remote), 4),
    portOffset: (remote) => named(1, remote),
    tableSeed: named(2, undefined),
  }
}

/** In the place of a port: what the digest is for. */
const FAST_OPEN = 0

const writeEndpoint = (out: Uint8Array, at: number, { address, port }: Endpoint): void => {
  setU32(out, at, address.a)
  setU32(out, at + 4, address.b)
  setU32(out, at + 8, address.c)
  setU32(out, at + 12, address.d)
  setU16(out, at + 16, port)
}
