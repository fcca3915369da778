import type { Handlers, PlainConnection } from "./plain.ts"
import { READ_SIZE } from "./plain.ts"

/** What a service has done: octets, and connections over its life. */
export interface ServiceCounters {
  connections: number
  open: number
  bytesIn: number
  bytesOut: number
}

export const serviceCounters = (): ServiceCounters => ({ connections: 0, open: 0, bytesIn: 0, bytesOut: 0 })

/** Takes over one connection; for `Listener.onConnection`. */
export type Service = (connection: PlainConnection) => void

/**
 * Echo (RFC 862): what arrives goes back. It reads no more than it can send at once, so it holds
 * nothing: a peer that does not read closes its own window.
 */
export const echo = (counters: ServiceCounters): Service => {
  const pump = (connection: PlainConnection): void => {
    let { room } = connection
    while (room > 0) {
      const bytes = connection.tryRead(Math.min(room, READ_SIZE))
      if (bytes === "empty") return
      if (bytes === "end") {
        connection.close()
        return
      }
      counters.bytesIn += bytes.length
      const taken = connection.tryGive(bytes)
      if (taken < bytes.length) {
        connection.abort()
        return
      }
      counters.bytesOut += taken
      // Asking for room that is not there is what orders the `onDrain`.
      room = room > taken ? room - taken : connection.room
    }
  }
  return serve(counters, { onReadable: pump, onDrain: pump })
}

/** Discard (RFC 863): what arrives is thrown away. */
export const discard = (counters: ServiceCounters): Service =>
  serve(counters, {
    onLent: (_connection, bytes) => {
      counters.bytesIn += bytes.length
    },
  })

/** Character generator (RFC 864): lines for as long as the peer takes them. What arrives is thrown away. */
export const chargen = (counters: ServiceCounters): Service => {
  const pattern = repeated(chargenPattern(), PERIODS)
  return (connection) => {
    let at = 0
    const fill = (): void => {
      for (;;) {
        // The pattern never changes, so it is given, not copied.
        const taken = connection.tryGive(pattern.subarray(at))
        if (taken <= 0) return
        counters.bytesOut += taken
        at = (at + taken) % pattern.length
      }
    }
    serve(counters, {
      onData: (_connection, bytes) => {
        counters.bytesIn += bytes.length
      },
      onDrain: fill,
    })(connection)
    fill()
  }
}

/** So many octets at once are about a super-segment. */
const PERIODS = 9

const repeated = (bytes: Uint8Array, times: number): Uint8Array => {
  const out = new Uint8Array(bytes.length * times)
  for (let n = 0; n < times; n++) out.set(bytes, n * bytes.length)
  return out
}

const FIRST_CHARACTER = 0x20
/** The printing characters of ASCII, space included. */
const CHARACTERS = 95
const COLUMNS = 72
const LINE = COLUMNS + 2

/** One period: 95 lines of 72 characters, each begun one further into the ring of printing characters, and CR LF. 7030 octets. */
export const chargenPattern = (): Uint8Array => {
  const pattern = new Uint8Array(CHARACTERS * LINE)
  for (let line = 0; line < CHARACTERS; line++) {
    for (let column = 0; column < COLUMNS; column++) {
      pattern[line * LINE + column] = FIRST_CHARACTER + ((line + column) % CHARACTERS)
    }
    pattern[line * LINE + COLUMNS] = 0x0d
    pattern[line * LINE + COLUMNS + 1] = 0x0a
  }
  return pattern
}

const serve = (counters: ServiceCounters, handlers: Handlers): Service => {
  const counted: Handlers = {
    ...handlers,
    onClose: () => {
      counters.open--
    },
  }
  return (connection) => {
    counters.connections++
    counters.open++
    connection.on(counted)
  }
}
