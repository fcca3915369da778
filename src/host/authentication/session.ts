import { type Extended, extensionOf, FIRST_EXTENSION, moved } from "../../tcp/authentication/extension.ts"
import {
  AO_HEAD,
  type AoKey,
  type Authentication,
  aoKeysFor,
  md5KeyFor,
  signatureOctets,
} from "../../tcp/authentication/keys.ts"
import { findSignatures, type Octets } from "../../tcp/authentication/octets.ts"
import type { Counter } from "../../tcp/counters.ts"
import type { Transmit, Why } from "../../tcp/effect.ts"
import { add, type Seq } from "../../tcp/seq.ts"
import type { Endpoint } from "../../wire/address.ts"
import { getU8 } from "../../wire/bytes.ts"
import { ACK, hasAck, hasRst, hasSyn, RST, type Segment, SYN, type TcpOptions } from "../../wire/tcpSegment.ts"
import { aoMac, matches, md5Digest, trafficKeyOf } from "./mac.ts"
import type { Signature } from "./signature.ts"

/** What a connection signs with and demands; none: its peer has no key. */
export type Session = Md5Session | AoSession

export interface Md5Session {
  readonly _tag: "md5"
  readonly key: Uint8Array
}

/** RFC 5925 section 4: the parameters of one connection. */
export interface AoSession {
  readonly _tag: "ao"
  readonly local: Endpoint
  readonly remote: Endpoint
  readonly iss: Seq
  /** Undefined until the peer's SYN has come. */
  readonly irs: Seq | undefined
  /** The master keys that fit the peer; one signs what leaves, one is asked for in what comes. */
  readonly keys: ReadonlyArray<AoKey>
  readonly current: AoKey
  readonly rnext: AoKey
  /** SND.SNE and RCV.SNE, each with the place in the stream for which it holds. */
  readonly sent: Extended
  readonly received: Extended
  /** Traffic keys of both directions, once they have been needed. */
  readonly traffic: ReadonlyArray<TrafficKeys>
  /** The ids of the last segment that was right (RFC 5925 section 7.1). */
  readonly heard: { readonly keyId: number; readonly rNextKeyId: number } | undefined
}

interface TrafficKeys {
  readonly of: AoKey
  readonly send: Uint8Array
  readonly receive: Uint8Array
}

/** An active open. */
export const opening = (
  authentication: Authentication | undefined,
  local: Endpoint,
  remote: Endpoint,
  iss: Seq,
): Session | undefined => {
  const [first, ...others] = aoKeysFor(authentication, remote.address)
  if (first === undefined) return md5Session(authentication, remote)
  const keys = [first, ...others]
  const current = keys.find(({ sendId }) => sendId === authentication?.current) ?? first
  const rnext = keys.find(({ recvId }) => recvId === authentication?.rnext) ?? current
  return aoSession(keys, current, rnext, local, remote, iss, undefined)
}

/**
 * A passive open, or one segment to a listener: the key that the peer's `option` asks for signs, the
 * one that it has used is asked for.
 */
export const accepting = (
  authentication: Authentication | undefined,
  local: Endpoint,
  remote: Endpoint,
  iss: Seq,
  irs: Seq,
  option: TcpOptions["ao"],
): Session | undefined => {
  const [first, ...others] = aoKeysFor(authentication, remote.address)
  if (first === undefined) return md5Session(authentication, remote)
  const keys = [first, ...others]
  const rnext = keys.find(({ recvId }) => recvId === option?.keyId) ?? first
  const current = keys.find(({ sendId }) => sendId === option?.rNextKeyId) ?? rnext
  return aoSession(keys, current, rnext, local, remote, iss, irs)
}

/** What a listener demands of a segment that may be a SYN, or the ACK of a cookie: its numbers then tell the ISNs. */
export const listening = (
  authentication: Authentication | undefined,
  local: Endpoint,
  remote: Endpoint,
  segment: Segment,
): Session | undefined => {
  const irs = hasSyn(segment) ? segment.seq : add(segment.seq, -1)
  return accepting(authentication, local, remote, add(segment.ack, -1), irs, segment.options.ao)
}

const md5Session = (authentication: Authentication | undefined, remote: Endpoint): Md5Session | undefined => {
  const found = md5KeyFor(authentication, remote.address)
  return found === undefined ? undefined : { _tag: "md5", key: found.key }
}

const aoSession = (
  keys: ReadonlyArray<AoKey>,
  current: AoKey,
  rnext: AoKey,
  local: Endpoint,
  remote: Endpoint,
  iss: Seq,
  irs: Seq | undefined,
): AoSession => ({
  _tag: "ao",
  local,
  remote,
  iss,
  irs,
  keys,
  current,
  rnext,
  sent: { seq: iss, sne: FIRST_EXTENSION },
  received: { seq: irs ?? 0, sne: FIRST_EXTENSION },
  traffic: [],
  heard: undefined,
})

