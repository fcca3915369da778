/** Sequence numbers: unsigned 32-bit, all arithmetic modulo 2^32 (RFC 9293 section 3.4). */
export type Seq = number

export const add = (a: Seq, n: number): Seq => (a + n) >>> 0

/** How far `a` is ahead of `b`, negative when behind. Meaningful within 2^31. */
export const distance = (a: Seq, b: Seq): number => (a - b) | 0

export const before = (a: Seq, b: Seq): boolean => ((a - b) | 0) < 0
export const after = (a: Seq, b: Seq): boolean => ((a - b) | 0) > 0
export const atOrBefore = (a: Seq, b: Seq): boolean => ((a - b) | 0) <= 0
export const atOrAfter = (a: Seq, b: Seq): boolean => ((a - b) | 0) >= 0

export const latest = (a: Seq, b: Seq): Seq => (after(a, b) ? a : b)
export const earliest = (a: Seq, b: Seq): Seq => (before(a, b) ? a : b)
