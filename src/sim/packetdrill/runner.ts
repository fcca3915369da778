import type { SocketStatus } from "../../host/types.ts"
import type { TcpSettings } from "../../tcp/settings.ts"
import type { Tcb } from "../../tcp/tcb.ts"
import { type Micros, OFF } from "../../tcp/time.ts"
import { type Endpoint, sameEndpoint } from "../../wire/address.ts"
import { FIN, RST, SYN } from "../../wire/tcpSegment.ts"
import { type Environment, run } from "./assert/evaluate.ts"
import { parseCode } from "./assert/syntax.ts"
import type {
  CallAction,
  CodeAction,
  CommandAction,
  IcmpAction,
  Position,
  Script,
  ScriptEvent,
  TcpAction,
} from "./ast.ts"
import type { Attempt, CallContext, CallResult } from "./calls/context.ts"
import { begin } from "./calls/table.ts"
import { allowed, onTime, type Schedule, scheduleOf } from "./clock.ts"
import { runCommand } from "./commands.ts"
import { configure, defaultRunOptions, type RunConfig, type RunOptions } from "./config.ts"
import { ownCookies } from "./cookies.ts"
import { encodeIcmp, encodeTcp } from "./encode.ts"
import type { File } from "./files.ts"
import { type Flow, makeFlow } from "./flow.ts"
import { type Machine, type MakeMachine, makeVirtualMachine } from "./machine.ts"
import { compareIcmp, compareTcp, expectedLine, icmpLine, issOf, learn, seenLine } from "./match.ts"
import { join, type Seen } from "./packet.ts"
import { parseScript } from "./parser.ts"
import { type Failure, formatSeconds, type Outcome, type TcbView, viewTcb } from "./report.ts"
import { ScriptError } from "./scriptError.ts"
import { SYMBOLS } from "./symbols.ts"
import { isEllipsis, numberOf } from "./values.ts"

/** Runs a script against a machine of its own. The same text and options give the same outcome, always. */
export const runScript = (
  source: string,
  options: RunOptions = defaultRunOptions,
  makeMachine: MakeMachine = makeVirtualMachine,
): Outcome => {
  const script = parseScript(source, options.definitions)
  return script instanceof ScriptError ? refused(source, script, []) : runParsed(script, source, options, makeMachine)
}

/** As `runScript`, for a script that has been read; `source` is for the report's lines. */
export const runParsed = (
  script: Script,
  source: string,
  options: RunOptions,
  makeMachine: MakeMachine = makeVirtualMachine,
): Outcome => {
  const notes: Array<string> = []
  try {
    return new Runner(script, source, configure(script, options), notes, makeMachine).run()
  } catch (error) {
    if (error instanceof ScriptError) return refused(source, error, notes)
    throw error
  }
}

const refused = (source: string, error: ScriptError, notes: ReadonlyArray<string>): Outcome => {
  const { at, message, kind } = error
  if (kind === "unsupported") return { _tag: "Unsupported", at, what: message, notes }
  const line = source.split("\n")[at.line - 1] ?? ""
  return { _tag: "Failed", failure: { ...NOTHING, at, line, kind: "syntax", message }, notes }
}

const NOTHING = {
  expected: undefined,
  seen: undefined,
  differences: [],
  before: undefined,
  after: undefined,
  drops: [],
}

/** Unwinds to `run` with what went wrong. */
class Failed extends Error {
  readonly failure: Failure

  constructor(failure: Failure) {
    super(failure.message)
    this.failure = failure
  }
}

/** A blocking call that the script goes on beside. */
interface Pending {
  readonly event: ScriptEvent
  readonly action: CallAction
  readonly attempt: Attempt
  readonly schedule: Schedule
  readonly last: Micros
}

/** Which packets the script means: those of the next connection to a listener, or of one connection. */
type UnderTest =
  | { readonly _tag: "Nothing" }
  | { readonly _tag: "Listener"; readonly local: Endpoint }
  | { readonly _tag: "Connection"; readonly flow: Flow }

/** Where remote ports begin; packetdrill takes ephemeral ones too. */
const FIRST_REMOTE_PORT = 40_000

