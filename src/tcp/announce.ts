import { selectedEdge } from "./receiveMemory/window.ts"
import type { Seq } from "./seq.ts"
import type { Synchronized } from "./tcb.ts"
import { nextEdge } from "./window.ts"

/** The right edge to announce now: by the octets that are held, or by the memory that they take. */
export const edgeNow = (tcb: Synchronized): Seq => {
  const { memory } = tcb.drs
  return memory === undefined ? nextEdge(tcb.rcv, tcb.link) : selectedEdge(tcb, memory)
}
