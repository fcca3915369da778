import type { SocketStatus } from "../../host/types.ts"
import type { Cc, State, Synchronized } from "../../tcp/tcb.ts"
import { type Micros, OFF } from "../../tcp/time.ts"

const STATES: Readonly<Record<State, number>> = {
  ESTABLISHED: 1,
  "SYN-SENT": 2,
  "SYN-RECEIVED": 3,
  "FIN-WAIT-1": 4,
  "FIN-WAIT-2": 5,
  "TIME-WAIT": 6,
  CLOSED: 7,
  "CLOSE-WAIT": 8,
  "LAST-ACK": 9,
  LISTEN: 10,
  CLOSING: 11,
}

/** TCPI_OPT_*: include/uapi/linux/tcp.h. */
const TIMESTAMPS = 1
const SACK = 2
const WSCALE = 4

/** TCP_CA_*. */
const OPEN = 0
const DISORDER = 1
const RECOVERY = 3
const LOSS = 4

/** tcp_info as Linux fills it in (tcp_get_info in net/ipv4/tcp.c), as far as a block knows it. */
export const tcpInfo = (status: SocketStatus, now: Micros): ReadonlyMap<string, number> => {
  const info = new Map([["tcpi_state", STATES[status.state]]])
  const { tcb } = status
  if (tcb._tag === "LISTEN") {
    info.set("tcpi_unacked", status.recvQ)
    info.set("tcpi_sacked", status.sendQ)
    return info
  }
  if (!("snd" in tcb)) return info
  for (const [name, value] of synchronized(tcb, now)) info.set(`tcpi_${name}`, value)
  return info
}

const synchronized = (tcb: Synchronized, now: Micros): ReadonlyArray<readonly [string, number]> => {
  const { snd, rcv, rto, cc, link, queue } = tcb
  const { agreed } = link
  const flight = (snd.nxt - snd.una) >>> 0
  const unsent = Math.max(0, queue.length - ((snd.nxt - queue.start) >>> 0))
  const options = (agreed.timestamps ? TIMESTAMPS : 0) | (agreed.sack ? SACK : 0) | (agreed.scaling ? WSCALE : 0)
  return [
    ["ca_state", caState(cc, rto.backoff)],
    ["retransmits", rto.backoff],
    ["probes", 0],
    ["backoff", rto.backoff],
    ["options", options],
    ["snd_wscale", agreed.sndScale],
    ["rcv_wscale", agreed.rcvScale],
    ["rto", rto.rto],
    ["snd_mss", snd.mss],
    ["rcv_mss", rcv.mss],
    ["unacked", Math.ceil(flight / snd.mss)],
    ["notsent_bytes", unsent],
    ["last_data_sent", snd.at === OFF ? 0 : Math.floor((now - snd.at) / 1000)],
    ["rtt", rto.srtt],
    ["rttvar", rto.rttvar],
    ["snd_ssthresh", cc.ssthresh >= 0x7fffffff ? 0x7fffffff : Math.floor(cc.ssthresh / snd.mss)],
    ["snd_cwnd", Math.floor(cc.cwnd / snd.mss)],
    ["advmss", link.path.mss],
    ["snd_wnd", snd.wnd],
    ["rcv_wnd", (rcv.edge - rcv.nxt) >>> 0],
  ]
}

const caState = (cc: Cc, backoff: number): number => {
  if (backoff > 0) return LOSS
  if (cc.recovering) return RECOVERY
  return cc.dupAcks > 0 ? DISORDER : OPEN
}