/** Largest payload in one packet of a machine with segmentation offload: Linux's 64 KiB less headers. */
const BURST = 65_160

class Runner {
  private readonly files = new Map<number, File>()
  private readonly flows: Array<Flow> = []
  private readonly environment: Environment = new Map()
  private settings: TcpSettings
  private burst: number
  private start: Micros = 0
  private made: Machine | undefined
  private underTest: UnderTest = { _tag: "Nothing" }
  private pending: Pending | undefined
  /** The script's time of the event before. */
  private last: Micros = 0
  /** A command has made the script late by itself. */
  private slept = false
  /** The event that is being carried out. */
  private current: Position = { line: 1, column: 1 }
  private before: Tcb | undefined
  private dropsBefore = 0

  constructor(
    private readonly script: Script,
    private readonly source: string,
    private readonly config: RunConfig,
    private readonly notes: Array<string>,
    private readonly makeMachine: MakeMachine,
  ) {
    this.settings = config.settings
    this.burst = config.settings.profile.name === "linux" ? BURST : 0
  }

  run(): Outcome {
    try {
      for (const command of this.script.setup) this.command(command)
      for (const event of this.script.events) this.event(event)
      this.awaitPending()
      this.end()
      return { _tag: "Passed", notes: this.notes }
    } catch (error) {
      if (error instanceof Failed) return { _tag: "Failed", failure: error.failure, notes: this.notes }
      if (error instanceof ScriptError) throw error
      return { _tag: "Failed", failure: this.failure("crash", describe(error), {}), notes: this.notes }
    }
  }

  private get machine(): Machine {
    this.made ??= this.makeMachine({
      address: this.config.local,
      mtu: this.config.mtu,
      settings: this.settings,
      burst: this.burst,
      start: this.start,
    })
    return this.made
  }

  private event(event: ScriptEvent): void {
    const { action } = event
    this.current = event.at
    const schedule = scheduleOf(event.time, this.last)
    this.before = this.status()?.tcb
    this.dropsBefore = this.made?.drops.length ?? 0
    if ((action._tag === "Tcp" || action._tag === "Icmp") && action.direction === "outbound") {
      this.expectPacket(event, action, schedule)
      return
    }
    const at = this.waitUntil(event, schedule)
    this.last = at
    switch (action._tag) {
      case "Tcp":
        this.injectTcp(action)
        break
      case "Icmp":
        this.machine.inject(encodeIcmp(action, this.flow()))
        break
      case "Call":
        this.call(event, action)
        break
      case "Command": {
        const problem = this.command(action)
        if (problem !== undefined) this.fail(event, "command", problem, {})
        break
      }
      case "Code":
        this.code(event, action)
        break
    }
    this.pollPending()
  }

  /** Lets the machine's time come to the event's. Answers the script's time for it. */
  private waitUntil(event: ScriptEvent, schedule: Schedule): Micros {
    const { from } = schedule
    this.advanceTo(from)
    const late = this.machine.now - from
    if (late > allowed(this.tolerance, from, this.last)) {
      if (this.slept && event.time._tag === "Relative") return this.machine.now
      this.fail(event, "timing", `due at ${formatSeconds(from)}, but it is ${formatSeconds(this.machine.now)}`, {})
    }
    this.slept = false
    return from
  }

  private get tolerance(): { readonly micros: number; readonly percent: number } {
    return { micros: this.config.tolerance, percent: this.config.tolerancePercent }
  }

  /** Time passes, timers fire, a blocking call may return. */
  private advanceTo(at: Micros): void {
    for (let next = this.next(); next !== OFF && next <= at; next = this.next()) this.step(next)
    this.machine.skipTo(at)
  }

  private step(at: Micros): void {
    this.machine.advance(at)
    this.pollPending()
  }

  /** When something happens by itself: a timer of the stack or a call's time-out. */
  private next(): Micros {
    const stack = this.machine.next()
    const deadline = this.pending?.attempt.deadline ?? OFF
    if (deadline === OFF || deadline < this.machine.now) return stack
    return stack === OFF ? deadline : Math.min(stack, deadline)
  }

