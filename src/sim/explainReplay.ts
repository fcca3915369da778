import { encodeSegment } from "../host/encode.ts"
import type { HostConfig, HostEffect } from "../host/types.ts"
import type { Micros } from "../wire/time.ts"
import { describeFrame } from "./network/packet.ts"
import { Port } from "./network/port.ts"
import type { Recorded } from "./replay.ts"

/** A recording's calls in words: what came, what the application asked for, what was sent and why. */
export class Explainer {
  private now: Micros = 0
  private readonly lines: Array<string> = []
  private readonly ports: ReadonlyArray<Port>

  constructor(private readonly config: HostConfig) {
    this.ports = config.interfaces.map(
      ({ mac }) => new Port(mac, (bytes, why) => this.say(`sends ${describeFrame(bytes)} (${why})`)),
    )
  }

  /** Lines for one call, and for the effects that it handed over. */
  explain(step: Recorded, effects: ReadonlyArray<HostEffect>): ReadonlyArray<string> {
    this.lines.length = 0
    switch (step.call) {
      case "frame":
        this.now = step.now
        this.say(`gets ${describeFrame(step.bytes)}`)
        break
      case "take":
        for (const effect of effects) this.effect(effect)
        break
      case "advance":
      case "flush":
        this.now = Number(step.arguments[0])
        break
      default:
        this.say(`${step.call}(${step.arguments.map(brief).join(", ")}): ${step.result}`)
    }
    return this.lines
  }

  private effect(effect: HostEffect): void {
    switch (effect._tag) {
      case "SendSegment": {
        const port = this.ports[effect.interface]
        if (port === undefined) return
        port.why = effect.segment.why
        encodeSegment(port, this.config.settings.profile.optionLayout, effect)
        return
      }
      case "SendFrame":
        return this.say(`sends ${describeFrame(effect.bytes)} (${effect.why})`)
      case "SocketEvent":
        return this.say(`tells socket ${effect.socket}: ${effect.event}`)
      case "Dropped":
        return this.say(`drops a packet (${effect.why})`)
    }
  }

  private say(what: string): void {
    this.lines.push(`${(this.now / 1_000_000).toFixed(6)} ${what}`)
  }
}

const brief = (argument: unknown): string => {
  if (argument instanceof Uint8Array) return `${argument.length} octets`
  if (typeof argument === "object" && argument !== null) return `{${Object.keys(argument).join(", ")}}`
  return String(argument)
}
