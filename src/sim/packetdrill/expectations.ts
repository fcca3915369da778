import { type Micros, OFF } from "../../tcp/time.ts"
import { sameEndpoint } from "../../wire/address.ts"
import { FIN, PSH, RST } from "../../wire/tcpSegment.ts"
import type { IcmpAction, ScriptEvent, TcpAction } from "./ast.ts"
import { allowed, onTime, type Schedule, type Tolerance } from "./clock.ts"
import type { RunConfig } from "./config.ts"
import type { Connections } from "./connections.ts"
import { isSigned } from "./digests.ts"
import type { Failures } from "./failures.ts"
import type { Flow } from "./flow.ts"
import { compareIcmp, compareTcp, expectedLine, icmpLine, issOf, learn, seenLine } from "./match.ts"
import { cut, join, type Seen } from "./packet.ts"
import type { Passage } from "./passage.ts"
import { formatSeconds } from "./report.ts"
import type { Stage } from "./stage.ts"

/** Timers that may fire, after a packet was missed, in search of the one to show. */
const LOOK_AHEAD = 64

/** Holds what the stack sends against what the script expects. */
export class Expectations {
  constructor(
    private readonly config: RunConfig,
    private readonly stage: Stage,
    private readonly connections: Connections,
    private readonly passage: Passage,
    private readonly failures: Failures,
    private readonly tolerance: Tolerance,
  ) {}

  /** Waits for the next packet and compares it. `last`: the script's time of the event before. Answers that of this one. */
  expect(event: ScriptEvent, action: TcpAction | IcmpAction, schedule: Schedule, last: Micros): Micros {
    const limit = schedule.to + allowed(this.tolerance, schedule.to, last)
    const { sent } = this.stage.machine
    while (this.next() === undefined) {
      const next = this.passage.next()
      if (next === OFF || next > limit) return this.nothingCame(event, action, schedule)
      this.passage.step(next)
    }
    const first = sent.shift()
    if (first === undefined) return last
    const seen = this.withWhatFollows(first, action, limit)
    const flow = this.connections.flow()
    // What is compared first may be the SYN that our numbers are counted from.
    const differences = this.compare(seen, action, flow)
    const line = this.lineOf(seen, action, flow)
    const found = { packet: line, at: seen.at, why: seen.why }
    const expected = wanted(action)
    if (differences.length > 0) {
      const message = "the packet sent is not the one expected"
      this.failures.fail(event, "packet", message, { expected, seen: found, differences })
    }
    if (!onTime(schedule, seen.at, last, this.tolerance)) {
      const range = schedule.to === schedule.from ? "" : ` to ${formatSeconds(schedule.to)}`
      const message = `expected at ${formatSeconds(schedule.from)}${range}, sent at ${formatSeconds(seen.at)}`
      this.failures.fail(event, "timing", message, { expected, seen: found })
    }
    return schedule.open ? seen.at : schedule.from
  }

  /**
   * What has been sent, less what is of other connections than the one that the script is about: packetdrill
   * does not look at that. `--strict` does.
   */
  private next(): Seen | undefined {
    const { sent } = this.stage.machine
    while (!this.config.strict && sent[0] !== undefined && this.isForeign(sent[0])) sent.shift()
    return sent[0]
  }

  private isForeign({ body }: Seen): boolean {
    if (body._tag !== "Tcp") return false
    const flow = this.connections.chosen()
    if (flow === undefined) return false
    return !sameEndpoint(body.to, flow.remote) || !sameEndpoint(body.from, flow.local)
  }

  /** No packet may be left that nobody expected. */
  nothingLeft(event: ScriptEvent): void {
    const left = this.stage.made?.sent[0]
    if (left === undefined) return
    this.failures.fail(event, "left-over", "a packet was sent that the script does not expect", {
      seen: { packet: this.lineOf(left, undefined, this.connections.flow()), at: left.at, why: left.why },
    })
  }