/**
 * Other keys for an open connection (RFC 5925 section 7.1); undefined where they cannot be: it keeps
 * its kind of signature, and its segments the room that they leave for it.
 */
export const rekeyed = (
  session: Session | undefined,
  remote: Endpoint,
  before: Authentication | undefined,
  after: Authentication | undefined,
): Session | "none" | undefined => {
  if (signatureOctets(after, remote.address) > signatureOctets(before, remote.address)) return undefined
  const [first, ...others] = aoKeysFor(after, remote.address)
  if (session?._tag !== "ao") {
    const next = first === undefined ? md5Session(after, remote) : undefined
    return next?._tag === session?._tag && first === undefined ? (next ?? "none") : undefined
  }
  if (first === undefined) return undefined
  const keys = [first, ...others]
  const sendId = after?.current ?? session.current.sendId
  const recvId = after?.rnext ?? session.rnext.recvId
  const current = keys.find((key) => key.sendId === sendId) ?? first
  return {
    ...session,
    keys,
    current,
    rnext: keys.find((key) => key.recvId === recvId) ?? current,
    traffic: session.traffic.filter(({ of }) => keys.includes(of)),
  }
}

/** How a segment is to be signed, and the session after it; undefined: it cannot be, and must not leave. */
export const signing = (
  session: Session,
  { seq, flags }: Pick<Transmit, "seq" | "flags">,
): { readonly session: Session; readonly signature: Signature } | undefined => {
  if (session._tag === "md5") return { session, signature: session }
  const { current, rnext, local, remote, iss, irs, sent } = session
  const { algorithm, macLength, coverOptions } = current
  const signature = {
    _tag: "ao",
    keyId: current.sendId,
    rNextKeyId: rnext.recvId,
    algorithm,
    macLength,
    coverOptions,
    seq,
  }
  if ((flags & SYN) !== 0 && (flags & ACK) === 0) {
    const trafficKey = trafficKeyOf(current, { source: local, destination: remote, sourceIsn: iss, destinationIsn: 0 })
    return { session, signature: { ...signature, _tag: "ao", trafficKey, sne: FIRST_EXTENSION } }
  }
  if (irs === undefined) return undefined
  const { keys, next } = trafficKeys(session, current, irs)
  const sne = extensionOf(sent, seq)
  return {
    // A reset's number is the peer's word, not a place that we have reached.
    session: (flags & RST) !== 0 ? next : withSent(next, seq),
    signature: { ...signature, _tag: "ao", trafficKey: keys.send, sne },
  }
}

export type Verdict = Passed | Refused

export interface Passed {
  readonly _tag: "Passed"
  readonly session: Session | undefined
  readonly counter: Counter | undefined
}

export interface Refused {
  readonly _tag: "Refused"
  readonly why: Why
  readonly counter: Counter | undefined
}

/**
 * Whether a segment is signed as it must be, before anything else is made of it (Linux's
 * tcp_inbound_hash, RFC 5925 section 7.5). `synSent`: the peer's ISN is the segment's to tell.
 */
export const check = (
  session: Session | undefined,
  octets: Octets,
  segment: Segment,
  synSent: boolean,
  unmatchedAo: Authentication["unmatchedAo"],
): Verdict => {
  const found = findSignatures(octets)
  if (found === undefined) return refused("RFC5925-2.2:malformed-signature", undefined)
  if (found.ao !== 0) {
    if (session?._tag === "ao") return checkAo(session, octets, found.ao, segment, synSent)
    return session === undefined && unmatchedAo === "accept"
      ? passed(session)
      : refused("RFC5925-7.3:no-key-for-the-peer", "TCPAOKeyNotFound")
  }
  if (found.md5 !== 0) {
    if (session?._tag !== "md5") return refused("RFC2385:signature-unexpected", "TCPMD5Unexpected")
    return matches(md5Digest(octets, session.key), MD5_DIGEST, octets.bytes, found.md5 + 2)
      ? passed(session)
      : refused("RFC2385:signature-wrong", "TCPMD5Failure")
  }
  switch (session?._tag) {
    case undefined:
      return passed(session)
    case "md5":
      return refused("RFC2385:signature-missing", "TCPMD5NotFound")
    case "ao":
      return refused("RFC5925-7.3:signature-missing", "TCPAORequired")
  }
}

const MD5_DIGEST = 16

