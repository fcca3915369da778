import { Effect, type Scope } from "effect"
import { SystemError } from "../../ffi/errno.ts"
import { close, SOCK_NONBLOCK, SOCK_SEQPACKET, socketPair } from "../../ffi/libc.ts"
import type { Device } from "./device.ts"
import { randomMac } from "./mac.ts"
import { pollerStarted, register } from "./poller.ts"
import { TapDevice } from "./tapDevice.ts"
import { explain, type TapError } from "./tapError.ts"

const MTU = 1500

/**
 * Two TAP devices whose descriptors are no interface's but the ends of a socket, so that what one sends the other
 * receives: the same code and the same system calls, without privilege. The socket has room for some 200 KiB; what finds
 * none is dropped.
 */
export const tapPair = (offload: boolean): Effect.Effect<readonly [Device, Device], TapError, Scope.Scope> =>
  Effect.gen(function* () {
    yield* Effect.tryPromise({ try: pollerStarted, catch: failed })
    return yield* Effect.acquireRelease(Effect.try({ try: () => pair(offload), catch: failed }), (both) =>
      Effect.sync(() => {
        for (const device of both) device.close()
      }),
    )
  })

const failed = (cause: unknown): TapError => explain("a pair of TAPs", cause)

const pair = (offload: boolean): readonly [Device, Device] => {
  const fds = socketPair(SOCK_SEQPACKET | SOCK_NONBLOCK)
  if (typeof fds === "number") throw new SystemError("socketpair", fds)
  const end = (fd: number, name: string): Device =>
    new TapDevice(
      { fd, name, datagramOffload: false, napi: false },
      "ethernet",
      randomMac(),
      MTU,
      offload,
      register(fd),
    )
  let near: Device | undefined
  try {
    near = end(fds[0], "near")
    return [near, end(fds[1], "far")]
  } catch (cause) {
    if (near === undefined) close(fds[0])
    else near.close()
    close(fds[1])
    throw cause
  }
}
