import { Config, ConfigError, Duration, Either } from "effect"
import type { CcName } from "../tcp/congestion/control.ts"
import { isAlgorithm } from "../tcp/congestion/registry.ts"
import { parseFastOpenKey } from "../tcp/fastOpenKey.ts"
import { defaultSettings, freebsd, linux, type TcpSettings, type WireProfile } from "../tcp/settings.ts"

export { defaultSettings, freebsd, linux, type TcpSettings, type WireProfile } from "../tcp/settings.ts"

/** A name's value, when it is set. */
type Optional<A> = Config.Config<A | undefined>

const optional = <A>(config: Config.Config<A>): Optional<A> => Config.withDefault(config, undefined)

const count = (name: string): Optional<number> =>
  optional(
    Config.validate(Config.integer(name), {
      message: "a number from 0 up",
      validation: (n: number): boolean => n >= 0,
    }),
  )
const yesNo = (name: string): Optional<boolean> => optional(Config.boolean(name))
/** "60 seconds", as Effect writes durations; microseconds in the settings. */
const duration = (name: string): Optional<number> =>
  optional(Config.map(Config.duration(name), (value) => Math.round(Duration.toMillis(value) * 1000)))

const PROFILES: Readonly<Record<string, WireProfile>> = { linux, freebsd }

const profile: Optional<WireProfile> = optional(
  Config.mapOrFail(Config.string("PROFILE"), (name) => {
    const found = PROFILES[name]
    return found === undefined ? wrong(`"${name}" is no profile: linux or freebsd`) : Either.right(found)
  }),
)

const zeroToTwo = (name: string, meaning: string): Optional<0 | 1 | 2> =>
  optional(
    Config.mapOrFail(Config.integer(name), (n) => (n === 0 || n === 1 || n === 2 ? Either.right(n) : wrong(meaning))),
  )

const cookies = zeroToTwo("TCP_SYNCOOKIES", "0 (never), 1 (when the SYN queue is full) or 2 (always)")
const ecn = zeroToTwo("TCP_ECN", "0 (no), 1 (ask and accept) or 2 (accept)")
const mtuProbing = zeroToTwo("TCP_MTU_PROBING", "0 (no), 1 (after a black hole) or 2 (always)")

const congestionControl: Optional<CcName> = optional(
  Config.mapOrFail(Config.string("TCP_CONGESTION_CONTROL"), (name) =>
    isAlgorithm(name) ? Either.right(name) : wrong(`"${name}" is no congestion control: reno, cubic or bbr`),
  ),
)

const fastOpenKey: Optional<string> = optional(
  Config.mapOrFail(Config.string("TCP_FASTOPEN_KEY"), (text) =>
    text === "" || parseFastOpenKey(text) !== undefined
      ? Either.right(text)
      : wrong("a key is four hexadecimal words between hyphens; a second one may follow a comma"),
  ),
)

/** "4096 131072 6291456" or with commas, as sysctl writes them. */
const numbers = (name: string, many: number): Config.Config<ReadonlyArray<number>> =>
  Config.mapOrFail(Config.string(name), (text) => {
    const values = text
      .trim()
      .split(/[\s,]+/)
      .map(Number)
    return values.length === many && values.every((n) => Number.isInteger(n) && n >= 0)
      ? Either.right(values)
      : wrong(`"${text}" is not ${many} numbers`)
  })

const triple = (name: string): Optional<readonly [number, number, number]> =>
  optional(Config.map(numbers(name, 3), ([low = 0, first = 0, high = 0]) => [low, first, high] as const))

const pair = (name: string): Optional<readonly [number, number]> =>
  optional(Config.map(numbers(name, 2), ([low = 0, high = 0]) => [low, high] as const))

const wrong = (message: string): Either.Either<never, ConfigError.ConfigError> =>
  Either.left(ConfigError.InvalidData([], message))

/**
 * What the configuration says about TCP, over the defaults: the sysctls' names in capitals behind
 * NETFOLD_, such as NETFOLD_TCP_SYN_RETRIES, NETFOLD_SOMAXCONN, NETFOLD_TCP_RMEM, and
 * NETFOLD_PROFILE for the wire profile.
 */
