import { isAlgorithm } from "../../tcp/congestion/registry.ts"
import { parseFastOpenKey } from "../../tcp/fastOpenKey.ts"
import type { TcpSettings } from "../../tcp/settings.ts"

/** Multiplies a sysctl's number into the setting's unit. */
const SECONDS = 1_000_000
const MILLISECONDS = 1000

const UNITS: Readonly<Record<string, number>> = {
  tcpFinTimeout: SECONDS,
  tcpKeepaliveTime: SECONDS,
  tcpKeepaliveIntvl: SECONDS,
  tcpInvalidRatelimit: MILLISECONDS,
  tcpProbeInterval: SECONDS,
}

/** FreeBSD's names, and the settings that they set under the unit given. */
const FREEBSD: Readonly<Record<string, ReadonlyArray<readonly [setting: string, unit: number]>>> = {
  "net.inet.tcp.rfc1323": [
    ["tcpWindowScaling", 1],
    ["tcpTimestamps", 1],
  ],
  "net.inet.tcp.sack.enable": [["tcpSack", 1]],
  "net.inet.tcp.ecn.enable": [["tcpEcn", 1]],
  "net.inet.tcp.syncookies": [["tcpSyncookies", 1]],
  "net.inet.tcp.finwait2_timeout": [["tcpFinTimeout", MILLISECONDS]],
  // TIME-WAIT lasts two of them.
  "net.inet.tcp.msl": [["timeWait", 2 * MILLISECONDS]],
  "net.inet.tcp.maxtcptw": [["tcpMaxTwBuckets", 1]],
  "net.inet.tcp.keepidle": [["tcpKeepaliveTime", MILLISECONDS]],
  "net.inet.tcp.keepintvl": [["tcpKeepaliveIntvl", MILLISECONDS]],
  "net.inet.tcp.keepcnt": [["tcpKeepaliveProbes", 1]],
  "net.inet.tcp.fastopen.server_enable": [["tcpFastopen", 1]],
  "net.inet.tcp.minmss": [["tcpMinSndMss", 1]],
  "net.inet.tcp.syncache.rexmtlimit": [["tcpSynackRetries", 1]],
  "net.inet.ip.portrange.reservedhigh": [["ipUnprivilegedPortStart", 1]],
  "kern.ipc.soacceptqueue": [["somaxconn", 1]],
  "kern.ipc.somaxconn": [["somaxconn", 1]],
}

/** Fields of the wire profile that have a sysctl. */
const PROFILE: Readonly<Record<string, readonly [field: string, unit: number]>> = {
  "net.inet.tcp.delacktime": ["delayedAck", MILLISECONDS],
  "net.inet.tcp.rexmit_min": ["minRto", MILLISECONDS],
  "net.inet.tcp.rexmit_initial": ["initialRto", MILLISECONDS],
  "net.inet.tcp.rexmit_slop": ["rtoSlop", MILLISECONDS],
  "net.inet.tcp.initcwnd_segments": ["initialWindowSegments", 1],
  "net.ipv4.tcp_rto_max_ms": ["maxRto", MILLISECONDS],
}

/** Fields of the wire profile that a sysctl chooses a value of: the one for 0, and the one for 1. */
const CHOICES: Readonly<Record<string, readonly [field: string, off: string, on: string]>> = {
  "net.inet.tcp.drop_synfin": ["synFin", "accept", "drop"],
  "net.inet.tcp.tolerate_missing_ts": ["missingTimestamp", "drop", "accept"],
}

/** The middle size of a triple: FreeBSD's default buffer sizes. Of tcpRmem half is payload. */
const MIDDLE: Readonly<Record<string, readonly [setting: string, unit: number]>> = {
  "net.inet.tcp.recvspace": ["tcpRmem", 2],
  "net.inet.tcp.sendspace": ["tcpWmem", 1],
}

/**
 * Settings that the stack behaves as if it had, whatever it is told: a script that asks for just that
 * needs nothing. The values are those that packetdrill's usual set-up scripts write.
 */
const GIVEN: Readonly<Record<string, string>> = {
  "net.ipv4.tcp_fack": "0",
  "net.inet.tcp.functions_default": "freebsd",
  "net.inet.tcp.delayed_ack": "1",
  "net.inet.tcp.rfc3042": "1",
  "net.inet.tcp.rfc3390": "1",
  "net.inet.tcp.insecure_rst": "0",
  "net.inet.tcp.insecure_syn": "0",
  "net.inet.tcp.blackhole": "0",
}

