import { Data } from "effect"

/** A control socket that cannot be opened, or does not answer. */
export class ControlSocketError extends Data.TaggedError("ControlSocketError")<{
  readonly path: string
  readonly reason: string
}> {
  override get message(): string {
    return `${this.path}: ${this.reason}`
  }
}
