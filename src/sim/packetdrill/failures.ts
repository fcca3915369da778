import type { Tcb } from "../../tcp/tcb.ts"
import type { Position, ScriptEvent } from "./ast.ts"
import type { Connections } from "./connections.ts"
import { type Failure, formatSeconds, type Outcome, type TcbView, viewTcb } from "./report.ts"
import type { ScriptError } from "./scriptError.ts"
import type { Stage } from "./stage.ts"

/** Unwinds to where the script was begun, with what went wrong. */
export class Failed extends Error {
  readonly failure: Failure

  constructor(failure: Failure) {
    super(failure.message)
    this.failure = failure
  }
}

const NOTHING = {
  expected: undefined,
  seen: undefined,
  differences: [],
  before: undefined,
  after: undefined,
  drops: [],
}

const lineAt = (source: string, at: Position): string => source.split("\n")[at.line - 1] ?? ""

/** What became of a script that cannot be read, or asks for what is not there. */
export const refused = (source: string, error: ScriptError, notes: ReadonlyArray<string>): Outcome => {
  const { at, message, kind } = error
  if (kind === "unsupported") return { _tag: "Unsupported", at, what: message, notes }
  return { _tag: "Failed", failure: { ...NOTHING, at, line: lineAt(source, at), kind: "syntax", message }, notes }
}

/** Writes failures down: the event that is being carried out, and the connection before and after it. */
export class Failures {
  private current: Position = { line: 1, column: 1 }
  private before: Tcb | undefined
  private dropsBefore = 0

  constructor(
    private readonly source: string,
    private readonly stage: Stage,
    private readonly connections: Connections,
  ) {}

  /** `event` is about to be carried out. */
  begin(event: ScriptEvent): void {
    this.current = event.at
    this.before = this.connections.status()?.tcb
    this.dropsBefore = this.stage.made?.drops.length ?? 0
  }

  /** The connection as it stands. */
  view(tcb: Tcb | undefined = this.connections.status()?.tcb): TcbView | undefined {
    return tcb === undefined ? undefined : viewTcb(tcb, this.connections.chosen())
  }

  fail(event: ScriptEvent, kind: Failure["kind"], message: string, more: Partial<Failure>): never {
    throw new Failed(this.failure(kind, message, { after: this.view(), ...more, at: event.at }))
  }

  /** A fault of the stack itself. */
  crash(error: unknown): Failure {
    return this.failure("crash", describe(error), {})
  }

  private failure(kind: Failure["kind"], message: string, more: Partial<Failure>): Failure {
    const at = more.at ?? this.current
    const drops = this.stage.made?.drops.slice(this.dropsBefore) ?? []
    return {
      ...NOTHING,
      before: this.before === undefined ? undefined : this.view(this.before),
      drops: drops.map((drop) => `${drop.why} at ${formatSeconds(drop.at)}`),
      ...more,
      at,
      line: lineAt(this.source, at),
      kind,
      message,
    }
  }
}

/** With the place where it happened. */
const describe = (error: unknown): string =>
  error instanceof Error ? `${error.message}${/\n\s+at .*/.exec(error.stack ?? "")?.[0] ?? ""}` : String(error)
