import { copyOf, getU8, getU16, getU32 } from "./bytes.ts"
import * as Kind from "./tcpOptionKind.ts"
import { NO_OPTIONS, type RawOption, type SackBlock, type TcpOptions } from "./tcpSegment.ts"

/** NOP NOP Timestamps(10): all that an ordinary segment carries (RFC 7323 appendix A). */
const ALIGNED_TIMESTAMPS = (Kind.NOP << 24) | (Kind.NOP << 16) | (Kind.TIMESTAMPS << 8) | Kind.TIMESTAMPS_LENGTH
const ALIGNED_TIMESTAMPS_LENGTH = 12

/** A record that carries timestamps alone. */
export const onlyTimestamps = (tsVal: number, tsEcr: number): TcpOptions => ({
  mss: undefined,
  windowScale: undefined,
  sackPermitted: false,
  sack: NO_OPTIONS.sack,
  tsVal,
  tsEcr,
  fastOpen: undefined,
  md5: undefined,
  ao: undefined,
  unknown: NO_OPTIONS.unknown,
})

/**
 * Reads `length` octets of options, as forgiving as Linux: an option of the wrong length for its
 * kind is passed over, one that overruns the header ends the list without harm to what came before,
 * and of two of a kind the later one counts. Whether an option may stand on this segment is the
 * reducers' business. Nothing returned is a view of `bytes`.
 */
export const decodeOptions = (bytes: Uint8Array, offset: number, length: number): TcpOptions => {
  if (length === 0) return NO_OPTIONS
  if (length === ALIGNED_TIMESTAMPS_LENGTH && getU32(bytes, offset) === ALIGNED_TIMESTAMPS) {
    return onlyTimestamps(getU32(bytes, offset + 4), getU32(bytes, offset + 8))
  }
  return decodeList(bytes, offset, offset + length)
}

const decodeList = (bytes: Uint8Array, start: number, end: number): TcpOptions => {
  let mss: number | undefined
  let windowScale: number | undefined
  let sackPermitted = false
  let sack = NO_OPTIONS.sack
  let tsVal: number | undefined
  let tsEcr: number | undefined
  let fastOpen: TcpOptions["fastOpen"]
  let md5: Uint8Array | undefined
  let ao: TcpOptions["ao"]
  let unknown = NO_OPTIONS.unknown
  let found = false

  let at = start
  while (at < end) {
    const kind = getU8(bytes, at)
    if (kind === Kind.END) break
    if (kind === Kind.NOP) {
      at++
      continue
    }
    if (end - at < Kind.OPTION_HEAD) break
    const size = getU8(bytes, at + 1)
    if (size < Kind.OPTION_HEAD || size > end - at) break
    const data = at + Kind.OPTION_HEAD
    const next = at + size
    found = true
    switch (kind) {
      case Kind.MSS:
        if (size === Kind.MSS_LENGTH) mss = getU16(bytes, data)
        break
      case Kind.WINDOW_SCALE:
        if (size === Kind.WINDOW_SCALE_LENGTH) windowScale = getU8(bytes, data)
        break
      case Kind.SACK_PERMITTED:
        if (size === Kind.SACK_PERMITTED_LENGTH) sackPermitted = true
        break
      case Kind.SACK:
        if (size > Kind.OPTION_HEAD && (size - Kind.OPTION_HEAD) % Kind.SACK_BLOCK_LENGTH === 0) {
          sack = decodeSack(bytes, data, next)
        }
        break
      case Kind.TIMESTAMPS:
        if (size === Kind.TIMESTAMPS_LENGTH) {
          tsVal = getU32(bytes, data)
          tsEcr = getU32(bytes, data + 4)
        }
        break
      case Kind.MD5:
        if (size === Kind.MD5_LENGTH) md5 = copyOf(bytes, data, next)
        break
      case Kind.AO:
        if (size >= Kind.AO_LENGTH) {
          ao = { keyId: getU8(bytes, data), rNextKeyId: getU8(bytes, data + 1), mac: copyOf(bytes, data + 2, next) }
        }
        break
      case Kind.FAST_OPEN:
        if (isCookieLength(next - data)) fastOpen = { cookie: copyOf(bytes, data, next), experimental: false }
        break
      case Kind.EXPERIMENT:
        if (next - data < 2 || getU16(bytes, data) !== Kind.EXPERIMENT_FAST_OPEN) {
          unknown = keep(unknown, kind, bytes, data, next)
        } else if (isCookieLength(next - data - 2)) {
          fastOpen = { cookie: copyOf(bytes, data + 2, next), experimental: true }
        }
        break
      default:
        unknown = keep(unknown, kind, bytes, data, next)
    }
    at = next
  }
  if (!found) return NO_OPTIONS
  return { mss, windowScale, sackPermitted, sack, tsVal, tsEcr, fastOpen, md5, ao, unknown }
}

/** At most four: more do not fit into 40 octets. */
const decodeSack = (bytes: Uint8Array, start: number, end: number): ReadonlyArray<SackBlock> => {
  const blocks: Array<SackBlock> = []
  for (let at = start; at < end; at += Kind.SACK_BLOCK_LENGTH) {
    blocks.push({ left: getU32(bytes, at), right: getU32(bytes, at + 4) })
  }
  return blocks
}

const isCookieLength = (length: number): boolean =>
  length === 0 || (length >= Kind.COOKIE_MIN && length <= Kind.COOKIE_MAX && length % 2 === 0)

const keep = (
  before: ReadonlyArray<RawOption>,
  kind: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): ReadonlyArray<RawOption> => [...before, { kind, data: copyOf(bytes, start, end) }]
