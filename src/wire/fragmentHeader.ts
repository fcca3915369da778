import { getU8, getU16, getU32, setU8, setU16, setU32 } from "./bytes.ts"

/** The IPv6 Fragment header (RFC 8200 section 4.5). */
export interface FragmentHeader {
  /** What the fragmentable part begins with. */
  readonly nextHeader: number
  /** Octets, a multiple of 8. */
  readonly offset: number
  readonly more: boolean
  readonly identification: number
}

export const FRAGMENT_HEADER = 8
export const NEXT_HEADER_FRAGMENT = 44

/** The caller has seen that its eight octets are there. */
export const readFragmentHeader = (bytes: Uint8Array, at: number): FragmentHeader => {
  const word = getU16(bytes, at + 2)
  return {
    nextHeader: getU8(bytes, at),
    offset: word & 0xfff8,
    more: (word & 1) !== 0,
    identification: getU32(bytes, at + 4),
  }
}

export const writeFragmentHeader = (out: Uint8Array, at: number, header: FragmentHeader): void => {
  setU8(out, at, header.nextHeader)
  setU8(out, at + 1, 0)
  setU16(out, at + 2, (header.offset & 0xfff8) | (header.more ? 1 : 0))
  setU32(out, at + 4, header.identification)
}
