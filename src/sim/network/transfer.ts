import type { TcpSettings } from "../../tcp/settings.ts"
import { ipv4 } from "../../wire/address.ts"
import type { Impairment } from "../../wire/impairment/spec.ts"
import { type Micros, OFF } from "../../wire/time.ts"
import { bulk, type Receiving, type Sending, sink } from "./apps/bulk.ts"
import type { LinkReport } from "./fabric.ts"
import type { Observer } from "./log.ts"
import type { Machine } from "./machine.ts"
import type { HostSpec } from "./spec.ts"
import { World } from "./world.ts"

export const SENDER = "client"
export const RECEIVER = "server"
const PORT = 9
const SENDER_ADDRESS = "198.18.0.1/24"
const RECEIVER_ADDRESS = "198.18.0.2/24"
const TO = { address: ipv4(0xc6120002), port: PORT }

/** Bulk data from one host to another over one link: what most questions about loss and windows come down to. */
export interface TransferSpec {
  readonly seed: number
  readonly there: Impairment
  readonly back: Impairment
  /** Of both hosts. */
  readonly mtu: number
  /** Of both hosts' interfaces. */
  readonly coalesce?: Micros
  readonly flows: number
  /** Of each flow; Infinity: until the time is over. */
  readonly octets: number
  /** Between the beginnings of two flows. */
  readonly startEvery: Micros
  /** When to stop whatever is left; Infinity: when all flows are over. */
  readonly until: Micros
  /** Of the sender, and of the receiver. */
  readonly settings: Partial<TcpSettings>
  readonly receiverSettings?: Partial<TcpSettings>
  /** In place of the sender's host: one that is recorded, say. */
  readonly makeSender?: HostSpec["makeHost"]
}

export interface FlowResult {
  readonly octets: number
  /** From the call of connect to the receiver's end of data, or to the end of the run. */
  readonly duration: Micros
  /** Bits per second over that time. */
  readonly goodput: number
  readonly finished: boolean
  readonly intact: boolean
  readonly reason: string | undefined
}

export interface TransferResult {
  /** How long the run was. */
  readonly virtual: Micros
  readonly flows: ReadonlyArray<FlowResult>
  /** The sum of the flows' octets over the time of the longest. */
  readonly goodput: number
  /** Jain's index of fairness: 1 when all flows got the same, 1/n when one got all. */
  readonly fairness: number
  readonly counters: Readonly<Record<string, number>>
  readonly links: ReadonlyArray<LinkReport>
}

/** A transfer that can be run in steps. */
export class Transfer {
  readonly world: World
  readonly sender: Machine
  readonly sendings: Array<Sending> = []
  private readonly receivings: ReadonlyArray<Receiving>
  /** Octets that each flow had delivered by the end of each whole second. */
  readonly perSecond: Array<ReadonlyArray<number>> = []

  constructor(
    private readonly spec: TransferSpec,
    observers: ReadonlyArray<Observer> = [],
  ) {
    const { seed, there, back, mtu, coalesce = 0, flows, octets, startEvery, settings, receiverSettings = {} } = spec
    const made = spec.makeSender === undefined ? {} : { makeHost: spec.makeSender }
    this.world = new World(
      {
        seed,
        hosts: {
          [SENDER]: { interfaces: [{ addresses: [SENDER_ADDRESS], mtu, coalesce }], settings, ...made },
          [RECEIVER]: { interfaces: [{ addresses: [RECEIVER_ADDRESS], mtu, coalesce }], settings: receiverSettings },
        },
        links: [{ ends: [SENDER, RECEIVER], there, back }],
      },
      observers,
    )
    this.sender = this.world.machine(SENDER)
    this.receivings = sink(this.world.machine(RECEIVER), PORT)
    for (let flow = 0; flow < flows; flow++) {
      this.world.at(flow * startEvery, () => void this.sendings.push(bulk(this.sender, { to: TO, octets })))
    }
    this.world.schedule.runDue(0)
    this.everySecond()
  }

  get now(): Micros {
    return this.world.now
  }

  get delivered(): number {
    return this.receivings.reduce((sum, { octets }) => sum + octets, 0)
  }

  /** Nothing is left to do, or the time is over. */
  get isOver(): boolean {
    const { flows, until } = this.spec
    return (
      this.now >= until || (this.sendings.length === flows && this.sendings.every(({ closedAt }) => closedAt !== OFF))
    )
  }

  /** Runs on for a while; true when it is over. */
  step(duration: Micros): boolean {
    const { schedule } = this.world
    const end = Math.min(this.now + duration, this.spec.until)
    while (!this.isOver) {
      const next = schedule.next()
      if (next === OFF || next > end) {
        if (end !== Number.POSITIVE_INFINITY) schedule.runDue(end)
        return next === OFF || this.isOver
      }
      schedule.runDue(next)
    }
    return true
  }

  run(): TransferResult {
    while (!this.step(Number.POSITIVE_INFINITY)) {}
    return this.result()
  }

  result(): TransferResult {
    const flows = this.sendings.map((sending): FlowResult => {
      const receiving = this.receivingOf(sending)
      const ended = receiving === undefined || receiving.endedAt === OFF ? this.now : receiving.endedAt
      const octets = receiving?.octets ?? 0
      const duration = ended - sending.startedAt
      return {
        octets,
        duration,
        goodput: rate(octets, duration),
        finished: receiving !== undefined && receiving.endedAt !== OFF,
        intact: receiving?.intact ?? true,
        reason: sending.reason,
      }
    })
    return {
      virtual: this.now,
      flows,
      goodput: rate(
        flows.reduce((sum, { octets }) => sum + octets, 0),
        Math.max(0, ...flows.map(({ duration }) => duration)),
      ),
      fairness: jain(flows.map(({ goodput }) => goodput)),
      counters: this.sender.host.counters,
      links: this.world.fabric.reports(),
    }
  }

  private receivingOf({ localPort }: Sending): Receiving | undefined {
    return this.receivings.find(({ from }) => from === localPort)
  }

  private everySecond(): void {
    if (this.spec.until === Number.POSITIVE_INFINITY) return
    const tick = (): void => {
      this.perSecond.push(this.sendings.map((sending) => this.receivingOf(sending)?.octets ?? 0))
      if (this.now < this.spec.until) this.world.at(this.now + SECOND, tick)
    }
    this.world.at(SECOND, tick)
  }
}

const SECOND: Micros = 1_000_000

const rate = (octets: number, duration: Micros): number => (duration > 0 ? (octets * 8_000_000) / duration : 0)

/** Jain, Chiu and Hawe, 1984. */
export const jain = (shares: ReadonlyArray<number>): number => {
  const sum = shares.reduce((total, share) => total + share, 0)
  const squares = shares.reduce((total, share) => total + share * share, 0)
  return squares === 0 ? 1 : (sum * sum) / (shares.length * squares)
}
