import type { Delivery, Listen, Rcv, Recovery, Snd, Synchronized, Timers } from "./tcb.ts"

/**
 * A record in the making: local to one reducer call, so that several steps share one copy. The copies
 * are written out: a literal is made in place, a spread is a call.
 */
export type Mutable<T> = { -readonly [K in keyof T]: T[K] }

/** The next block. */
export type Draft = Mutable<Synchronized>

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

export const rcvDraft = (r: Rcv): Mutable<Rcv> => ({
  nxt: r.nxt,
  edge: r.edge,
  buf: r.buf,
  unread: r.unread,
  up: r.up,
  lastAck: r.lastAck,
  mss: r.mss,
  quick: r.quick,
  pingpong: r.pingpong,
  due: r.due,
  dueWhy: r.dueWhy,
  tsRecent: r.tsRecent,
  tsRecentAt: r.tsRecentAt,
  oowAt: r.oowAt,
  queue: r.queue,
  dsack: r.dsack,
  at: r.at,
  fin: r.fin,
  shut: r.shut,
  deaf: r.deaf,
  clamp: r.clamp,
  heardAt: r.heardAt,
})

export const sndDraft = (s: Snd): Mutable<Snd> => ({
  una: s.una,
  nxt: s.nxt,
  wnd: s.wnd,
  wl1: s.wl1,
  wl2: s.wl2,
  maxWnd: s.maxWnd,
  mss: s.mss,
  up: s.up,
  small: s.small,
  fin: s.fin,
  at: s.at,
  more: s.more,
  push: s.push,
})

export const deliveryDraft = (d: Delivery): Mutable<Delivery> => ({
  delivered: d.delivered,
  at: d.at,
  firstAt: d.firstAt,
  appLimited: d.appLimited,
  rate: d.rate,
  rateAppLimited: d.rateAppLimited,
  rackAt: d.rackAt,
  rackEnd: d.rackEnd,
  rackRtt: d.rackRtt,
  minRtt: d.minRtt,
  ce: d.ce,
})

export const timersDraft = (t: Timers): Mutable<Timers> => ({
  probe: t.probe,
  reorder: t.reorder,
  retransmit: t.retransmit,
  persist: t.persist,
  delayedAck: t.delayedAck,
  linger: t.linger,
  user: t.user,
  keepalive: t.keepalive,
  pacing: t.pacing,
})

export const recoveryDraft = (r: Recovery): Mutable<Recovery> => ({
  phase: r.phase,
  point: r.point,
  undo: r.undo,
  retransmittedAt: r.retransmittedAt,
  reordering: r.reordering,
  reorderings: r.reorderings,
  highSacked: r.highSacked,
  prior: r.prior,
  prrDelivered: r.prrDelivered,
  prrOut: r.prrOut,
  frto: r.frto,
  newFirst: r.newFirst,
  reneged: r.reneged,
  rescued: r.rescued,
  probe: r.probe,
  steps: r.steps,
  persist: r.persist,
  dsackRound: r.dsackRound,
  dsackSeen: r.dsackSeen,
  totalRetrans: r.totalRetrans,
  dsackDups: r.dsackDups,
  totalLost: r.totalLost,
})

export const listenDraft = (l: Listen): Mutable<Listen> => ({
  _tag: l._tag,
  context: l.context,
  options: l.options,
  path: l.path,
  backlog: l.backlog,
  requests: l.requests,
  young: l.young,
  waiting: l.waiting,
  cookiesAt: l.cookiesAt,
  fastOpens: l.fastOpens,
  fastResets: l.fastResets,
})
