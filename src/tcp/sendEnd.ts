import { add, type Seq } from "./seq.ts"
import type { Synchronized } from "./tcb.ts"

/** Sequence number after everything that the application wants sent, its FIN included. */
export const sendEnd = (tcb: Synchronized): Seq => add(tcb.queue.start, tcb.queue.length + (tcb.snd.fin ? 1 : 0))
