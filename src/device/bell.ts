import { check, SystemError } from "../../ffi/errno.ts"
import { F_SETFL, fcntl, O_NONBLOCK, socketPair } from "../../ffi/libc.ts"

declare module "bun" {
  /** Of a descriptor that is connected, which the types leave out: they have its options only. */
  function connect<Data = undefined>(options: FdSocketOptions<Data>): Promise<Socket<Data>>
}

/** Another engine takes over no descriptor. */
export const hasBells = "Bun" in globalThis

export interface Bell {
  /** The end that is written to. */
  readonly out: number
  readonly opened: Promise<void>
}

/** A stream from outside of this thread into its event loop, which it does not keep alive. Throws SystemError. */
export const bell = (onOctets: (octets: Uint8Array) => void, onClose: () => void): Bell => {
  const pair = socketPair()
  if (typeof pair === "number") throw new SystemError("socketpair", pair)
  const [near, out] = pair
  check("fcntl", fcntl(near, F_SETFL, O_NONBLOCK))
  const socket = { data: (_: unknown, octets: Uint8Array) => onOctets(octets), close: onClose }
  return { out, opened: Bun.connect({ fd: near, socket }).then((connected) => void connected.unref()) }
}
