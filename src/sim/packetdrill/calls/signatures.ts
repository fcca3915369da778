import { type Authentication, MAX_KEY, NO_AUTHENTICATION } from "../../../tcp/authentication/keys.ts"
import { type IpAddress, sameAddress } from "../../../wire/address.ts"
import type { Cidr } from "../../../wire/addressText.ts"
import type { Expression } from "../ast.ts"
import type { SocketFile } from "../files.ts"
import { syntax } from "../scriptError.ts"
import { addressOf, type Definitions, fieldOf, fieldsOf, numberOr } from "../values.ts"

/** What a struct tcp_md5sig asks for: other keys, or an error's name (Linux's tcp_v4_parse_md5_keys). */
export const withMd5Key = (
  file: SocketFile,
  value: Expression,
  remote: IpAddress,
  extended: boolean,
  definitions: Definitions,
): Authentication | string => {
  const fields = fieldsOf(value, "a tcp_md5sig")
  const flags = numberOr(fieldOf(fields, "tcpm_flags"), definitions, "tcpm_flags", 0)
  const address = addressOf(fieldOf(fields, "tcpm_addr"), definitions).address ?? remote
  const bits = address.family === 4 ? 32 : 128
  const given = numberOr(fieldOf(fields, "tcpm_prefixlen"), definitions, "tcpm_prefixlen", bits)
  const peer: Cidr = { address, length: extended && (flags & PREFIX) !== 0 ? given : bits }
  const key = octetsOf(fieldOf(fields, "tcpm_key"))
  const length = numberOr(fieldOf(fields, "tcpm_keylen"), definitions, "tcpm_keylen", key.length)
  if (address.family !== file.family || peer.length > bits || length > MAX_KEY) return "EINVAL"

  const before = file.options.authentication ?? NO_AUTHENTICATION
  const others = before.md5.filter(({ peer: other }) => !samePeer(other, peer))
  if (length === 0) return others.length === before.md5.length ? "ENOENT" : { ...before, md5: others }
  const octets = new Uint8Array(length)
  octets.set(key.subarray(0, length))
  return { ...before, md5: [...others, { peer, key: octets }] }
}

/** TCP_MD5SIG_FLAG_PREFIX: the key is for a whole prefix. */
const PREFIX = 1

const samePeer = (one: Cidr, other: Cidr): boolean =>
  one.length === other.length && sameAddress(one.address, other.address)

const octetsOf = (value: Expression | undefined): Uint8Array => {
  if (value === undefined) return new Uint8Array(0)
  if (value._tag !== "Text") return syntax(value.at, "tcpm_key must be a string")
  return Uint8Array.from(value.value, (character) => character.charCodeAt(0))
}
