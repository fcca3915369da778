import type { CloseReason, TcpEffect, Transmit } from "../../../src/tcp/effect.ts"
import { CLOSED, type Tcb, type TimerName } from "../../../src/tcp/tcb.ts"
import { onTheWire } from "./peer.ts"
import {
  deadline,
  eventOf,
  happen,
  MS,
  PEER,
  type Scene,
  transmits,
  US,
  type World,
  type WorldOptions,
  world,
} from "./world.ts"

export const ISS_A = 100
export const ISS_B = 300

/** One block with its application: calls and segments go in, segments come out, the rest is remembered. */
export class Side {
  tcb: Tcb = CLOSED
  delivered = 0
  peerClosed = false
  closed: CloseReason | undefined

  constructor(
    private world: World,
    private readonly clock: { now: number },
    private readonly at: { readonly local: typeof US; readonly remote: typeof US },
  ) {}

  get state(): Tcb["_tag"] {
    return this.tcb._tag
  }

  private scene(): Scene {
    return { world: this.world, tcb: this.tcb, now: this.clock.now }
  }

  private note(after: { readonly tcb: Tcb; readonly effects: ReadonlyArray<TcpEffect> }): ReadonlyArray<Transmit> {
    this.tcb = after.tcb
    for (const effect of after.effects) {
      if (effect._tag === "Deliver") this.delivered += effect.bytes.length
      if (effect._tag === "PeerClosed") this.peerClosed = true
      if (effect._tag === "Closed") this.closed = effect.reason
      // The listener's part is done: this side is the connection.
      if (effect._tag === "Spawn") this.tcb = effect.tcb
    }
    return transmits(after.effects)
  }

  call(words: string): ReadonlyArray<Transmit> {
    const scene = this.scene()
    const event = eventOf(words, scene)
    const after = happen(scene, event._tag === "ActiveOpen" ? { ...event, ...this.at } : event)
    if (after.refused !== undefined) throw new Error(`${words}: refused, ${after.refused.why}`)
    return this.note(after)
  }

  /** The other side's segments arrive, a millisecond later. */
  take(segments: ReadonlyArray<Transmit>): ReadonlyArray<Transmit> {
    this.clock.now += MS
    return segments.flatMap((sent) =>
      this.note(
        happen(this.scene(), {
          _tag: "SegmentArrives",
          segment: onTheWire(sent),
          local: this.at.local,
          remote: this.at.remote,
          room: true,
          proven: true,
        }),
      ),
    )
  }

  timeout(timer: TimerName): ReadonlyArray<Transmit> {
    this.clock.now = Math.max(this.clock.now, deadline(this.scene(), timer))
    return this.note(happen(this.scene(), { _tag: "Timeout", timer }))
  }

  /** The host restarts, and would begin elsewhere. */
  forget(iss: number): void {
    this.tcb = CLOSED
    this.world = {
      ...this.world,
      iss,
      context: { ...this.world.context, keys: { ...this.world.context.keys, iss: () => iss } },
    }
  }
}

export const pair = (options: WorldOptions = {}) => {
  const clock = { now: 1000 * MS }
  const a = new Side(world({ ...options, iss: ISS_A, irs: ISS_B }), clock, { local: US, remote: PEER })
  const b = new Side(world({ ...options, iss: ISS_B, irs: ISS_A }), clock, { local: PEER, remote: US })
  const open = () => {
    b.call("OPEN passive")
    b.take(a.take(b.take(a.call("OPEN active"))))
    return { a, b }
  }
  return { a, b, open }
}
