import type { Negotiated } from "./tcb.ts"

/**
 * What both ends have agreed on, as one number: a half-open request keeps no record of its own for
 * it, since anyone can make very many.
 */
export type Terms = number & { readonly Terms: unique symbol }

const FLAGS = 16
const SCALES = 16
const SIGNATURES = 64

export const termsOf = (agreed: Negotiated): Terms => {
  const { peerMss, sndScale, rcvScale, scaling, timestamps, sack, ecn, signature } = agreed
  const flags = (scaling ? 1 : 0) + (timestamps ? 2 : 0) + (sack ? 4 : 0) + (ecn ? 8 : 0)
  return (flags + FLAGS * (sndScale + SCALES * (rcvScale + SCALES * (signature + SIGNATURES * peerMss)))) as Terms
}

export const agreedBy = (terms: Terms): Negotiated => {
  const flags = terms % FLAGS
  const scales = Math.floor(terms / FLAGS)
  const rest = Math.floor(scales / SCALES / SCALES)
  return {
    peerMss: Math.floor(rest / SIGNATURES),
    sndScale: scales % SCALES,
    rcvScale: Math.floor(scales / SCALES) % SCALES,
    scaling: (flags & 1) !== 0,
    timestamps: (flags & 2) !== 0,
    sack: (flags & 4) !== 0,
    ecn: (flags & 8) !== 0,
    signature: rest % SIGNATURES,
  }
}
