/**
 * What the public scripts call the Fast Open cookie of the server under test: the values that Linux computes
 * with the key of their set-up script, for packetdrill's addresses. A cookie is its server's secret (RFC 7413
 * section 4.1.2), so whatever a script writes for it stands for the one that the stack makes.
 */
export const COOKIES: Readonly<Record<string, string>> = {
  TFO_COOKIE: "3021b9d889017eeb",
  TFO_COOKIE_ZERO: "b7c12350a90dc8f5",
}

/** The same over IPv6; scripts that do not name it still write it. */
const IPV6 = "c1d1e9742a47a9bc"

/** Hexadecimal digits that stand for the stack's own cookie. */
export const ownCookies = (definitions: ReadonlyMap<string, string>): ReadonlySet<string> =>
  new Set([definitions.get("TFO_COOKIE") ?? COOKIES["TFO_COOKIE"] ?? "", IPV6].map((digits) => digits.toLowerCase()))