const checkAo = (session: AoSession, octets: Octets, ao: number, segment: Segment, synSent: boolean): Verdict => {
  const { bytes } = octets
  const keyId = getU8(bytes, ao + 2)
  const rNextKeyId = getU8(bytes, ao + 3)
  const key = session.keys.find(({ recvId }) => recvId === keyId)
  if (key === undefined) return refused("RFC5925-7.5:KeyID-unknown", "TCPAOKeyNotFound")
  if (getU8(bytes, ao + 1) !== AO_HEAD + key.macLength) return refused("RFC5925-7.5:length", "TCPAOBad")
  const { local, remote, iss, received } = session
  const syn = hasSyn(segment) && !hasAck(segment)
  const irs = synSent && (hasSyn(segment) || hasRst(segment)) ? segment.seq : (session.irs ?? 0)
  const known = irs === session.irs
  const cached = syn || !known ? undefined : trafficKeys(session, key, irs)
  const trafficKey =
    cached?.keys.receive ??
    trafficKeyOf(key, {
      source: remote,
      destination: local,
      sourceIsn: syn ? segment.seq : irs,
      destinationIsn: syn ? 0 : iss,
    })
  const sne = syn || !known ? FIRST_EXTENSION : extensionOf(received, segment.seq)
  const mac = aoMac(octets, ao, sne, key.coverOptions, key.algorithm, trafficKey)
  if (!matches(mac, key.macLength, bytes, ao + AO_HEAD)) return refused("RFC5925-7.5:signature-wrong", "TCPAOBad")
  if (synSent) {
    const opened = hasSyn(segment)
      ? { ...session, irs, received: { seq: irs, sne: FIRST_EXTENSION }, traffic: [] }
      : session
    return good(heard(opened, keyId, rNextKeyId))
  }
  // A SYN that comes later is another connection's, or this one's again: it moves nothing here.
  if (syn) return good(session)
  const next = cached?.next ?? session
  const at = moved(next.received, segment.seq)
  return good(heard(at === next.received ? next : { ...next, received: at }, keyId, rNextKeyId))
}

/** RFC 5925 section 7.5, step 2.e: the peer is ready for another key, which from now on signs. */
const heard = (session: AoSession, keyId: number, rNextKeyId: number): AoSession => {
  const { current } = session
  const wanted =
    rNextKeyId === current.sendId ? current : (session.keys.find(({ sendId }) => sendId === rNextKeyId) ?? current)
  if (wanted === current && session.heard?.keyId === keyId && session.heard.rNextKeyId === rNextKeyId) return session
  return { ...session, current: wanted, heard: { keyId, rNextKeyId } }
}

const withSent = (session: AoSession, seq: Seq): AoSession => {
  const sent = moved(session.sent, seq)
  return sent === session.sent ? session : { ...session, sent }
}

const trafficKeys = (
  session: AoSession,
  of: AoKey,
  irs: Seq,
): { readonly keys: TrafficKeys; readonly next: AoSession } => {
  const known = session.traffic.find((keys) => keys.of === of)
  if (known !== undefined) return { keys: known, next: session }
  const { local, remote, iss } = session
  const keys: TrafficKeys = {
    of,
    send: trafficKeyOf(of, { source: local, destination: remote, sourceIsn: iss, destinationIsn: irs }),
    receive: trafficKeyOf(of, { source: remote, destination: local, sourceIsn: irs, destinationIsn: iss }),
  }
  return { keys, next: { ...session, traffic: [...session.traffic, keys] } }
}

const passed = (session: Session | undefined): Passed => ({ _tag: "Passed", session, counter: undefined })
const good = (session: AoSession): Passed => ({ _tag: "Passed", session, counter: "TCPAOGood" })
const refused = (why: Why, counter: Counter | undefined): Refused => ({ _tag: "Refused", why, counter })

/** A session as RFC 5925 section 7.1 wants it shown: the ids in use and those last heard, and no secrets. */
export type AuthenticationStatus =
  | { readonly _tag: "md5" }
  | {
      readonly _tag: "ao"
      readonly keyId: number
      readonly rNextKeyId: number
      readonly heard: AoSession["heard"]
      readonly keys: ReadonlyArray<Pick<AoKey, "sendId" | "recvId" | "algorithm">>
    }

export const authenticationStatus = (session: Session | undefined): AuthenticationStatus | undefined => {
  if (session?._tag !== "ao") return session === undefined ? undefined : { _tag: "md5" }
  const { current, rnext, heard, keys } = session
  return {
    _tag: "ao",
    keyId: current.sendId,
    rNextKeyId: rnext.recvId,
    heard,
    keys: keys.map(({ sendId, recvId, algorithm }) => ({ sendId, recvId, algorithm })),
  }
}
