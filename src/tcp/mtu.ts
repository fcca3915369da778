import { effectiveMss } from "./handshake.ts"
import type { Seq } from "./seq.ts"
import type { TcpSettings } from "./settings.ts"
import type { Link, MtuState, Synchronized } from "./tcb.ts"
import { type Micros, OFF } from "./time.ts"

const TCP_HEADER = 20
const IP_HEADER = { 4: 20, 6: 40 } as const

/** Octets of a packet beside MSS as the option counts it. */
export const headers = (link: Link): number => IP_HEADER[link.remote.address.family] + TCP_HEADER

export const initialMtu = (link: Link, settings: TcpSettings, una: Seq, now: Micros): MtuState => ({
  path: 0,
  probing: settings.tcpMtuProbing === 2,
  low: settings.tcpBaseMss + headers(link),
  high: Math.min(link.agreed.peerMss, link.path.mss) + headers(link),
  size: 0,
  start: una,
  end: una,
  at: settings.tcpMtuProbing === 2 ? now : OFF,
})

/** Eff.snd.MSS on a path of `mtu`, no less than what is believed of a peer. */
export const mssFor = (link: Link, mtu: number): number => {
  const full = Math.max(mtu - headers(link), link.context.settings.tcpMinSndMss)
  return effectiveMss(link.agreed, { ...link.path, mss: Math.min(link.path.mss, full) })
}

/** The reverse: the packet that carries `mss` octets, options included. */
export const mtuOf = (link: Link, mss: number): number => {
  const options = Math.min(link.agreed.peerMss, link.path.mss) - effectiveMss(link.agreed, link.path)
  return mss + options + headers(link)
}

/** What a segment may be now: the interface's, the path's, or as far as the search has come. */
export const currentMss = (link: Link, mtu: MtuState): number => {
  let limit = link.path.mss + headers(link)
  if (mtu.path !== 0) limit = Math.min(limit, mtu.path)
  if (mtu.probing) limit = Math.min(limit, mtu.low)
  return mssFor(link, limit)
}

/** Segments change their size: the window stays what it is in segments where they shrink, in octets where they grow. */
export const withMtu = (tcb: Synchronized, mtu: MtuState): Synchronized => {
  const mss = currentMss(tcb.link, mtu)
  const { snd, cc } = tcb
  if (mss === snd.mss) return { ...tcb, mtu }
  if (mss > snd.mss) return { ...tcb, mtu, snd: { ...snd, mss } }
  const scaled = (octets: number): number => (octets >= 0x7fffffff ? octets : Math.floor((octets * mss) / snd.mss))
  return {
    ...tcb,
    mtu,
    snd: { ...snd, mss },
    cc: { ...cc, cwnd: Math.max(scaled(cc.cwnd), mss), ssthresh: scaled(cc.ssthresh) },
  }
}
