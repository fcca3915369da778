import type { TcpSettings } from "../../tcp/settings.ts"
import type { Micros } from "../../tcp/time.ts"
import type { IpAddress } from "../../wire/address.ts"
import { parseAddress } from "../../wire/addressText.ts"
import type { Flag, Script } from "./ast.ts"
import { baseline, type ProfileName } from "./baseline.ts"
import { syntax, unsupported } from "./scriptError.ts"

/** What the command line says, for all scripts; a script's own flags win. */
export interface RunOptions {
  readonly profile: ProfileName
  readonly ignorePsh: boolean
  /** Packets that nobody expected, left over at the end, are a failure. */
  readonly strict: boolean
  readonly definitions: ReadonlyMap<string, string>
  /** Further flags as a script would write them: "ip_version" to "ipv6". */
  readonly flags: ReadonlyMap<string, string>
}

export const defaultRunOptions: RunOptions = {
  profile: "linux",
  ignorePsh: false,
  strict: false,
  definitions: new Map(),
  flags: new Map(),
}

/** What one script runs with. */
export interface RunConfig {
  readonly family: 4 | 6
  readonly local: IpAddress
  readonly remote: IpAddress
  readonly bindPort: number
  readonly connectPort: number
  readonly mtu: number
  /** Payload octets of a segment of the peer's: more comes as several that the device has joined. 0: it comes as it is written. */
  readonly mss: number
  readonly tolerance: Micros
  /** Of the time since the last event, where that is more. */
  readonly tolerancePercent: number
  readonly tsTick: number
  readonly ignorePsh: boolean
  readonly strict: boolean
  /** Expected packets match one packet each, and none that make them up together. */
  readonly strictSegments: boolean
  readonly settings: TcpSettings
  readonly definitions: ReadonlyMap<string, string>
}

/** packetdrill's own defaults. */
const DEFAULTS: Readonly<Record<4 | 6, { readonly local: string; readonly remote: string }>> = {
  4: { local: "192.168.0.1", remote: "192.0.2.1" },
  6: { local: "fd3d:fa7b:d17d::1", remote: "2001:db8::1" },
}

const PORT = 8080
const MTU = 1500
const TOLERANCE = 4000
const TOLERANCE_PERCENT = 1

/**
 * Flags that a script or a command line may have, as packetdrill names them. "value" and "switch" are obeyed;
 * the "ignored" ones (the second kind without a value) say how a live run is made and nothing about what a script
 * sees here; "refused" ones need what only a live run has: the script is unsupported.
 */
export type FlagKind = "value" | "switch" | "ignored" | "ignored-switch" | "refused"

export const FLAGS: Readonly<Record<string, FlagKind>> = {
  ip_version: "value",
  local_ip: "value",
  remote_ip: "value",
  mtu: "value",
  mss: "value",
  bind_port: "value",
  connect_port: "value",
  tolerance_usecs: "value",
  tolerance_percent: "value",
  tcp_ts_tick_usecs: "value",
  ignore_psh: "switch",
  strict: "switch",
  strict_segments: "switch",
  define: "value",
  D: "value",
  gateway_ip: "ignored",
  netmask_ip: "ignored",
  local_linkaddr: "ignored",
  remote_linkaddr: "ignored",
  remote_prefix: "ignored",
  speed: "ignored",
  verbose: "ignored-switch",
  debug: "ignored-switch",
  persistent_tun_dev: "ignored-switch",
  tun_dev: "ignored",
  non_fatal: "ignored",
  nonfatal: "ignored",
  no_cleanup: "ignored-switch",
  code_format: "ignored",
  code_command: "ignored",
  code_sockopt: "ignored",
  send_omit_free: "ignored",
  init_scripts: "refused",
  dry_run: "refused",
  udp_encaps: "refused",
  so_filename: "refused",
  so_flags: "refused",
  wire_client: "refused",
  wire_client_dev: "refused",
  wire_server: "refused",
  wire_server_at: "refused",
  wire_server_dev: "refused",
  wire_server_ip: "refused",
  wire_server_port: "refused",
}

export const configure = (script: Script, options: RunOptions): RunConfig => {
  for (const flag of script.flags) check(flag)
  const value = (name: string): Flag | undefined => {
    const own = script.flags.filter((flag) => flag.name === name).at(-1)
    const given = options.flags.get(name)
    return own ?? (given === undefined ? undefined : { name, value: given, at: { line: 1, column: 1 } })
  }
  const family = familyOf(value("ip_version"))
  const mss = numberOf(value("mss"), 0)
  return {
    family,
    local: addressOf(value("local_ip"), family, DEFAULTS[family].local),
    remote: addressOf(value("remote_ip"), family, DEFAULTS[family].remote),
    bindPort: numberOf(value("bind_port"), PORT),
    connectPort: numberOf(value("connect_port"), PORT),
    mtu: numberOf(value("mtu"), MTU),
    mss,
    tolerance: numberOf(value("tolerance_usecs"), TOLERANCE),
    tolerancePercent: numberOf(value("tolerance_percent"), TOLERANCE_PERCENT),
    tsTick: numberOf(value("tcp_ts_tick_usecs"), 0),
    ignorePsh: options.ignorePsh || value("ignore_psh") !== undefined,
    strict: options.strict || value("strict") !== undefined,
    strictSegments: value("strict_segments") !== undefined,
    settings: { ...baseline(options.profile), tcpGroSegment: mss },
    definitions: new Map([...GIVEN_NAMES[family], ...script.definitions]),
  }
}

/** What the public scripts call the control message of errors; whoever runs them live defines it by the IP version. */
const GIVEN_NAMES: Readonly<Record<4 | 6, ReadonlyArray<readonly [string, string]>>> = {
  4: [
    ["CMSG_LEVEL_IP", "SOL_IP"],
    ["CMSG_TYPE_RECVERR", "IP_RECVERR"],
  ],
  6: [
    ["CMSG_LEVEL_IP", "SOL_IPV6"],
    ["CMSG_TYPE_RECVERR", "IPV6_RECVERR"],
  ],
}

const check = ({ name, at }: Flag): void => {
  const kind = FLAGS[name] ?? syntax(at, `unknown flag --${name}`)
  if (kind === "refused") unsupported(at, `the flag --${name}`)
}

const familyOf = (flag: Flag | undefined): 4 | 6 => {
  switch (flag?.value) {
    case undefined:
    case "ipv4":
      return 4
    case "ipv6":
      return 6
    case "ipv4-mapped-ipv6":
    case "ipv4_mapped_ipv6":
      // AF_INET6 sockets that speak IPv4: the packets, which is what scripts check, are IPv4's.
      return 4
    default:
      return syntax(flag?.at ?? { line: 1, column: 1 }, `unknown --ip_version ${flag?.value}`)
  }
}

const addressOf = (flag: Flag | undefined, family: 4 | 6, otherwise: string): IpAddress => {
  const text = (flag?.value ?? otherwise).replace(/\/[0-9]+$/, "")
  const address = parseAddress(text)
  if (address === undefined || address.family !== family) {
    return syntax(flag?.at ?? { line: 1, column: 1 }, `${text} is not an IPv${family} address`)
  }
  return address
}

const numberOf = (flag: Flag | undefined, otherwise: number): number => {
  if (flag === undefined) return otherwise
  const value = Number(flag.value)
  return Number.isFinite(value) && flag.value !== ""
    ? value
    : syntax(flag.at, `--${flag.name} needs a number, not "${flag.value}"`)
}