  private injectTcp(action: TcpAction): void {
    if (this.underTest._tag !== "Connection") this.underTest = { _tag: "Connection", flow: this.newFlow() }
    const { flow } = this.underTest
    if ((action.flags & SYN) !== 0) {
      flow.peerSyn = action.seq.value
      flow.irs ??= action.seq.value
    }
    if ((action.flags & FIN) !== 0) flow.peerClosed = true
    if ((action.flags & (FIN | RST)) !== 0) flow.ended = true
    this.machine.inject(encodeTcp(action, flow))
  }

  /** A connection that the script begins with an inbound packet. */
  private newFlow(): Flow {
    const local =
      this.underTest._tag === "Listener"
        ? this.underTest.local
        : { address: this.config.local, port: this.config.bindPort }
    return this.flowOf(local, { address: this.config.remote, port: FIRST_REMOTE_PORT + this.flows.length })
  }

  private flowOf(local: Endpoint, remote: Endpoint): Flow {
    const known = this.flows.find((flow) => sameEndpoint(flow.remote, remote) && flow.local.port === local.port)
    if (known !== undefined) return known
    const cookie = this.machine.fastOpenCookie(local.address, remote.address)
    const cookies = new Map([...ownCookies(this.config.definitions)].map((digits) => [digits, cookie] as const))
    const flow = makeFlow(local, remote, cookies)
    this.flows.push(flow)
    return flow
  }

  private flow(): Flow {
    return this.underTest._tag === "Connection" ? this.underTest.flow : this.newFlow()
  }

  private expectPacket(event: ScriptEvent, action: TcpAction | IcmpAction, schedule: Schedule): void {
    const limit = schedule.to + allowed(this.tolerance, schedule.to, this.last)
    const { sent } = this.machine
    while (sent.length === 0) {
      const next = this.next()
      if (next === OFF || next > limit) return this.nothingCame(event, action, schedule)
      this.step(next)
    }
    const first = sent.shift()
    if (first === undefined) return
    const seen = this.withWhatFollows(first, action, limit)
    const flow = this.flow()
    // What is compared first may be the SYN that our numbers are counted from.
    const differences = this.compare(seen, action, flow)
    const line = this.lineOf(seen, action, flow)
    const found = { packet: line, at: seen.at, why: seen.why }
    const expected = action._tag === "Tcp" ? expectedLine(action) : `icmp ${action.type} ${action.code ?? ""}`
    if (differences.length > 0) {
      this.fail(event, "packet", "the packet sent is not the one expected", { expected, seen: found, differences })
    }
    if (!onTime(schedule, seen.at, this.last, this.tolerance)) {
      const range = schedule.to === schedule.from ? "" : ` to ${formatSeconds(schedule.to)}`
      const message = `expected at ${formatSeconds(schedule.from)}${range}, sent at ${formatSeconds(seen.at)}`
      this.fail(event, "timing", message, { expected, seen: found })
    }
    this.last = schedule.open ? seen.at : schedule.from
  }

  /**
   * A stack may cut what it sends at once as it likes: an expected packet stands for as many in a row as make it
   * up, unless the script is strict about segments.
   */
  private withWhatFollows(first: Seen, action: TcpAction | IcmpAction, limit: Micros): Seen {
    if (action._tag === "Icmp" || this.config.strictSegments) return first
    const { sent } = this.machine
    let whole = first
    while (whole.body._tag === "Tcp" && whole.body.length > 0 && whole.body.length < action.length) {
      const next = this.next()
      if (sent.length === 0 && (next === OFF || next > limit)) return whole
      const [following] = sent
      if (following === undefined) {
        this.step(next)
        continue
      }
      const joined = join(whole, following)
      if (joined === undefined || joined.length > action.length) return whole
      sent.shift()
      whole = { ...whole, body: joined }
    }
    return whole
  }

