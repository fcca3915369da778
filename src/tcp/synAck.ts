import { NOT_ECT } from "../wire/ecn.ts"
import { ACK, ECE, SYN, type TcpOptions } from "../wire/tcpSegment.ts"
import type { Transmit, Why } from "./effect.ts"
import { cookiesFor } from "./fastOpenKey.ts"
import { synAckOptions, synAckWindow, timestamp } from "./handshake.ts"
import { add, type Seq } from "./seq.ts"
import type { Negotiated, Request } from "./tcb.ts"
import { agreedBy } from "./terms.ts"
import type { Micros } from "./time.ts"

/** <SEQ=ISS><ACK=RCV.NXT><CTL=SYN,ACK>, with only those options that the SYN had. */
export const synAck = (request: Request, now: Micros, why: Why): Transmit =>
  synAckFor(request, add(request.irs, 1), now, why)

/** The same where data of the SYN is acknowledged too (RFC 7413 section 4.2.2). */
export const synAckFor = (request: Request, ack: Seq, now: Micros, why: Why): Transmit => {
  const agreed = agreedBy(request.terms)
  return {
    _tag: "Transmit",
    seq: request.iss,
    ack,
    flags: agreed.ecn ? SYN | ACK | ECE : SYN | ACK,
    wnd: synAckWindow(request.context.settings, request.rcvBuf, request.path, agreed),
    up: 0,
    options: optionsOf(request, agreed, now),
    queue: undefined,
    length: 0,
    segmentSize: 0,
    ecn: NOT_ECT,
    why,
  }
}

const optionsOf = (request: Request, agreed: Negotiated, now: Micros): TcpOptions => {
  const clock = timestamp(request.context, request.tsOffset, now)
  const options = synAckOptions(agreed, request.path, clock, request.tsRecent)
  if (request.cookie === "none") return options
  const [cookie] = cookiesFor(request.context, request.options, request.local.address, request.remote.address)
  if (cookie === undefined) return options
  return { ...options, fastOpen: { cookie, experimental: request.cookie === "experimental" } }
}
