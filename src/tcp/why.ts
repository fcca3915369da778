/**
 * Why a segment was sent or dropped, or a connection ended: the clause or rule that decided,
 * as "SOURCE-CLAUSE:outcome". Constants, so that one costs a pointer.
 */
export type Why = `${string}:${string}`