  private compare(seen: Seen, action: TcpAction | IcmpAction, flow: Flow): ReadonlyArray<string> {
    const { body } = seen
    if (action._tag === "Icmp") {
      return body._tag === "Icmp" ? compareIcmp(action, seen, body, flow) : ["expected an ICMP message"]
    }
    if (body._tag !== "Tcp") return ["expected a TCP packet", ...seen.faults]
    if (!sameEndpoint(body.to, flow.remote) || !sameEndpoint(body.from, flow.local)) {
      return ["the packet is not of the connection that the script is about"]
    }
    const iss = issOf(action, body, flow)
    if (iss !== undefined) {
      flow.iss = iss
      if (flow.ended) flow.irs = flow.peerSyn
      flow.ended = false
      flow.peerClosed = false
    }
    const rules = { ignorePsh: this.config.ignorePsh, tsTick: this.config.tsTick, tolerance: this.config.tolerance }
    const differences = compareTcp(action, seen, body, flow, rules)
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
    const { sent } = this.machine
    const expected = action._tag === "Tcp" ? expectedLine(action) : `icmp ${action.type} ${action.code ?? ""}`
    const after = this.view()
    for (let rounds = 0; sent.length === 0 && rounds < LOOK_AHEAD; rounds++) {
      const next = this.machine.next()
      if (next === OFF) break
      this.machine.advance(next)
    }
    const seen = sent[0]
    const until = Number.isFinite(schedule.to) ? ` by ${formatSeconds(schedule.to)}` : ""
    const found =
      seen === undefined ? undefined : { packet: this.lineOf(seen, action, this.flow()), at: seen.at, why: seen.why }
    const message = `nothing was sent${until}${seen === undefined ? "" : "; the next packet left later"}`
    return this.fail(event, seen === undefined ? "packet" : "timing", message, { expected, seen: found, after })
  }

  private call(event: ScriptEvent, action: CallAction): void {
    if (this.pending !== undefined) this.awaitPending()
    const attempt = begin(this.calls, action)
    const schedule = this.endOf(event, action)
    this.pending = { event, action, attempt, schedule, last: this.last }
    this.pollPending()
    // Without "..." the script waits for the call, however long it takes.
    if (action.until === undefined) this.awaitPending()
  }

  private endOf(event: ScriptEvent, action: CallAction): Schedule {
    if (action.until === undefined) return { from: this.last, to: Number.POSITIVE_INFINITY, any: true, open: true }
    const at = event.time._tag === "Relative" ? this.last - event.time.after + action.until : action.until
    return { from: at, to: at, any: false, open: false }
  }

  private pollPending(): void {
    const { pending } = this
    if (pending === undefined) return
    const result = pending.attempt.poll()
    if (result === "blocks") return
    this.pending = undefined
    this.returned(pending, result)
  }

  private returned(pending: Pending, result: CallResult): void {
    const { event, action, schedule, last } = pending
    const wanted = isEllipsis(action.result) ? undefined : numberOf(action.result, this.config.definitions, "a result")
    const got = result.errno === undefined ? String(result.value) : `-1 ${result.errno}`
    const problems = [...result.problems]
    if (wanted !== undefined) {
      const errnoDiffers = action.errno !== undefined && !sameErrno(action.errno, result.errno)
      if (wanted !== result.value || errnoDiffers) {
        problems.unshift(`expected ${wanted}${action.errno === undefined ? "" : ` ${action.errno}`}, got ${got}`)
      }
    }
    if (problems.length > 0) {
      this.fail(event, "call", `${action.name} returned ${got}`, { differences: problems })
    }
    if (!onTime(schedule, this.machine.now, last, this.tolerance)) {
      const message = `${action.name} was to return at ${formatSeconds(schedule.from)} and did at ${formatSeconds(this.machine.now)}`
      this.fail(event, "timing", message, {})
    }
  }

  private awaitPending(): void {
    for (let pending = this.pending; pending !== undefined; pending = this.pending) {
      const { schedule, event, action, last } = pending
      const limit = schedule.to + allowed(this.tolerance, schedule.to, last)
      const next = this.next()
      if (next === OFF || next > limit) {
        const when = Number.isFinite(limit) ? ` by ${formatSeconds(schedule.to)}` : ""
        this.fail(event, "call", `${action.name} has not returned${when}`, {})
      }
      this.step(next)
    }
  }

