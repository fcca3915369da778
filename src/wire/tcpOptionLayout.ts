import { setBytes, setU8, setU16, setU32 } from "./bytes.ts"
import * as Kind from "./tcpOptionKind.ts"
import { NO_OPTIONS, type SackBlock, type TcpOptions } from "./tcpSegment.ts"

/**
 * The order of options and their padding, by which stacks can be told apart:
 *
 *     linux    SYN  mss, sackOK, TS, nop, wscale            or  mss, nop, nop, sackOK, nop, wscale
 *     freebsd  SYN  mss, nop, wscale, sackOK, TS            or  mss, nop, wscale, sackOK, eol
 *     both     ACK  nop, nop, TS, nop, nop, sack
 */
export type OptionLayout = "linux" | "freebsd"

const ALIGNED_TIMESTAMPS_LENGTH = 12

/** Octets that `writeOptions` will take: 0 to 40, a multiple of 4. */
export const optionsLength = (options: TcpOptions, layout: OptionLayout): number => {
  if (options === NO_OPTIONS) return 0
  if (isOnlyTimestamps(options)) return ALIGNED_TIMESTAMPS_LENGTH
  return writeList(new Uint8Array(Kind.OPTION_SPACE), 0, options, layout)
}

/**
 * Writes the options and returns the octets they took. Of what exceeds 40 octets, SACK keeps as
 * many blocks as fit, and another option is left out whole.
 */
export const writeOptions = (out: Uint8Array, start: number, options: TcpOptions, layout: OptionLayout): number => {
  if (options === NO_OPTIONS) return 0
  if (!isOnlyTimestamps(options)) return writeList(out, start, options, layout)
  timestamps(out, start, start, options)
  return ALIGNED_TIMESTAMPS_LENGTH
}

const isOnlyTimestamps = (o: TcpOptions): boolean =>
  o.tsVal !== undefined &&
  o.sack.length === 0 &&
  o.mss === undefined &&
  o.windowScale === undefined &&
  !o.sackPermitted &&
  o.fastOpen === undefined &&
  o.md5 === undefined &&
  o.ao === undefined &&
  o.unknown.length === 0

const writeList = (out: Uint8Array, start: number, options: TcpOptions, layout: OptionLayout): number =>
  layout === "linux" ? linux(out, start, options) : freebsd(out, start, options)

/** Signatures first, and SACK-permitted in the room before the timestamps where there is one. */
const linux = (out: Uint8Array, start: number, o: TcpOptions): number => {
  let at = md5(out, start, start, o)
  at = authentication(out, start, at, o)
  at = mss(out, start, at, o)
  at = sackPermitted(out, start, at, o, o.tsVal === undefined ? 2 : 0)
  at = timestamps(out, start, at, o)
  at = windowScale(out, start, at, o)
  at = sack(out, start, at, o)
  at = fastOpen(out, start, at, o)
  at = unknown(out, start, at, o)
  return pad(out, start, at, Kind.NOP)
}

/** By kind, each where its fields are aligned, and an end-of-list option before zeros. */
const freebsd = (out: Uint8Array, start: number, o: TcpOptions): number => {
  let at = mss(out, start, start, o)
  at = windowScale(out, start, at, o)
  at = sackPermitted(out, start, at, o, 0)
  at = timestamps(out, start, at, o)
  at = md5(out, start, at, o)
  at = authentication(out, start, at, o)
  at = sack(out, start, at, o)
  at = fastOpen(out, start, at, o)
  at = unknown(out, start, at, o)
  return pad(out, start, at, Kind.END)
}

/*
 * Each of these takes the place reached and returns the next: unmoved if its option is absent or
 * does not fit.
 */

const mss = (out: Uint8Array, start: number, at: number, o: TcpOptions): number => {
  if (o.mss === undefined) return at
  const place = begin(out, start, at, 0, Kind.MSS, Kind.MSS_LENGTH)
  if (place < 0) return at
  setU16(out, place, o.mss)
  return place + 2
}

const windowScale = (out: Uint8Array, start: number, at: number, o: TcpOptions): number => {
  if (o.windowScale === undefined) return at
  const place = begin(out, start, at, 1, Kind.WINDOW_SCALE, Kind.WINDOW_SCALE_LENGTH)
  if (place < 0) return at
  setU8(out, place, o.windowScale)
  return place + 1
}

const sackPermitted = (out: Uint8Array, start: number, at: number, o: TcpOptions, residue: number): number => {
  if (!o.sackPermitted) return at
  const place = begin(out, start, at, residue, Kind.SACK_PERMITTED, Kind.SACK_PERMITTED_LENGTH)
  return place < 0 ? at : place
}

