import type { TcpSettings } from "../tcp/settings.ts"
import type { Micros } from "../tcp/time.ts"
import type { Chances } from "./chances.ts"

const SECOND: Micros = 1_000_000
/** From here on there is no limit. */
const UNLIMITED = 0x7fff_ffff

/**
 * Challenge ACKs of all connections together (RFC 5961 section 7): about `tcpChallengeAckLimit` in each second. How
 * many exactly nobody outside can foresee, who could else tell by counting them what other connections
 * there are (CVE-2016-5696; Linux's tcp_send_challenge_ack).
 */
export class ChallengeLimit {
  private second = -1
  private left = 0

  constructor(
    private readonly settings: () => Pick<TcpSettings, "tcpChallengeAckLimit">,
    private readonly chances: Pick<Chances, "next">,
  ) {}

  /** Whether one more may be sent; if so, it counts. */
  allows(now: Micros): boolean {
    const { tcpChallengeAckLimit: limit } = this.settings()
    if (limit >= UNLIMITED) return true
    const second = Math.floor(now / SECOND)
    if (second !== this.second) {
      this.second = second
      this.left = limit === 0 ? 0 : Math.ceil(limit / 2) + (this.chances.next() % limit)
    }
    if (this.left === 0) return false
    this.left--
    return true
  }
}
