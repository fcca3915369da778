/** IW10 (RFC 6928 section 2): octets. */
export const initialWindow = (mss: number, segments: number): number =>
  Math.min(segments * mss, Math.max(2 * mss, segments * 1460))