  /**
   * A stack may cut what it sends at once as it likes: an expected packet stands for as many segments in a row as
   * make it up, unless the script is strict about them. What of a packet goes beyond it stays for the next one.
   */
  private withWhatFollows(first: Seen, action: TcpAction | IcmpAction, limit: Micros): Seen {
    if (action._tag === "Icmp" || this.config.strictSegments || isSigned(action)) return first
    const { sent } = this.stage.machine
    const push = (action.flags & PSH) !== 0
    let whole = this.upTo(first, action.length, push)
    while (whole.body._tag === "Tcp" && whole.body.length > 0 && whole.body.length < action.length) {
      const next = this.passage.next()
      if (sent.length === 0 && (next === OFF || next > limit)) return whole
      const following = this.next()
      if (following === undefined) {
        this.passage.step(next)
        continue
      }
      if (join(whole, following) === undefined) return whole
      sent.shift()
      const joined = join(whole, this.upTo(following, action.length - whole.body.length, push))
      if (joined === undefined || joined.length > action.length) {
        sent.unshift(following)
        return whole
      }
      whole = { ...whole, body: joined }
    }
    return whole
  }

  /** The packet's first `length` octets, where it has more and is cut there. */
  private upTo(seen: Seen, length: number, push: boolean): Seen {
    const parts = length > 0 ? cut(seen, length, push) : undefined
    if (parts === undefined) return seen
    this.stage.machine.sent.unshift(parts[1])
    return parts[0]
  }

  private compare(seen: Seen, action: TcpAction | IcmpAction, flow: Flow): ReadonlyArray<string> {
    const { body } = seen
    if (action._tag === "Icmp") {
      return body._tag === "Icmp" ? compareIcmp(action, seen, body, flow) : ["expected an ICMP message"]
    }
    if (body._tag !== "Tcp") return ["expected a TCP packet", ...seen.faults]
    if (this.isForeign(seen)) return ["the packet is not of the connection that the script is about"]
    const iss = issOf(action, body, flow)
    if (iss !== undefined) {
      flow.iss = iss
      if (flow.ended) flow.irs = flow.peerSyn
      flow.ended = false
      flow.peerClosed = false
    }
    const { ignorePsh, tsTick, tolerance } = this.config
    const md5Key = this.connections.md5KeyOf(flow)
    const differences = compareTcp(action, seen, body, flow, { ignorePsh, tsTick, tolerance, md5Key })
    learn(action, seen, body, flow)
    if ((body.flags & (FIN | RST)) !== 0) flow.ended = true
    return differences
  }

  private lineOf(seen: Seen, action: TcpAction | IcmpAction | undefined, flow: Flow): string {
    const { body } = seen
    if (body._tag === "Tcp") return seenLine(seen, body, action?._tag === "Tcp" ? action : undefined, flow)
    return body._tag === "Icmp" ? icmpLine(body) : `a packet of protocol ${body.protocol}`
  }

  /** No packet came in time: look on for the next one, so that the report can say what there would have been. */
  private nothingCame(event: ScriptEvent, action: TcpAction | IcmpAction, schedule: Schedule): never {
    const { machine } = this.stage
    const { sent } = machine
    const after = this.failures.view()
    for (let rounds = 0; sent.length === 0 && rounds < LOOK_AHEAD; rounds++) {
      const next = machine.next()
      if (next === OFF) break
      machine.advance(next)
    }
    const seen = sent[0]
    const until = Number.isFinite(schedule.to) ? ` by ${formatSeconds(schedule.to)}` : ""
    const found =
      seen === undefined
        ? undefined
        : { packet: this.lineOf(seen, action, this.connections.flow()), at: seen.at, why: seen.why }
    const message = `nothing was sent${until}${seen === undefined ? "" : "; the next packet left later"}`
    const expected = wanted(action)
    return this.failures.fail(event, seen === undefined ? "packet" : "timing", message, {
      expected,
      seen: found,
      after,
    })
  }
}

const wanted = (action: TcpAction | IcmpAction): string =>
  action._tag === "Tcp" ? expectedLine(action) : `icmp ${action.type} ${action.code ?? ""}`
