import { Data } from "effect"

/** A device under the stack ended by itself: its interface was removed, or reading it failed. All connections are gone. */
export class StackFailed extends Data.TaggedError("StackFailed")<{
  readonly device: string
  /** POSIX errno name. */
  readonly errno: string
  readonly reason: string
}> {
  override get message(): string {
    return `the stack ended with its device: ${this.reason}`
  }
}

/** A value that cannot be meant: an address that is none, a port out of range. */
export class InvalidArgument extends Data.TaggedError("InvalidArgument")<{
  /** Which argument. */
  readonly argument: string
  /** What is wrong with it, and what would be right. */
  readonly reason: string
}> {
  readonly errno = "EINVAL"
  readonly why = "netfold:invalid-argument"
  override get message(): string {
    return `${this.argument}: ${this.reason}`
  }
}