  private get calls(): CallContext {
    return {
      machine: this.machine,
      config: this.config,
      files: this.files,
      listening: (local) => {
        this.underTest = { _tag: "Listener", local }
      },
      concerns: (flow) => {
        this.underTest = { _tag: "Connection", flow }
      },
      flowOf: (local, remote) => this.flowOf(local, remote),
    }
  }

  private command(action: CommandAction): string | undefined {
    return runCommand(
      {
        settings: () => this.settings,
        configure: (settings) => {
          if (!this.startAgain() && this.made?.configure(settings) === false) return false
          this.settings = settings
          return true
        },
        offload: (on) => {
          const burst = on ? BURST : 0
          if (burst !== this.burst && !this.startAgain()) return false
          this.burst = burst
          return true
        },
        sleep: (duration) => {
          this.advanceTo(this.machine.now + duration)
          this.slept = true
        },
        sockets: () => this.made?.host.sockets() ?? [],
        drop: ({ socket }) => {
          this.machine.host.abort(socket, this.machine.now)
          this.machine.settle()
        },
        ignored: (what) => this.notes.push(`without effect: ${what}`),
      },
      action,
    )
  }

  /** A machine that nothing has happened to is as good as none: the next one is made with other settings. */
  private startAgain(): boolean {
    if (this.made === undefined) return true
    if (this.flows.length > 0 || this.files.size > 0 || this.made.host.sockets().length > 0) return false
    this.start = this.made.now
    this.made = undefined
    return true
  }

  private code(event: ScriptEvent, action: CodeAction): void {
    const status = this.status()
    const info = status === undefined ? new Map<string, number>() : this.machine.info(status)
    const failure = run(parseCode(action.text, action.at), this.environment, (name) => info.get(name) ?? SYMBOLS[name])
    if (failure === undefined) return
    this.fail({ ...event, at: failure.at }, "assertion", `assert ${failure.text}`, { differences: [failure.detail] })
  }

  private status(): SocketStatus | undefined {
    if (this.made === undefined) return undefined
    if (this.underTest._tag === "Connection") return this.made.statusOf(this.underTest.flow)
    if (this.underTest._tag === "Nothing") return undefined
    const { port } = this.underTest.local
    return this.made.host.sockets().find((socket) => socket.remote === undefined && socket.local.port === port)
  }

  private view(tcb: Tcb | undefined = this.status()?.tcb): TcbView | undefined {
    const flow = this.underTest._tag === "Connection" ? this.underTest.flow : undefined
    return tcb === undefined ? undefined : viewTcb(tcb, flow)
  }

  private end(): void {
    const left = this.made?.sent[0]
    const event = this.script.events.at(-1)
    if (!this.config.strict || left === undefined || event === undefined) return
    this.fail(event, "left-over", "a packet was sent that the script does not expect", {
      seen: { packet: this.lineOf(left, undefined, this.flow()), at: left.at, why: left.why },
    })
  }

  private fail(event: ScriptEvent, kind: Failure["kind"], message: string, more: Partial<Failure>): never {
    throw new Failed(this.failure(kind, message, { after: this.view(), ...more, at: event.at }))
  }

  private failure(kind: Failure["kind"], message: string, more: Partial<Failure>): Failure {
    const at = more.at ?? this.current
    return {
      ...NOTHING,
      before: this.before === undefined ? undefined : this.view(this.before),
      drops: (this.made?.drops.slice(this.dropsBefore) ?? []).map((drop) => `${drop.why} at ${formatSeconds(drop.at)}`),
      ...more,
      at,
      line: this.source.split("\n")[at.line - 1] ?? "",
      kind,
      message,
    }
  }
}

/** A fault of the stack itself, with the place where it happened. */
const describe = (error: unknown): string =>
  error instanceof Error ? `${error.message}${/\n\s+at .*/.exec(error.stack ?? "")?.[0] ?? ""}` : String(error)

/** Timers that may fire, after a packet was missed, in search of the one to show. */
const LOOK_AHEAD = 64

const sameErrno = (expected: string, actual: string | undefined): boolean =>
  expected === actual ||
  (actual !== undefined && SYMBOLS[expected] !== undefined && SYMBOLS[expected] === SYMBOLS[actual])
