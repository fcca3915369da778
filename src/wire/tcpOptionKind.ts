/** Option kinds, with their lengths on the wire where those are fixed. Octets, kind and length included. */
export const END = 0
export const NOP = 1
export const MSS = 2
export const MSS_LENGTH = 4
export const WINDOW_SCALE = 3
export const WINDOW_SCALE_LENGTH = 3
export const SACK_PERMITTED = 4
export const SACK_PERMITTED_LENGTH = 2
export const SACK = 5
export const SACK_BLOCK_LENGTH = 8
export const TIMESTAMPS = 8
export const TIMESTAMPS_LENGTH = 10
export const MD5 = 19
export const MD5_LENGTH = 18
export const AO = 29
/** Without the MAC (RFC 5925 section 2.2). */
export const AO_LENGTH = 4
export const FAST_OPEN = 34
/** RFC 7413 section 2: a cookie is 4 to 16 octets, an even number; none is a request. */
export const COOKIE_MIN = 4
export const COOKIE_MAX = 16
/** RFC 6994: shared by experiments, told apart by the next 16 bits; this is Fast Open's number. */
export const EXPERIMENT = 254
export const EXPERIMENT_FAST_OPEN = 0xf989

/** Kind and length. */
export const OPTION_HEAD = 2
/** All options of one segment (RFC 9293 section 3.1: the data offset counts to 15). */
export const OPTION_SPACE = 40
