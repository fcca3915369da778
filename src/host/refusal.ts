import type { HostRefusal } from "./types.ts"

export const refuse = (errno: HostRefusal["errno"], why: HostRefusal["why"]): HostRefusal => ({
  _tag: "Refused",
  errno,
  why,
})

export const BAD_ID = refuse("EBADF", "netfold:no-such-socket")
