import type { TcpEffect, Transmit } from "../../../src/tcp/effect.ts"
import { slice } from "../../../src/tcp/sendQueue.ts"
import { add } from "../../../src/tcp/seq.ts"
import type { Segment } from "../../../src/wire/tcpSegment.ts"
import { SYN } from "../../../src/wire/tcpSegment.ts"
import {
  closed,
  type Happened,
  happen,
  MS,
  PEER,
  play,
  type Scene,
  type Story,
  transmits,
  US,
  type WorldOptions,
} from "./world.ts"

/** The segment that a Transmit effect stands for, as it arrives at the other end. */
export const onTheWire = (sent: Transmit): Segment => ({
  seq: sent.seq,
  ack: sent.ack,
  flags: sent.flags,
  wnd: sent.wnd,
  up: sent.up,
  options: sent.options,
  payload:
    sent.queue === undefined
      ? new Uint8Array(0)
      : slice(sent.queue, (sent.flags & SYN) !== 0 ? add(sent.seq, 1) : sent.seq, sent.length),
})

/** A segment of one block's arrives at another. */
export const receive = (scene: Scene, sent: Transmit, at: number): Happened =>
  happen(
    { ...scene, now: at * MS },
    { _tag: "SegmentArrives", segment: onTheWire(sent), local: US, remote: PEER, room: true, proven: true },
  )

/** An open connection, 100 ms after its SYN. No timestamps unless asked for: a full segment is 1012 octets then. */
export const open = (options: WorldOptions = {}, more: Story = []): Happened =>
  play(closed(options), [[0, "OPEN active"], [100, "<SYN,ACK> seq=irs ack=iss+1"], ...more])

/** What left, as "offset+length" from ISS+1, with flags other than ACK. */
export const sentRanges = (scene: {
  readonly world: Scene["world"]
  readonly effects: ReadonlyArray<TcpEffect>
}): ReadonlyArray<string> =>
  transmits(scene.effects)
    .filter((t) => t.length > 0 || (t.flags & 0x01) !== 0)
    .map(
      (t) =>
        `${(t.seq - scene.world.iss - 1) | 0}+${t.length}${(t.flags & 0x08) !== 0 ? " PSH" : ""}${(t.flags & 0x01) !== 0 ? " FIN" : ""}`,
    )

/** One event on a scene at a time in milliseconds. */
export const next = (scene: Scene, at: number, words: string): Happened => play(scene, [[at, words]])