const timestamps = (out: Uint8Array, start: number, at: number, o: TcpOptions): number => {
  if (o.tsVal === undefined) return at
  const place = begin(out, start, at, 2, Kind.TIMESTAMPS, Kind.TIMESTAMPS_LENGTH)
  if (place < 0) return at
  setU32(out, place, o.tsVal)
  setU32(out, place + 4, o.tsEcr ?? 0)
  return place + 8
}

const sack = (out: Uint8Array, start: number, at: number, o: TcpOptions): number => {
  if (o.sack.length === 0) return at
  const room = start + Kind.OPTION_SPACE - aligned(start, at, 2) - Kind.OPTION_HEAD
  const count = Math.min(o.sack.length, Math.floor(room / Kind.SACK_BLOCK_LENGTH))
  if (count <= 0) return at
  let place = begin(out, start, at, 2, Kind.SACK, Kind.OPTION_HEAD + count * Kind.SACK_BLOCK_LENGTH)
  for (let i = 0; i < count; i++) place = sackBlock(out, place, o.sack[i])
  return place
}

const sackBlock = (out: Uint8Array, at: number, block: SackBlock | undefined): number => {
  setU32(out, at, block?.left ?? 0)
  setU32(out, at + 4, block?.right ?? 0)
  return at + Kind.SACK_BLOCK_LENGTH
}

const md5 = (out: Uint8Array, start: number, at: number, o: TcpOptions): number => {
  if (o.md5 === undefined) return at
  const place = begin(out, start, at, 2, Kind.MD5, Kind.MD5_LENGTH)
  if (place < 0) return at
  const digest = Kind.MD5_LENGTH - Kind.OPTION_HEAD
  for (let i = 0; i < digest; i++) setU8(out, place + i, o.md5[i] ?? 0)
  return place + digest
}

const authentication = (out: Uint8Array, start: number, at: number, o: TcpOptions): number => {
  if (o.ao === undefined) return at
  const place = begin(out, start, at, 0, Kind.AO, Kind.AO_LENGTH + o.ao.mac.length)
  if (place < 0) return at
  setU8(out, place, o.ao.keyId)
  setU8(out, place + 1, o.ao.rNextKeyId)
  setBytes(out, place + 2, o.ao.mac)
  return place + 2 + o.ao.mac.length
}

const fastOpen = (out: Uint8Array, start: number, at: number, o: TcpOptions): number => {
  if (o.fastOpen === undefined) return at
  const { cookie, experimental } = o.fastOpen
  if (!experimental) return unaligned(out, start, at, Kind.FAST_OPEN, cookie)
  const place = begin(out, start, at, at - start, Kind.EXPERIMENT, Kind.OPTION_HEAD + 2 + cookie.length)
  if (place < 0) return at
  setU16(out, place, Kind.EXPERIMENT_FAST_OPEN)
  setBytes(out, place + 2, cookie)
  return place + 2 + cookie.length
}

const unknown = (out: Uint8Array, start: number, at: number, o: TcpOptions): number => {
  let place = at
  for (const option of o.unknown) place = unaligned(out, start, place, option.kind, option.data)
  return place
}

const unaligned = (out: Uint8Array, start: number, at: number, kind: number, data: Uint8Array): number => {
  const place = begin(out, start, at, at - start, kind, Kind.OPTION_HEAD + data.length)
  if (place < 0) return at
  setBytes(out, place, data)
  return place + data.length
}

/** The first place from `at` on that lies `residue`, modulo 4, octets from the start. */
const aligned = (start: number, at: number, residue: number): number => at + ((start + residue - at) & 3)

/** Fills up to the residue with NOPs and writes kind and size; -1 if the option would not fit. */
const begin = (out: Uint8Array, start: number, at: number, residue: number, kind: number, size: number): number => {
  const place = aligned(start, at, residue)
  if (place + size > start + Kind.OPTION_SPACE) return -1
  for (let i = at; i < place; i++) setU8(out, i, Kind.NOP)
  setU8(out, place, kind)
  setU8(out, place + 1, size)
  return place + Kind.OPTION_HEAD
}

/** The data offset counts in words; what follows an end-of-list must be zero (RFC 9293 section 3.1). */
const pad = (out: Uint8Array, start: number, at: number, octet: number): number => {
  const end = aligned(start, at, 0)
  for (let i = at; i < end; i++) setU8(out, i, octet)
  return end - start
}
