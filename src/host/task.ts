import { type Micros, OFF } from "../tcp/time.ts"
import type { Scheduled } from "./deadlines.ts"

/** Something that a host does at a time: `run` looks what is due, and says when it wants to be asked again. */
export class Task implements Scheduled {
  scheduledAt = OFF

  constructor(readonly run: (now: Micros) => void) {}
}
