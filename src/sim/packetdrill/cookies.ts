import { fastOpenCookie, parseFastOpenKey } from "../../tcp/fastOpenKey.ts"
import type { IpAddress } from "../../wire/address.ts"

/**
 * What the public scripts call the Fast Open cookies of the server under test: the values under the key of their
 * set-up script, and under the key of zeros, between the addresses that they are run with.
 */
export const COOKIES: Readonly<Record<string, string>> = {
  TFO_COOKIE: "3021b9d889017eeb",
  TFO_COOKIE_ZERO: "b7c12350a90dc8f5",
}

/** The same over IPv6; scripts that do not name them still write them. */
const IPV6: Readonly<Record<string, string>> = {
  TFO_COOKIE: "c1d1e9742a47a9bc",
  TFO_COOKIE_ZERO: "82af1a8f9a205c34",
}

const KEYS: Readonly<Record<string, string>> = {
  TFO_COOKIE: "a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4",
  TFO_COOKIE_ZERO: "0-0-0-0",
}

/**
 * Cookies on the wire by the digits that a script writes for them: a cookie is of its client's address, so between
 * other addresses the same name stands for other octets.
 */
export const cookiesBetween = (
  local: IpAddress,
  remote: IpAddress,
  definitions: ReadonlyMap<string, string>,
): ReadonlyMap<string, Uint8Array> => {
  const cookies = new Map<string, Uint8Array>()
  for (const [name, text] of Object.entries(KEYS)) {
    const key = parseFastOpenKey(text)
    if (key === undefined) continue
    const cookie = fastOpenCookie(key, local, remote)
    for (const digits of [definitions.get(name), COOKIES[name], IPV6[name]]) {
      if (digits !== undefined) cookies.set(digits.toLowerCase(), cookie)
    }
  }
  return cookies
}
