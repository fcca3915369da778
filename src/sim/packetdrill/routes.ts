import { TFO_CLIENT_WITHOUT_COOKIE, TFO_SERVER_WITHOUT_COOKIE } from "../../tcp/fastOpen.ts"
import type { TcpSettings } from "../../tcp/settings.ts"
import { setSysctl, withLeastRto } from "./sysctl.ts"

/** What `ip route` says of a route, as far as it is said of all connections of a script: there is one peer. */
export type RouteChange =
  | { readonly _tag: "Route"; readonly settings: TcpSettings; readonly mtu: number | undefined }
  | { readonly _tag: "Unknown"; readonly what: string }

/** Words of a route itself, with the value that follows. */
const PLACE = new Set(["dev", "via", "src", "proto", "scope", "metric", "table"])

const MILLISECONDS = 1000

/** `words`: those after `ip route change` and its like. */
export const changeRoute = (settings: TcpSettings, words: ReadonlyArray<string>): RouteChange => {
  let changed = settings
  let mtu: number | undefined
  // The first word is the prefix.
  for (let i = 1; i < words.length; i++) {
    const word = words[i] ?? ""
    if (word === "onlink") continue
    const value = words[++i] ?? ""
    if (PLACE.has(word)) continue
    if (word === "mtu") {
      const text = value === "lock" ? words[++i] : value
      mtu = Number(text)
      continue
    }
    const next = metric(changed, word, value)
    if (next === undefined) return { _tag: "Unknown", what: `${word} ${value}` }
    changed = next
  }
  return { _tag: "Route", settings: changed, mtu }
}

const metric = (settings: TcpSettings, name: string, value: string): TcpSettings | undefined => {
  const { profile } = settings
  switch (name) {
    case "initcwnd":
      return { ...settings, profile: { ...profile, initialWindowSegments: Number(value) } }
    case "fastopen_no_cookie":
      // Both directions, as the bits of tcp_fastopen that do it for all routes.
      return value === "1" ? { ...settings, tcpFastopen: settings.tcpFastopen | NO_COOKIE } : undefined
    case "rto_min":
      return withLeastRto(settings, timeOf(value))
    case "reordering":
      return { ...settings, tcpReordering: Number(value) }
    case "features":
      return value === "ecn" ? { ...settings, tcpEcn: 1 } : undefined
    case "congctl": {
      const next = setSysctl(settings, "net.ipv4.tcp_congestion_control", value)
      return next === "unknown" ? undefined : next
    }
    default:
      return undefined
  }
}

const NO_COOKIE = TFO_CLIENT_WITHOUT_COOKIE | TFO_SERVER_WITHOUT_COOKIE

/** "5ms", "1s", or milliseconds. */
const timeOf = (text: string): number => {
  const number = Number.parseFloat(text)
  if (text.endsWith("us")) return number
  return /[0-9]s$/.test(text) ? number * 1_000_000 : number * MILLISECONDS
}
