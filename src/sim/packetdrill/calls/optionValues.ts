import type { TcpSettings } from "../../../tcp/settings.ts"
import type { SocketFile } from "../files.ts"

/** What a number is for: the socket's part, and what the machine is set to. */
interface Place {
  readonly role: SocketFile["role"]
  readonly settings: TcpSettings
}

/** The number that counts in the place of the one given, or the error's name. */
type Rule = (value: number, place: Place) => number | string

/** What Linux's setsockopt makes of the numbers of options; one without a rule counts as it is given. */
export const settledBy = (name: string, value: number, place: Place): number | string =>
  RULES[name]?.(value, place) ?? value

const truth: Rule = (value) => Number(value !== 0)
const zeroOrOne: Rule = (value) => (value === 0 || value === 1 ? value : "EINVAL")
const between =
  (least: number, most: number): Rule =>
  (value) =>
    value >= least && value <= most ? value : "EINVAL"
const readOnly: Rule = () => "ENOPROTOOPT"

/** The last two bits are ECN's. */
const withoutEcn = (octet: number): number => octet & 0xfc

/** Half of SOCK_MIN_RCVBUF. */
const LEAST_CLAMP = 1152
/** TCP_FIN_TIMEOUT_MAX, in seconds. */
const LONGEST_LINGER2 = 120
const DEFAULT_TTL = 64

const RULES: Readonly<Record<string, Rule>> = {
  SO_DEBUG: truth,
  SO_REUSEADDR: truth,
  SO_REUSEPORT: truth,
  SO_KEEPALIVE: truth,
  SO_BROADCAST: truth,
  SO_DONTROUTE: truth,
  SO_TIMESTAMP: truth,
  SO_NO_CHECK: truth,
  SO_RXQ_OVFL: truth,
  SO_LOCK_FILTER: truth,
  SO_SELECT_ERR_QUEUE: truth,
  SO_PREFER_BUSY_POLL: truth,
  TCP_NODELAY: truth,
  TCP_CORK: truth,
  TCP_QUICKACK: truth,
  IP_RECVERR: truth,
  IPV6_RECVERR: truth,
  IP_FREEBIND: truth,
  IP_BIND_ADDRESS_NO_PORT: truth,
  IP_RECVTOS: truth,
  IP_RECVTTL: truth,
  IP_PKTINFO: truth,
  IPV6_V6ONLY: truth,
  SO_ZEROCOPY: zeroOrOne,
  TCP_INQ: zeroOrOne,
  TCP_THIN_LINEAR_TIMEOUTS: zeroOrOne,
  // It is refused where it makes no sense, and else forgotten.
  TCP_THIN_DUPACK: (value, place) => (typeof zeroOrOne(value, place) === "string" ? "EINVAL" : 0),
  TCP_FASTOPEN_CONNECT: (value, place) => (place.role === "new" ? zeroOrOne(value, place) : "EINVAL"),
  TCP_FASTOPEN_NO_COOKIE: (value, place) => (place.role === "connection" ? "EINVAL" : zeroOrOne(value, place)),
  TCP_FASTOPEN: (value, { role, settings }) =>
    value < 0 || role === "connection" ? "EINVAL" : Math.min(value, settings.somaxconn),
  TCP_LINGER2: (value) => (value < 0 ? -1 : Math.min(value, LONGEST_LINGER2)),
  TCP_DEFER_ACCEPT: (value) => Math.max(0, value),
  TCP_WINDOW_CLAMP: (value, { role }) => (value !== 0 ? Math.max(LEAST_CLAMP, value) : role === "new" ? 0 : "EINVAL"),
  SO_RCVLOWAT: (value, { settings }) => {
    const most = settings.tcpRmem[2] / 2
    return value < 0 ? most : Math.min(most, Math.max(1, value))
  },
  SO_BUSY_POLL: between(0, Number.POSITIVE_INFINITY),
  SO_TXREHASH: (value) => (value === -1 ? 1 : value === 0 || value === 1 ? value : "EINVAL"),
  IP_TOS: (value) => withoutEcn(value),
  IPV6_TCLASS: (value) => (value < -1 || value > 0xff ? "EINVAL" : value === -1 ? 0 : withoutEcn(value)),
  IP_TTL: (value) => (value === -1 ? DEFAULT_TTL : value >= 1 && value <= 0xff ? value : "EINVAL"),
  IPV6_UNICAST_HOPS: (value) => (value === -1 ? DEFAULT_TTL : value >= 0 && value <= 0xff ? value : "EINVAL"),
  IP_MINTTL: between(0, 0xff),
  SO_ERROR: readOnly,
  SO_TYPE: readOnly,
  SO_PROTOCOL: readOnly,
  SO_DOMAIN: readOnly,
  SO_ACCEPTCONN: readOnly,
  SO_SNDLOWAT: readOnly,
  SO_INCOMING_NAPI_ID: readOnly,
  TCP_INFO: readOnly,
  TCP_IS_MPTCP: readOnly,
  IP_MTU: readOnly,
  IPV6_MTU: readOnly,
}
