import type { Synchronized } from "./tcb.ts"

/** The next block in the making: local to one reducer call, so that several steps share one copy. */
export type Draft = { -readonly [K in keyof Synchronized]: Synchronized[K] }

/** Written out: a literal is made in place, a spread is a call. */
export const draftOf = (tcb: Synchronized): Draft => ({
  _tag: tcb._tag,
  link: tcb.link,
  options: tcb.options,
  snd: tcb.snd,
  rcv: tcb.rcv,
  rto: tcb.rto,
  cc: tcb.cc,
  flight: tcb.flight,
  recovery: tcb.recovery,
  delivery: tcb.delivery,
  usage: tcb.usage,
  ecn: tcb.ecn,
  mtu: tcb.mtu,
  drs: tcb.drs,
  queue: tcb.queue,
  timers: tcb.timers,
})
