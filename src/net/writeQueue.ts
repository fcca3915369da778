import { Effect } from "effect"
import { formatEndpoint } from "../wire/addressText.ts"
import { type ConnectionError, NotConnected } from "./errors.ts"
import type { PlainConnection } from "./plain.ts"

interface PendingWrite {
  readonly bytes: Uint8Array
  offset: number
  readonly resume: (effect: Effect.Effect<void, ConnectionError>) => void
}

const CLOSED_HERE = "netfold:closed-by-application"

/** Writes that wait for room: each goes out whole, in the order of their calls. Holds no copies. */
export interface WriteQueue {
  /** Done once the send buffer has all octets. */
  readonly write: (bytes: Uint8Array) => Effect.Effect<void, ConnectionError>
  /** To be called when there is room, and when the connection is over. */
  readonly drain: () => void
}

export const writeQueue = (plain: PlainConnection): WriteQueue => {
  const pending: Array<PendingWrite> = []

  const drain = (): void => {
    for (;;) {
      const head = pending[0]
      if (head === undefined) return
      const taken = plain.tryWrite(head.bytes.subarray(head.offset))
      if (taken >= 0) {
        head.offset += taken
        if (head.offset < head.bytes.length) return
      }
      pending.shift()
      head.resume(taken < 0 ? notWritable(plain) : Effect.void)
    }
  }

  const write = (bytes: Uint8Array): Effect.Effect<void, ConnectionError> =>
    Effect.suspend(() => {
      const taken = pending.length > 0 ? 0 : plain.tryWrite(bytes)
      if (taken === bytes.length) return Effect.void
      if (taken < 0) return notWritable(plain)
      return Effect.async<void, ConnectionError>((resume) => {
        const waiting: PendingWrite = { bytes, offset: taken, resume }
        pending.push(waiting)
        return Effect.sync(() => {
          const index = pending.indexOf(waiting)
          if (index >= 0) pending.splice(index, 1)
          // It may have stood before one that fits.
          if (index === 0) drain()
        })
      })
    })

  return { write, drain }
}

/** Why nothing can be written, or read, any more. */
export const notWritable = (plain: PlainConnection): Effect.Effect<never, ConnectionError> =>
  Effect.fail(
    plain.error ?? new NotConnected({ endpoint: formatEndpoint(plain.remote), why: CLOSED_HERE, errno: "EPIPE" }),
  )
