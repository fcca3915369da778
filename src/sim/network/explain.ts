import type { Micros } from "../../wire/time.ts"
import type { LogEvent } from "./log.ts"
import { describeFrame, tcpIn } from "./packet.ts"

/** "12.345678" */
const seconds = (at: Micros): string => (at / 1_000_000).toFixed(6)

/** An event in a line: when, where, what, and the rule that decided it. */
export const explain = (event: LogEvent): string => {
  const at = seconds(event.at)
  switch (event._tag) {
    case "Sent":
      return `${at} ${event.host} sends ${describeFrame(event.bytes)}${event.why === "" ? "" : ` (${event.why})`}`
    case "Arrived":
      return `${at} ${event.host} gets ${describeFrame(event.bytes)}`
    case "Lost":
      return `${at} ${event.from} to ${event.to}: lost ${describeFrame(event.bytes)} (${event.why})`
    case "Marked":
      return `${at} ${event.from} to ${event.to}: CE set on ${describeFrame(event.bytes)}`
    case "Happened":
      return `${at} ${event.host} socket ${event.socket}: ${event.event}`
    case "Thrown":
      return `${at} ${event.host} drops a packet (${event.why})`
  }
}

/** Whether an event is of a connection that has this port at one of its ends; frames only. */
export const hasPort =
  (port: number) =>
  (event: LogEvent): boolean => {
    if (!("bytes" in event)) return false
    const segment = tcpIn(event.bytes)
    return segment !== undefined && (segment.sourcePort === port || segment.destinationPort === port)
  }
