import { tcpInfo as fieldsOf, INFO_FIELDS } from "../../host/tcpInfo.ts"
import type { SocketStatus } from "../../host/types.ts"
import type { TcpSettings } from "../../tcp/settings.ts"
import type { Micros } from "../../tcp/time.ts"

/** TCP_INFO as scripts ask for it; `status` undefined: of a socket that is neither connected nor listens. */
export const tcpInfo = (
  status: SocketStatus | undefined,
  settings: TcpSettings,
  now: Micros,
): ReadonlyMap<string, number> => {
  const linux = settings.profile.name === "linux"
  const known = status === undefined ? { tcpi_state: CLOSED } : fieldsOf(status, now)
  return new Map(
    Object.entries({
      ...(linux ? untouched(status, settings) : UNTOUCHED_FREEBSD),
      ...known,
      ...(linux ? {} : inOctets(status)),
    }),
  )
}

const CLOSED = 7

/** All fields, and two that Linux has not filled in for long. */
const ZEROS: Readonly<Record<string, number>> = Object.fromEntries(
  [...INFO_FIELDS, "fackets", "last_ack_sent"].map((name) => [`tcpi_${name}`, 0]),
)

/** What Linux's tcp_init_sock and tcp_get_info leave of a socket that nothing has happened to. */
const untouched = (status: SocketStatus | undefined, settings: TcpSettings): Readonly<Record<string, number>> => {
  const { profile, tcpReordering } = settings
  const rates = { tcpi_pacing_rate: Number.MAX_SAFE_INTEGER, tcpi_max_pacing_rate: Number.MAX_SAFE_INTEGER }
  const common = { ...ZEROS, ...rates, tcpi_snd_cwnd: profile.initialWindowSegments, tcpi_reordering: tcpReordering }
  if (status?.tcb._tag === "LISTEN") return common
  return {
    ...common,
    tcpi_rto: profile.initialRto,
    tcpi_snd_mss: DEFAULT_MSS,
    tcpi_rttvar: profile.initialRto / 4,
    tcpi_snd_ssthresh: 0x7fff_ffff,
    tcpi_min_rtt: 0xffff_ffff,
    tcpi_unacked: status?.tcb._tag === "SYN-SENT" ? 1 : 0,
  }
}

/** RFC 9293 section 3.7.1, MUST-15. */
const DEFAULT_MSS = 536

const UNTOUCHED_FREEBSD = { tcpi_options: 0, tcpi_snd_wscale: 0, tcpi_rcv_wscale: 0 }

/** FreeBSD counts its windows in octets. */
const inOctets = (status: SocketStatus | undefined): Readonly<Record<string, number>> =>
  status === undefined || !("cc" in status.tcb)
    ? {}
    : { tcpi_snd_cwnd: status.tcb.cc.cwnd, tcpi_snd_ssthresh: status.tcb.cc.ssthresh }
