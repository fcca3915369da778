import type { SocketStatus } from "../../host/types.ts"
import { distance } from "../../tcp/seq.ts"
import type { Micros } from "../../tcp/time.ts"
import { FIN, RST, SYN } from "../../wire/tcpSegment.ts"
import { type Environment, run } from "./assert/evaluate.ts"
import { parseCode } from "./assert/syntax.ts"
import type { CodeAction, CommandAction, Script, ScriptEvent, TcpAction } from "./ast.ts"
import { CallInProgress } from "./callInProgress.ts"
import type { CallContext } from "./calls/context.ts"
import { allowed, type Schedule, scheduleOf, type Tolerance } from "./clock.ts"
import { configure, defaultRunOptions, type RunConfig, type RunOptions } from "./config.ts"
import { Connections } from "./connections.ts"
import { encodeIcmp, encodeTcp, piecesOf } from "./encode.ts"
import { Expectations } from "./expectations.ts"
import { Failed, Failures, refused } from "./failures.ts"
import { type Flow, toWire } from "./flow.ts"
import { type MakeMachine, makeVirtualMachine } from "./machine.ts"
import { parseScript } from "./parser.ts"
import { Passage } from "./passage.ts"
import { formatSeconds, type Outcome } from "./report.ts"
import { ScriptError } from "./scriptError.ts"
import { Stage } from "./stage.ts"
import { SYMBOLS } from "./symbols.ts"

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

const AFTER_FIN: ReadonlyArray<string> = ["CLOSE-WAIT", "CLOSING", "LAST-ACK", "TIME-WAIT"]

/** The peer's FIN, and all before it, has arrived. */
const hasFinOf = ({ state, closed }: SocketStatus): boolean => AFTER_FIN.includes(state) || closed?.reason === "done"

/** Carries out a script's events in turn. */
class Runner {
  private readonly environment: Environment = new Map()
  private readonly stage: Stage
  private readonly connections: Connections
  private readonly failures: Failures
  private readonly tolerance: Tolerance
  private readonly calls: CallInProgress
  private readonly passage: Passage
  private readonly expectations: Expectations
  /** The script's time of the event before. */
  private last: Micros = 0
  /** A command has made the script late by itself. */
  private slept = false

  constructor(
    private readonly script: Script,
    source: string,
    private readonly config: RunConfig,
    private readonly notes: Array<string>,
    makeMachine: MakeMachine,
  ) {
    const stage = new Stage(config, makeMachine, notes)
    this.stage = stage
    this.connections = new Connections(config, stage)
    this.failures = new Failures(source, stage, this.connections)
    this.tolerance = { micros: config.tolerance, percent: config.tolerancePercent }
    const calls = new CallInProgress(stage, this.failures, this.tolerance, config.definitions)
    this.calls = calls
    this.passage = new Passage(
      stage,
      () => calls.deadline,
      () => calls.poll(),
    )
    this.expectations = new Expectations(config, stage, this.connections, this.passage, this.failures, this.tolerance)
  }

  run(): Outcome {
    try {
      for (const command of this.script.setup) this.command(command)
      for (const event of this.script.events) this.event(event)
      this.calls.await(this.passage)
      const lastEvent = this.script.events.at(-1)
      if (this.config.strict && lastEvent !== undefined) this.expectations.nothingLeft(lastEvent)
      return { _tag: "Passed", notes: this.notes }
    } catch (error) {
      if (error instanceof Failed) return { _tag: "Failed", failure: error.failure, notes: this.notes }
      if (error instanceof ScriptError) throw error
      return { _tag: "Failed", failure: this.failures.crash(error), notes: this.notes }
    }
  }

  private event(event: ScriptEvent): void {
    const { action } = event
    const schedule = scheduleOf(event.time, this.last)
    this.failures.begin(event)
    if ((action._tag === "Tcp" || action._tag === "Icmp") && action.direction === "outbound") {
      this.last = this.expectations.expect(event, action, schedule, this.last)
      return
    }
    this.last = this.waitUntil(event, schedule)
    switch (action._tag) {
      case "Tcp":
        this.injectTcp(action)
        break
      case "Icmp":
        this.stage.machine.inject(encodeIcmp(action, this.connections.flow()))
        break
      case "Call":
        this.calls.begin(event, action, this.last, this.callContext, this.passage)
        break
      case "Command": {
        const problem = this.command(action)
        if (problem !== undefined) this.failures.fail(event, "command", problem, {})
        break
      }
      case "Code":
        this.code(event, action)
        break
    }
    this.calls.poll()
  }

  /** Lets the machine's time come to the event's. Answers the script's time for it. */
  private waitUntil(event: ScriptEvent, schedule: Schedule): Micros {
    const { from } = schedule
    this.passage.advanceTo(from)
    const { now } = this.stage.machine
    if (now - from > allowed(this.tolerance, from, this.last)) {
      if (this.slept && event.time._tag === "Relative") return now
      this.failures.fail(event, "timing", `due at ${formatSeconds(from)}, but it is ${formatSeconds(now)}`, {})
    }
    this.slept = false
    return from
  }

  private injectTcp(action: TcpAction): void {
    const flow = this.connections.choose()
    if ((action.flags & SYN) !== 0) {
      flow.peerSyn = action.seq.value
      flow.irs ??= action.seq.value
    }
    if ((action.flags & (FIN | RST)) !== 0) flow.ended = true
    const key = this.connections.md5KeyOf(flow)
    // Of what is in order and in the window the segments count, and one ACK answers them; else it is the one packet that it is.
    // Where memory is accounted it is always one.
    const joined = this.stage.machine.settings.tcpRcvbufTruesize || !this.isNext(action, flow)
    const pieces = joined ? [action] : piecesOf(action, this.config.mss)
    this.stage.machine.inject(...pieces.map((piece) => encodeTcp(piece, flow, key)))
    const status = this.connections.status()
    if (status !== undefined && hasFinOf(status)) flow.peerClosed = true
  }

  private isNext({ seq, flags, length }: TcpAction, flow: Flow): boolean {
    const tcb = this.connections.status()?.tcb
    if (tcb === undefined || !("rcv" in tcb)) return true
    const { nxt, edge } = tcb.rcv
    return toWire(flow, "peers", seq, (flags & SYN) !== 0) === nxt && length <= distance(edge, nxt)
  }

  private get callContext(): CallContext {
    const { connections, stage } = this
    return {
      machine: stage.machine,
      config: this.config,
      files: stage.files,
      listening: (local) => connections.listening(local),
      concerns: (flow) => connections.concerns(flow),
      flowOf: (local, remote) => connections.flowOf(local, remote),
    }
  }

  private command(action: CommandAction): string | undefined {
    return this.stage.run(action, this.connections.none, (duration) => {
      this.passage.advanceTo(this.stage.machine.now + duration)
      this.slept = true
    })
  }

  private code(event: ScriptEvent, action: CodeAction): void {
    const status = this.connections.status()
    const info = status === undefined ? new Map<string, number>() : this.stage.machine.info(status)
    const failure = run(parseCode(action.text, action.at), this.environment, (name) => info.get(name) ?? SYMBOLS[name])
    if (failure === undefined) return
    const differences = [failure.detail]
    this.failures.fail({ ...event, at: failure.at }, "assertion", `assert ${failure.text}`, { differences })
  }
}
