import { Data } from "effect"
import type { RecordType } from "./message.ts"

/** There is no such name, or it has no address of this family. */
export class HostNotFound extends Data.TaggedError("HostNotFound")<{
  readonly host: string
  readonly type: RecordType
  readonly why: string
  /** For how many seconds that may be believed. */
  readonly ttl: number
}> {
  override get message(): string {
    return `no address is known for "${this.host}": check the name (${this.why})`
  }
}

/** No server has answered, or none would. */
export class ResolverFailed extends Data.TaggedError("ResolverFailed")<{
  readonly host: string
  readonly reason: string
}> {
  override get message(): string {
    return `"${this.host}" could not be resolved: ${this.reason}`
  }
}

export type ResolveError = HostNotFound | ResolverFailed
