import type { Transmit } from "../tcp/effect.ts"
import { slice } from "../tcp/sendQueue.ts"
import type { Micros } from "../tcp/time.ts"
import type { Endpoint } from "../wire/address.ts"
import { NO_MAC } from "../wire/ethernet.ts"
import { EMPTY, RST, SYN, type TcpPacket } from "../wire/tcpSegment.ts"
import { withRoom } from "./authentication/signature.ts"
import type { Counters } from "./counters.ts"
import type { FlowTable } from "./flowTable.ts"
import type { Guard, Guards } from "./guards.ts"
import type { Link } from "./link.ts"

const DEFAULT_TTL = 64

/** Between whom a segment travels, and how: a connection, or the ends of an answer that has none. */
export interface Way {
  readonly local: Endpoint
  readonly remote: Endpoint
  /** Where it leaves; undefined: by the route. */
  readonly iface?: number
  readonly guard: Guard | undefined
  identification?: number
}

/** The way out of a host: signs what must be signed, and puts a segment on an interface or back to ourselves. */
export class Egress {
  private looped: Array<TcpPacket> = []

  constructor(
    private readonly link: Link,
    private readonly counters: Counters,
    private readonly guards: Guards,
    private readonly flows: FlowTable,
  ) {}

  transmit(plain: Transmit, way: Way, now: Micros): void {
    const { link, counters } = this
    const { local, remote, guard } = way
    const signature = guard === undefined ? undefined : this.guards.sign(guard, plain)
    if (signature === "unsignable") return
    const segment = signature === undefined ? plain : { ...plain, options: withRoom(plain.options, signature) }
    const count = segment.segmentSize > 0 ? Math.max(1, Math.ceil(segment.length / segment.segmentSize)) : 1
    counters.outSegs += count
    if ((segment.flags & RST) !== 0) counters.add("OutRsts", 1)
    if (link.isLocal(remote.address)) {
      const packet = asPacket(segment, local, remote)
      this.looped.push(signature === undefined ? packet : this.guards.signed(packet, signature))
      return
    }
    const hop = link.route(remote.address)
    if (hop === undefined) return link.drop("ip:no-route")
    const { identification } = way
    // One for each piece that the segment is cut into; what belongs to no connection has 0, as all that is never
    // fragmented may (RFC 6864 section 4.1).
    if (identification !== undefined) way.identification = (identification + count) & 0xffff
    link.segment(
      {
        _tag: "SendSegment",
        interface: way.iface ?? hop.interface,
        nextHop: NO_MAC,
        source: local.address,
        destination: remote.address,
        sourcePort: local.port,
        destinationPort: remote.port,
        ttl: guard === undefined || guard.ttl === 0 ? DEFAULT_TTL : guard.ttl,
        tos: guard === undefined ? segment.ecn : guard.tos | segment.ecn,
        identification: identification ?? 0,
        flowLabel: remote.address.family === 4 ? 0 : this.flowLabel(local, remote),
        segment,
        signature,
      },
      hop.neighbour,
      now,
    )
  }

  /** RFC 6437 section 3: one for all packets of a flow, that nobody outside can foresee. */
  private flowLabel(local: Endpoint, remote: Endpoint): number {
    return this.flows.hash(local.address, local.port, remote.address, remote.port) & 0xf_ffff
  }

  get hasLooped(): boolean {
    return this.looped.length > 0
  }

  /** The segments to ourselves since the last call. */
  takeLooped(): ReadonlyArray<TcpPacket> {
    const { looped } = this
    this.looped = []
    return looped
  }
}

/** A segment as it would arrive; its payload is copied, as a wire does. */
const asPacket = (segment: Transmit, local: Endpoint, remote: Endpoint): TcpPacket => {
  const { seq, ack, flags, wnd, up, options, queue, length, ecn } = segment
  const from = (flags & SYN) === 0 ? seq : (seq + 1) >>> 0
  return {
    source: local.address,
    destination: remote.address,
    sourcePort: local.port,
    destinationPort: remote.port,
    segment: {
      seq,
      ack,
      flags,
      wnd,
      up,
      options,
      payload: queue === undefined ? EMPTY : slice(queue, from, length),
      ecn,
    },
  }
}
