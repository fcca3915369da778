import { type Frame, Pipe, type PipeCounters } from "../../wire/impairment/pipe.ts"
import { Random } from "../../wire/random.ts"
import { type Micros, OFF } from "../../wire/time.ts"
import type { Observer } from "./log.ts"
import type { Schedule, Task } from "./schedule.ts"
import { directionsOf, type LinkEnd, linkEnd, type NetworkSpec } from "./spec.ts"
import { DEFAULT_TABLE, Switch } from "./switch.ts"

/** Takes a frame that has arrived at a host's interface; `corrupted`: with a bit flipped on the way. */
export type Receive = (host: string, port: number, frame: Uint8Array, now: Micros, corrupted: boolean) => void

/** What one direction of a link has done. */
export interface LinkReport {
  readonly from: string
  readonly to: string
  readonly counters: Readonly<PipeCounters>
  /** Frames that are in it. */
  readonly inside: number
}

interface Direction {
  readonly from: LinkEnd
  readonly to: LinkEnd
  readonly pipe: Pipe<Frame>
  readonly task: Task
}

/** Everything between the hosts: links and switches. */
export class Fabric {
  /** By the node and port that sends into it. */
  private readonly out = new Map<string, Direction>()
  private readonly directions: Array<Direction> = []
  private readonly switches = new Map<string, { readonly table: Switch; ports: number }>()
  private readonly cutFrom = new Set<Direction>()

  constructor(
    spec: NetworkSpec,
    private readonly schedule: Schedule,
    private readonly receive: Receive,
    private readonly observe: Observer,
  ) {
    for (const [name, { tableSize = DEFAULT_TABLE }] of Object.entries(spec.switches ?? {})) {
      this.switches.set(name, { table: new Switch(tableSize), ports: 0 })
    }
    for (const [index, link] of spec.links.entries()) {
      const [near, far] = [this.plug(link.ends[0]), this.plug(link.ends[1])]
      const [there, back] = directionsOf(link)
      this.lay(near, far, there, streamOf(spec.seed, 2 * index))
      this.lay(far, near, back, streamOf(spec.seed, 2 * index + 1))
    }
  }

  /** How a host's interface sends; without a link the frame is nowhere. */
  sender(host: string, port: number): (bytes: Uint8Array, now: Micros) => void {
    const direction = this.out.get(keyOf({ node: host, port }))
    if (direction === undefined) return () => {}
    return (bytes, now) => this.into(direction, { bytes, corrupted: false }, now)
  }

  /** From here on nothing enters the links of a node; `false` joins it again. */
  cut(node: string, isCut = true): void {
    for (const direction of this.directions) {
      if (direction.from.node !== node && direction.to.node !== node) continue
      if (isCut) this.cutFrom.add(direction)
      else this.cutFrom.delete(direction)
    }
  }

  /** Frames that are under way. */
  get inFlight(): number {
    return this.directions.reduce((sum, { pipe }) => sum + pipe.inside, 0)
  }

  reports(): ReadonlyArray<LinkReport> {
    return this.directions.map(({ from, to, pipe }) => ({
      from: from.node,
      to: to.node,
      counters: pipe.counters,
      inside: pipe.inside,
    }))
  }

  private plug(text: string): LinkEnd {
    const end = linkEnd(text)
    const bridge = this.switches.get(end.node)
    return bridge === undefined ? end : { node: end.node, port: bridge.ports++ }
  }

  private lay(from: LinkEnd, to: LinkEnd, ...[impairment, seed]: readonly [Pipe<Frame>["spec"], number]): void {
    const between = { from: from.node, to: to.node }
    const pipe = new Pipe<Frame>(impairment, "ethernet", seed, {
      lost: ({ bytes }, why, at) => this.observe({ _tag: "Lost", at, ...between, bytes, why }),
      marked: ({ bytes }, at) => this.observe({ _tag: "Marked", at, ...between, bytes }),
    })
    const arrive = (frame: Frame): void => this.arrived(to, frame, this.schedule.now)
    const task: Task = {
      wakeAt: OFF,
      run: (now) => {
        pipe.advance(now, arrive)
        this.schedule.wake(task, pipe.next())
      },
    }
    const direction = { from, to, pipe, task }
    this.directions.push(direction)
    this.out.set(keyOf(from), direction)
  }

  private into(direction: Direction, frame: Frame, now: Micros): void {
    const { pipe, task, from, to } = direction
    if (this.cutFrom.has(direction)) {
      const { bytes } = frame
      return this.observe({ _tag: "Lost", at: now, from: from.node, to: to.node, bytes, why: "link:cut" })
    }
    pipe.send(frame, now)
    this.schedule.wake(task, pipe.next())
  }

  private arrived(to: LinkEnd, frame: Frame, now: Micros): void {
    const bridge = this.switches.get(to.node)
    if (bridge === undefined) return this.receive(to.node, to.port, frame.bytes, now, frame.corrupted)
    const route = bridge.table.route(frame.bytes, to.port, now)
    if (route === "none") return
    for (let port = 0; port < bridge.ports; port++) {
      if (port === to.port || (route !== "every" && route !== port)) continue
      const direction = this.out.get(keyOf({ node: to.node, port }))
      if (direction !== undefined) this.into(direction, { ...frame }, now)
    }
  }
}

const keyOf = ({ node, port }: LinkEnd): string => `${node}:${port}`

/** Each direction has its own chance, so that a link added behind it changes nothing in it. */
const streamOf = (seed: number, index: number): number => new Random(seed, LINKS + index).word()

/** Streams of chance below are the hosts'. */
const LINKS = 2 ** 24
