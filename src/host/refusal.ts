import type { HostRefusal } from "./types.ts"

export const refuse = (errno: HostRefusal["errno"], why: HostRefusal["why"]): HostRefusal => ({
  _tag: "Refused",
  errno,
  why,
})

/** Linux's tcp_v4_parse_md5_keys and tcp_ao_add_cmd: EINVAL for keys that cannot be, or not on this connection. */
export const BAD_KEYS = refuse("EINVAL", "RFC5925-3.1:unusable-keys")

export const BAD_ID = refuse("EBADF", "netfold:no-such-socket")
