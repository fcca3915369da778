import type { IpAddress } from "../wire/address.ts"
import { setIpv4, setIpv6 } from "../wire/addressBytes.ts"
import { sipHash } from "./sipHash.ts"
import type { SocketOptions, TcpContext } from "./tcb.ts"

/** Octets of a key for Fast Open cookies. */
export const FAST_OPEN_KEY = 16

/**
 * The Fast Open cookies of a client that are right (RFC 7413 section 4.1.2), the first of which it is given.
 * Servers behind one address share a key, and a second one while they change it: of the listener, else of
 * `tcpFastopenKey`, else the host makes one of its secret. From the same key Linux makes the same cookies.
 */
export const cookiesFor = (
  { settings, keys }: TcpContext,
  { fastOpenKey }: SocketOptions,
  local: IpAddress,
  remote: IpAddress,
): ReadonlyArray<Uint8Array> => {
  const shared = fastOpenKey ?? parseFastOpenKey(settings.tcpFastopenKey)
  if (shared === undefined) return [keys.fastOpenCookie(local, remote)]
  return keysOf(shared).map((key) => fastOpenCookie(key, local, remote))
}

/** The cookie of one key. */
export const fastOpenCookie = (key: Uint8Array, local: IpAddress, remote: IpAddress): Uint8Array =>
  sipHash(key, pathOf(remote, local))

const keysOf = (octets: Uint8Array): ReadonlyArray<Uint8Array> =>
  octets.length === FAST_OPEN_KEY ? [octets] : [octets.subarray(0, FAST_OPEN_KEY), octets.subarray(FAST_OPEN_KEY)]

const pathOf = (from: IpAddress, to: IpAddress): Uint8Array => {
  const v4 = from.family === 4
  const size = v4 ? 4 : 16
  const bytes = new Uint8Array(2 * size)
  const put = v4 ? setIpv4 : setIpv6
  put(bytes, 0, from)
  put(bytes, size, to)
  return bytes
}

const PATTERN = /^[0-9a-f]{1,8}(?:-[0-9a-f]{1,8}){3}(?:,[0-9a-f]{1,8}(?:-[0-9a-f]{1,8}){3})?$/i

/** One key or two, as sysctl writes them: "a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4". Undefined: that is none. */
export const parseFastOpenKey = (text: string): Uint8Array | undefined => {
  if (!PATTERN.test(text)) return undefined
  const words = text.split(/[-,]/).map((word) => Number.parseInt(word, 16))
  return Uint8Array.from(words.flatMap((word) => [word & 0xff, (word >>> 8) & 0xff, (word >>> 16) & 0xff, word >>> 24]))
}
