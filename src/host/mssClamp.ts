import { getU8, getU16, setU16 } from "../wire/bytes.ts"
import { update16 } from "../wire/checksum.ts"
import { TCP_CHECKSUM_OFFSET, TCP_HEADER } from "../wire/tcp.ts"
import { SYN } from "../wire/tcpSegment.ts"

/** Where the fields of a TCP header lie. */
const OFFSET_AND_FLAGS = 12

const END_OF_OPTIONS = 0
const NO_OPERATION = 1
const MSS = 2
const MSS_LENGTH = 4

/**
 * Lowers the MSS option of a SYN to `most`, so that neither end sends what a link on the way does not
 * take: for paths on which "packet too big" does not come back (RFC 2923 section 2.1). `bytes` holds
 * the segment from `at` to `end`; its checksum follows the change (RFC 1624). Another segment, one
 * that is cut short, and a SYN without the option stay as they are.
 */
export const clampMss = (bytes: Uint8Array, at: number, end: number, most: number): void => {
  if (end - at < TCP_HEADER || (getU8(bytes, at + OFFSET_AND_FLAGS + 1) & SYN) === 0) return
  const options = Math.min(end, at + 4 * (getU8(bytes, at + OFFSET_AND_FLAGS) >> 4))
  for (let option = at + TCP_HEADER; option < options; ) {
    const kind = getU8(bytes, option)
    if (kind === END_OF_OPTIONS) return
    const length = kind === NO_OPERATION ? 1 : option + 1 < options ? getU8(bytes, option + 1) : 0
    if (length === 0 || option + length > options) return
    if (kind === MSS && length === MSS_LENGTH) return lower(bytes, at, option + 2, most)
    option += length
  }
}

const lower = (bytes: Uint8Array, at: number, field: number, most: number): void => {
  if (getU16(bytes, field) <= most) return
  // The sum is of words that begin at even octets of the segment: the field may lie across two of them.
  const first = field - ((field - at) & 1)
  const words = [first, first + 2]
  const before = words.map((word) => getU16(bytes, word))
  setU16(bytes, field, most)
  const sum = words.reduce(
    (checksum, word, index) => update16(checksum, before[index] ?? 0, getU16(bytes, word)),
    getU16(bytes, at + TCP_CHECKSUM_OFFSET),
  )
  setU16(bytes, at + TCP_CHECKSUM_OFFSET, sum)
}