export const fromConfig: Config.Config<TcpSettings> = Config.map(
  Config.nested(
    Config.all({
      profile,
      somaxconn: count("SOMAXCONN"),
      tcpMaxSynBacklog: count("TCP_MAX_SYN_BACKLOG"),
      tcpSynRetries: count("TCP_SYN_RETRIES"),
      tcpSynackRetries: count("TCP_SYNACK_RETRIES"),
      tcpSynLinearTimeouts: count("TCP_SYN_LINEAR_TIMEOUTS"),
      tcpThinLinearTimeouts: yesNo("TCP_THIN_LINEAR_TIMEOUTS"),
      tcpRetries1: count("TCP_RETRIES1"),
      tcpRetries2: count("TCP_RETRIES2"),
      tcpOrphanRetries: count("TCP_ORPHAN_RETRIES"),
      tcpKeepaliveTime: duration("TCP_KEEPALIVE_TIME"),
      tcpKeepaliveIntvl: duration("TCP_KEEPALIVE_INTVL"),
      tcpKeepaliveProbes: count("TCP_KEEPALIVE_PROBES"),
      tcpSyncookies: cookies,
      tcpFastopen: count("TCP_FASTOPEN"),
      tcpFastopenKey: fastOpenKey,
      tcpAbortOnOverflow: yesNo("TCP_ABORT_ON_OVERFLOW"),
      tcpWindowScaling: yesNo("TCP_WINDOW_SCALING"),
      tcpTimestamps: yesNo("TCP_TIMESTAMPS"),
      tcpSack: yesNo("TCP_SACK"),
      tcpDsack: yesNo("TCP_DSACK"),
      tcpCongestionControl: congestionControl,
      tcpRecovery: count("TCP_RECOVERY"),
      tcpEarlyRetrans: count("TCP_EARLY_RETRANS"),
      tcpFrto: count("TCP_FRTO"),
      tcpReordering: count("TCP_REORDERING"),
      tcpMaxReordering: count("TCP_MAX_REORDERING"),
      tcpRetransCollapse: yesNo("TCP_RETRANS_COLLAPSE"),
      tcpLimitOutputBytes: count("TCP_LIMIT_OUTPUT_BYTES"),
      tcpSlowStartAfterIdle: yesNo("TCP_SLOW_START_AFTER_IDLE"),
      tcpMinRttWlen: duration("TCP_MIN_RTT_WLEN"),
      tcpEcn: ecn,
      tcpEcnFallback: yesNo("TCP_ECN_FALLBACK"),
      tcpMtuProbing: mtuProbing,
      tcpBaseMss: count("TCP_BASE_MSS"),
      tcpMtuProbeFloor: count("TCP_MTU_PROBE_FLOOR"),
      tcpProbeThreshold: count("TCP_PROBE_THRESHOLD"),
      tcpProbeInterval: duration("TCP_PROBE_INTERVAL"),
      tcpPacingSsRatio: count("TCP_PACING_SS_RATIO"),
      tcpPacingCaRatio: count("TCP_PACING_CA_RATIO"),
      tcpMinTsoSegs: count("TCP_MIN_TSO_SEGS"),
      tcpTsoRttLog: count("TCP_TSO_RTT_LOG"),
      tcpFinTimeout: duration("TCP_FIN_TIMEOUT"),
      timeWait: duration("TIME_WAIT"),
      tcpMaxTwBuckets: count("TCP_MAX_TW_BUCKETS"),
      tcpRfc1337: yesNo("TCP_RFC1337"),
      tcpInvalidRatelimit: duration("TCP_INVALID_RATELIMIT"),
      tcpChallengeAckLimit: count("TCP_CHALLENGE_ACK_LIMIT"),
      tcpNotsentLowat: count("TCP_NOTSENT_LOWAT"),
      tcpModerateRcvbuf: yesNo("TCP_MODERATE_RCVBUF"),
      tcpRmem: triple("TCP_RMEM"),
      tcpRcvbufTruesize: yesNo("TCP_RCVBUF_TRUESIZE"),
      tcpGroSegment: count("TCP_GRO_SEGMENT"),
      tcpShrinkWindow: yesNo("TCP_SHRINK_WINDOW"),
      tcpWmem: triple("TCP_WMEM"),
      sendOverhead: count("SEND_OVERHEAD"),
      tcpMinSndMss: count("TCP_MIN_SND_MSS"),
      ipLocalPortRange: pair("IP_LOCAL_PORT_RANGE"),
      ipUnprivilegedPortStart: count("IP_UNPRIVILEGED_PORT_START"),
      ipNonlocalBind: yesNo("IP_NONLOCAL_BIND"),
      ipfragTime: duration("IPFRAG_TIME"),
      ipfragHighThresh: count("IPFRAG_HIGH_THRESH"),
      ip6fragTime: duration("IP6FRAG_TIME"),
      ip6fragHighThresh: count("IP6FRAG_HIGH_THRESH"),
      rmemDefault: count("RMEM_DEFAULT"),
      rmemMax: count("RMEM_MAX"),
      ipForward: yesNo("IP_FORWARD"),
      ipForwardClampMss: yesNo("IP_FORWARD_CLAMP_MSS"),
      bindv6only: yesNo("BINDV6ONLY"),
    }),
    "NETFOLD",
  ),
  (given) => ({ ...defaultSettings, ...defined(given) }),
)

/** Only what is set: an undefined field must not hide a default. */
const defined = (given: { readonly [K in keyof TcpSettings]: TcpSettings[K] | undefined }): Partial<TcpSettings> =>
  Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
