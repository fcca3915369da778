import { Effect, Metric } from "effect"
import { Stack, type StackService } from "./stack.ts"

/** A stack's work so far, and what it holds now. */
export interface StackStats {
  /** Connections that an application holds. */
  readonly connections: number
  /** Octets of frames. */
  readonly bytesIn: number
  readonly bytesOut: number
  readonly framesIn: number
  readonly framesOut: number
  /** TCP segments, each piece of an uncut or joined one counting. */
  readonly segmentsIn: number
  readonly segmentsOut: number
  readonly retransmits: number
}

export const stats = (stack: StackService): StackStats => {
  const total = { bytesIn: 0, bytesOut: 0, framesIn: 0, framesOut: 0 }
  for (const { counters } of stack.devices) {
    total.bytesIn += counters.rxBytes
    total.bytesOut += counters.txBytes
    total.framesIn += counters.rxPackets
    total.framesOut += counters.txPackets
  }
  return {
    connections: stack.connections(),
    ...total,
    segmentsIn: (stack.tcpCounters["InSegs"] ?? 0) + stack.counters.joined,
    segmentsOut: stack.counters.segmentsOut,
    retransmits: stack.tcpCounters["RetransSegs"] ?? 0,
  }
}

/**
 * Brings the gauges `netfold_*` up to date: TCP's counters under netstat's names, the devices' by
 * device, drops by reason. On demand, because a metric for every segment would cost more than the segment.
 */
export const update: Effect.Effect<void, never, Stack> = Effect.map(Stack, (stack) => {
  const set = (name: string, value: number, tags: Readonly<Record<string, string>> = {}): void => {
    let gauge = Metric.gauge(`netfold_${name}`)
    for (const [key, tag] of Object.entries(tags)) gauge = Metric.tagged(gauge, key, tag)
    gauge.unsafeUpdate(value, [])
  }
  set("connections", stack.connections())
  set("turns", stack.counters.turns)
  set("batches", stack.counters.batches)
  for (const [counter, value] of Object.entries(stack.tcpCounters)) {
    set(/^(Ip|Icmp|Udp)/.test(counter) ? counter : `tcp_${counter}`, value)
  }
  for (const [why, value] of stack.counters.drops) set("drops", value, { why })
  for (const { name, counters } of stack.devices) {
    for (const [counter, value] of Object.entries(counters)) set(`device_${counter}`, value, { device: name })
  }
})
