import type { Micros } from "../time.ts"
import type { Bbr } from "./bbr/state.ts"
import { bbr } from "./bbr.ts"
import type { AckSample, CcName, CongestionControl } from "./control.ts"
import { type Cubic, cubic } from "./cubic.ts"
import { hyStartDone } from "./hystart.ts"
import { type Reno, reno } from "./reno.ts"
import { INFINITE_SSTHRESH } from "./window.ts"

/** The state of whichever algorithm a connection uses. */
export type Cc = Reno | Cubic | Bbr

const CONTROLS: { readonly [N in CcName]: CongestionControl<Extract<Cc, { readonly algorithm: N }>> } = {
  reno,
  cubic,
  bbr,
}

/** What a connection may ask for by name (TCP_CONGESTION). */
export const ALGORITHMS: ReadonlyArray<CcName> = ["reno", "cubic", "bbr"]

export const isAlgorithm = (name: string): name is CcName => Object.hasOwn(CONTROLS, name)

/** The algorithm itself, of a name that is known where it is written. */
export const controlOf = <N extends CcName>(name: N): (typeof CONTROLS)[N] => CONTROLS[name]

/** `initial`: the first window, octets. */
export const start = (name: CcName, initial: number, mss: number, now: Micros): Cc =>
  CONTROLS[name].start(initial, mss, now)

export const onAck = (cc: Cc, ack: AckSample, mss: number, now: Micros): Cc => {
  switch (cc.algorithm) {
    case "reno":
      return reno.onAck(cc, ack, mss, now)
    case "cubic":
      return cubic.onAck(cc, ack, mss, now)
    case "bbr":
      return bbr.onAck(cc, ack, mss, now)
  }
}

export const onCongestion = (cc: Cc, event: "loss" | "ecn", flight: number, mss: number, now: Micros): Cc => {
  switch (cc.algorithm) {
    case "reno":
      return reno.onCongestion(cc, event, flight, mss, now)
    case "cubic":
      return cubic.onCongestion(cc, event, flight, mss, now)
    case "bbr":
      return bbr.onCongestion(cc, event, flight, mss, now)
  }
}

export const onRecovered = (cc: Cc, flight: number, mss: number, now: Micros): Cc => {
  switch (cc.algorithm) {
    case "reno":
      return reno.onRecovered(cc, flight, mss, now)
    case "cubic":
      return cubic.onRecovered(cc, flight, mss, now)
    case "bbr":
      return bbr.onRecovered(cc, flight, mss, now)
  }
}

export const onTimeout = (cc: Cc, flight: number, mss: number, now: Micros, again: boolean): Cc => {
  switch (cc.algorithm) {
    case "reno":
      return reno.onTimeout(cc, flight, mss, now, again)
    case "cubic":
      return cubic.onTimeout(cc, flight, mss, now, again)
    case "bbr":
      return bbr.onTimeout(cc, flight, mss, now, again)
  }
}

/** `before`: the state when the congestion was seen, perhaps of another algorithm. */
export const onUndo = (cc: Cc, before: Cc, now: Micros): Cc => {
  if (cc.algorithm === "reno" && before.algorithm === "reno") return reno.onUndo(cc, before, now)
  if (cc.algorithm === "cubic" && before.algorithm === "cubic") return cubic.onUndo(cc, before, now)
  if (cc.algorithm === "bbr" && before.algorithm === "bbr") return bbr.onUndo(cc, before, now)
  return withWindow(cc, Math.max(cc.cwnd, before.cwnd), Math.max(cc.ssthresh, before.ssthresh))
}

export const onIdle = (cc: Cc, idle: Micros, rto: Micros, initial: number, now: Micros): Cc => {
  switch (cc.algorithm) {
    case "reno":
      return reno.onIdle(cc, idle, rto, initial, now)
    case "cubic":
      return cubic.onIdle(cc, idle, rto, initial, now)
    case "bbr":
      return bbr.onIdle(cc, idle, rto, initial, now)
  }
}

/** Octets per second; 0: the caller's choice, from CWND and SRTT. */
export const pacingRate = (cc: Cc): number => {
  switch (cc.algorithm) {
    case "reno":
      return reno.pacingRate(cc)
    case "cubic":
      return cubic.pacingRate(cc)
    case "bbr":
      return bbr.pacingRate(cc)
  }
}

export const governsRecovery = (cc: Cc): boolean => CONTROLS[cc.algorithm].governsRecovery

/** Octets that a send buffer should hold at this window (Linux's tcp_sndbuf_expand). */
export const bufferFor = (cc: Cc): number => CONTROLS[cc.algorithm].buffered * cc.cwnd

/** Another algorithm takes over while the connection runs: from the windows that it finds. */
export const switchTo = (name: CcName, cc: Cc, mss: number, now: Micros): Cc => {
  if (name === cc.algorithm) return cc
  switch (name) {
    case "reno":
      return withWindow(reno.start(cc.cwnd, mss, now), cc.cwnd, cc.ssthresh)
    case "cubic": {
      const started = cubic.start(cc.cwnd, mss, now)
      // Slow start has ended before: it does without HyStart++ from here on (RFC 9406 section 4.3).
      const hystart = cc.ssthresh < INFINITE_SSTHRESH ? hyStartDone : started.hystart
      return { ...started, hystart, ssthresh: cc.ssthresh }
    }
    case "bbr":
      return withWindow(bbr.start(cc.cwnd, mss, now), cc.cwnd, cc.ssthresh)
  }
}

const withWindow = <S extends Cc>(cc: S, cwnd: number, ssthresh: number): S => ({ ...cc, cwnd, ssthresh })
