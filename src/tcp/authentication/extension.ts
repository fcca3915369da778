import { after, before, type Seq } from "../seq.ts"

/** The sequence number extension of a place in the stream (RFC 5925 section 6.2): its upper 32 bits. */
export interface Extended {
  readonly seq: Seq
  readonly sne: number
}

export const FIRST_EXTENSION = 0

/** The extension of `seq`, which lies within 2^31 of the place known (Linux's tcp_ao_compute_sne). */
export const extensionOf = ({ seq: known, sne }: Extended, seq: Seq): number => {
  if (before(seq, known)) return seq > known ? (sne - 1) >>> 0 : sne
  return seq < known ? (sne + 1) >>> 0 : sne
}

/** The place known moves on, never back. */
export const moved = (known: Extended, seq: Seq): Extended =>
  after(seq, known.seq) ? { seq, sne: extensionOf(known, seq) } : known
