/** The two ECN bits of an IP header (RFC 3168 section 5). */
export const NOT_ECT = 0
export const ECT1 = 1
export const ECT0 = 2
export const CE = 3

export type Codepoint = typeof NOT_ECT | typeof ECT1 | typeof ECT0 | typeof CE

/** Of a TOS octet or traffic class. */
export const codepointOf = (tos: number): Codepoint => {
  switch (tos & 3) {
    case 1:
      return ECT1
    case 2:
      return ECT0
    case 3:
      return CE
    default:
      return NOT_ECT
  }
}
