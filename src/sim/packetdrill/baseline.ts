import { defaultSettings, freebsd, linux, type TcpSettings } from "../../tcp/settings.ts"
import { setSysctl } from "./sysctl.ts"

export type ProfileName = "linux" | "freebsd"

/**
 * What the set-up script of the public Linux corpora (common/defaults.sh) sets, so that a script finds
 * the same machine whether it names that script or not. Its receive buffer of up to 15 MiB is why
 * a SYN says "wscale 8".
 */
export const DEFAULTS_SH: ReadonlyArray<readonly [name: string, value: string]> = [
  ["net.ipv4.tcp_rmem", "4096 540000 15728640"],
  ["net.ipv4.tcp_wmem", "4096 262144 4194304"],
  ["net.ipv4.tcp_timestamps", "1"],
  ["net.ipv4.tcp_syn_retries", "5"],
  ["net.ipv4.tcp_synack_retries", "5"],
  ["net.ipv4.tcp_frto", "2"],
  ["net.ipv4.tcp_sack", "1"],
  ["net.ipv4.tcp_dsack", "1"],
  ["net.ipv4.tcp_fack", "0"],
  ["net.ipv4.tcp_reordering", "3"],
  ["net.ipv4.tcp_congestion_control", "cubic"],
  ["net.ipv4.tcp_slow_start_after_idle", "0"],
  ["net.ipv4.tcp_early_retrans", "4"],
  ["net.ipv4.tcp_recovery", "1"],
  ["net.ipv4.tcp_tso_win_divisor", "3"],
  ["net.ipv4.tcp_ecn", "0"],
  ["net.ipv4.tcp_pacing_ss_ratio", "200"],
  ["net.ipv4.tcp_pacing_ca_ratio", "120"],
  ["net.ipv4.tcp_notsent_lowat", "4294967295"],
  ["net.ipv4.tcp_fastopen", String(0x70403)],
  ["net.ipv4.tcp_fastopen_key", "a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4"],
  ["net.ipv4.tcp_syncookies", "1"],
]

/**
 * A FreeBSD machine as its suite expects it: 64 KiB of receive buffer (of tcp_rmem half is payload), 2 MiB at
 * most (hence "wscale 6"), and no RST that ends TIME-WAIT.
 */
const FREEBSD: ReadonlyArray<readonly [name: string, value: string]> = [
  ["net.ipv4.tcp_rmem", "4096 131072 2097152"],
  ["net.ipv4.tcp_wmem", "4096 32768 2097152"],
  ["net.ipv4.tcp_rfc1337", "1"],
  // Its default stack finds losses as RFC 6675 does: RACK and tail loss probes are another stack's.
  ["net.ipv4.tcp_recovery", "0"],
  ["net.ipv4.tcp_early_retrans", "0"],
  ["net.ipv4.tcp_frto", "0"],
  ["net.ipv4.tcp_fastopen_key", "a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4"],
]

/** The machine that a script finds: made once, for it never changes. */
export const baseline = (profile: ProfileName): TcpSettings => {
  const settings = made.get(profile) ?? make(profile)
  made.set(profile, settings)
  return settings
}

/** A packet's head in the send queue: an sk_buff with its clone and its headers' room, on x86-64 in Linux 6.18. */
const SEND_OVERHEAD = 832

const made = new Map<ProfileName, TcpSettings>()

const make = (profile: ProfileName): TcpSettings => {
  const isLinux = profile === "linux"
  const start: TcpSettings = isLinux
    ? { ...defaultSettings, profile: linux, sendOverhead: SEND_OVERHEAD, tcpRcvbufTruesize: true }
    : { ...defaultSettings, profile: freebsd }
  return (isLinux ? DEFAULTS_SH : FREEBSD).reduce((settings, [name, value]) => {
    const next = setSysctl(settings, name, value)
    return next === "unknown" ? settings : next
  }, start)
}
