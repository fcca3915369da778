import type { TcpContext } from "../tcp/tcb.ts"
import type { Endpoint, IpAddress } from "../wire/address.ts"
import type { Chances } from "./chances.ts"
import type { HostKeys } from "./keyedHash.ts"
import type { TcpHost } from "./tcpHost.ts"

/**
 * Ephemeral ports (RFC 6056 section 3.3.3): a keyed offset per peer, then one after the other. A
 * port may serve many peers; only the four values together must be new.
 */
export class Ports {
  private counter = 0

  constructor(
    private readonly context: TcpContext,
    private readonly keys: HostKeys,
    private readonly tcp: TcpHost,
    private readonly chances: Chances,
  ) {}

  /** For an active open; undefined when every port of the range is taken towards `remote`. */
  forPeer(local: IpAddress, remote: Endpoint): number | undefined {
    return this.search(
      this.keys.portOffset(remote) + this.counter++,
      (port) => !this.tcp.isTaken(local, port, remote) && !this.tcp.ports.isBound(port, local),
    )
  }

  /**
   * For a socket that is bound to port 0: one that nobody uses, whatever could be shared (Linux's
   * inet_csk_find_open_port). Its peers are not known yet, so that each search begins anywhere (section 3.3.1).
   */
  forBind(local: IpAddress, ipv6Only: boolean): number | undefined {
    return this.search(this.chances.next(), (port) => !this.tcp.ports.isTaken(port, local, ipv6Only))
  }

  private search(offset: number, free: (port: number) => boolean): number | undefined {
    const [low, high] = this.context.settings.ipLocalPortRange
    const count = high - low + 1
    for (let tries = 0; tries < count; tries++) {
      const port = low + ((offset + tries) % count)
      if (free(port)) {
        this.counter += tries
        return port
      }
    }
    return undefined
  }
}
