import type { HostKeys } from "./keyedHash.ts"

/** Numbers of 32 bits of which nobody outside can tell the next from those before: ephemeral ports, identifiers. */
export class Chances {
  private count = 0

  constructor(private readonly keys: Pick<HostKeys, "unguessable">) {}

  next(): number {
    return this.keys.unguessable(++this.count)
  }
}