/** Names that change nothing a script can see here: virtual time has no timer slack, no queue, no cached metrics. */
const WITHOUT_EFFECT: ReadonlyArray<RegExp> = [
  /^kern\.timecounter\./,
  /^net\.inet\.tcp\.hostcache\./,
  /^net\.inet\.tcp\.cc\.available$/,
  /^net\.inet\.tcp\.functions_(?:available|inherit_listen_socket_stack)/,
  /^net\.inet\.tcp\.(?:log_|bb\.|hpts\.|isn_reseed)/,
  /^net\.inet\.icmp\.icmplim/,
  /^net\.core\.(?:default_qdisc|netdev_|optmem_max|busy_)/,
  /^net\.ipv4\.tcp_(?:mem|no_metrics_save|low_latency|metrics|adv_win_scale)/,
  /^net\.ipv4\.route\./,
  /^net\.ipv6\.(?:conf|route|neigh)\./,
  /^net\.ipv4\.(?:conf|neigh)\./,
]

/** FreeBSD calls RFC 5681's congestion control by another name than Linux. */
export const algorithmOf = (name: string): string => (name === "newreno" ? "reno" : name)
export const algorithmName = (name: string, { profile }: TcpSettings): string =>
  profile.name === "freebsd" && name === "reno" ? "newreno" : name

/** Congestion controls that kernels have as modules, and the stack does not have. */
export const MODULES: ReadonlySet<string> = new Set(
  "bbr2 bic cdg chd dctcp hd highspeed htcp hybla illinois lp nv scalable vegas veno westwood yeah".split(" "),
)

/** What became of a sysctl: the settings with it, or "unknown" (listed, and otherwise without effect). */
export type SysctlResult = TcpSettings | "unknown"

/** `name` as sysctl(8) or as a path below /proc/sys. */
export const setSysctl = (settings: TcpSettings, name: string, value: string): SysctlResult => {
  const key = name.replace(/^\/proc\/sys\//, "").replaceAll("/", ".")
  if (GIVEN[key] === value || WITHOUT_EFFECT.some((pattern) => pattern.test(key))) return settings
  const profile = PROFILE[key]
  if (profile !== undefined && profile[0] in settings.profile) {
    return { ...settings, profile: { ...settings.profile, [profile[0]]: Number(value) * profile[1] } }
  }
  if (key === "net.ipv4.tcp_rto_min_us") return withLeastRto(settings, Number(value))
  const choice = CHOICES[key]
  if (choice !== undefined) {
    const [field, ...values] = choice
    const chosen = values[Number(value)]
    return chosen === undefined ? "unknown" : { ...settings, profile: { ...settings.profile, [field]: chosen } }
  }
  if (key === "net.inet.tcp.cc.algorithm") return assign(settings, "tcpCongestionControl", algorithmOf(value), 1)
  const middle = MIDDLE[key]
  if (middle !== undefined) return setMiddle(settings, middle[0], Number(value) * middle[1])
  const freebsd = FREEBSD[key]
  if (freebsd !== undefined) {
    return freebsd.reduce<SysctlResult>(
      (result, [setting, unit]) => (result === "unknown" ? result : assign(result, setting, value, unit)),
      settings,
    )
  }
  const setting = /^net\.(?:ipv4|core)\.(\w+)$/.exec(key)?.[1]?.replace(/_(\w)/g, (_, c: string) => c.toUpperCase())
  return setting === undefined ? "unknown" : assign(settings, setting, value, UNITS[setting] ?? 1)
}

/** The least RTO, in microseconds: of Linux's formula it is the least variation. */
export const withLeastRto = (settings: TcpSettings, minRto: number): TcpSettings => {
  const { profile } = settings
  const rttvarFloor = profile.rttvarFloor === 0 ? 0 : minRto
  return { ...settings, profile: { ...profile, minRto, rttvarFloor } }
}

const setMiddle = (settings: TcpSettings, name: string, value: number): SysctlResult => {
  const before = settingOf(settings, name)
  if (!Array.isArray(before)) return "unknown"
  return { ...settings, [name]: [before[0], value, before[2]] }
}

const settingOf = (settings: TcpSettings, name: string): unknown =>
  Object.hasOwn(settings, name) ? Reflect.get(settings, name) : undefined

/** The same settings where nothing changes. */
const put = (settings: TcpSettings, name: string, before: unknown, value: unknown): TcpSettings =>
  before === value ? settings : { ...settings, [name]: value }

/** The new value has the type that the setting's present one has. */
const assign = (settings: TcpSettings, name: string, text: string, unit: number): SysctlResult => {
  const before = settingOf(settings, name)
  switch (typeof before) {
    case "boolean":
      return put(settings, name, before, Number(text) !== 0)
    case "number":
      return Number.isNaN(Number(text)) ? "unknown" : put(settings, name, before, Number(text) * unit)
    case "string":
      if (name === "tcpCongestionControl" && !isAlgorithm(text)) return "unknown"
      if (name === "tcpFastopenKey" && parseFastOpenKey(text) === undefined) return "unknown"
      return put(settings, name, before, text)
    case "object": {
      const parts = text.trim().split(/\s+/).map(Number)
      if (!Array.isArray(before) || parts.length !== before.length) return "unknown"
      return parts.every((part, i) => part === before[i]) ? settings : { ...settings, [name]: parts }
    }
    default:
      return "unknown"
  }
}
