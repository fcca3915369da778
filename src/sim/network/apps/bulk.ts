import type { SocketId } from "../../../host/types.ts"
import type { CloseReason } from "../../../tcp/effect.ts"
import type { Endpoint } from "../../../wire/address.ts"
import { type Micros, OFF } from "../../../wire/time.ts"
import type { AnyOptions, Handlers, Machine } from "../machine.ts"
import { Content } from "./content.ts"

/** One transfer as its sender sees it. */
export interface Sending {
  readonly socket: SocketId
  readonly localPort: number
  readonly startedAt: Micros
  connectedAt: Micros
  /** When the connection ended, or OFF. */
  closedAt: Micros
  /** Octets that the host has taken. */
  written: number
  reason: CloseReason | undefined
}

/** One transfer as its receiver sees it. */
export interface Receiving {
  readonly socket: SocketId
  /** The sender's port. */
  readonly from: number
  readonly acceptedAt: Micros
  octets: number
  /** When the sender's end came, or OFF. */
  endedAt: Micros
  /** No octet was other than it should be. */
  intact: boolean
  reason: CloseReason | undefined
}

export interface BulkOptions {
  readonly to: Endpoint
  /** Infinity: for ever. */
  readonly octets: number
  /** Of the content; the receiver's must be the same. Default 1. */
  readonly seed?: number
  readonly options?: AnyOptions
}

const LARGEST_WRITE = 65_521
const LARGEST_READ = 1 << 20

/** Sends octets as fast as the connection takes them, then closes and waits for the peer to. */
export const bulk = (machine: Machine, { to, octets, seed = 1, options = {} }: BulkOptions): Sending => {
  const content = new Content(seed)
  const write = (socket: SocketId): void => {
    while (sending.written < octets) {
      if (machine.host.room(socket) === 0) return
      const most = Math.min(LARGEST_WRITE, octets - sending.written)
      const taken = machine.host.write(socket, content.at(sending.written, most), machine.now)
      if (typeof taken !== "number" || taken === 0) return
      sending.written += taken
      if (sending.written >= octets) machine.host.shutdown(socket, machine.now)
    }
  }
  const handlers: Handlers = {
    connected: (socket) => {
      sending.connectedAt = machine.now
      if (octets === 0) machine.host.shutdown(socket, machine.now)
      write(socket)
    },
    writable: write,
    readable: (socket) => {
      while (machine.host.read(socket, LARGEST_READ, machine.now) instanceof Uint8Array) {}
    },
    closed: (socket) => {
      sending.closedAt = machine.now
      sending.reason = machine.host.status(socket)?.closed?.reason
    },
  }
  const startedAt = machine.now
  const connecting = machine.connect(to, handlers, options)
  const sending: Sending = {
    startedAt,
    socket: connecting,
    localPort: machine.host.status(connecting)?.local.port ?? 0,
    connectedAt: OFF,
    closedAt: OFF,
    written: 0,
    reason: undefined,
  }
  return sending
}

export interface SinkOptions {
  readonly seed?: number
  readonly options?: AnyOptions
  /** Sees each piece as it is read. */
  readonly onOctets?: (of: Receiving, count: number) => void
}

/** Reads and checks whatever comes to a port, and closes after the peer. The list grows by a transfer per connection. */
export const sink = (
  machine: Machine,
  port: number,
  { seed = 1, options = {}, onOctets }: SinkOptions = {},
): ReadonlyArray<Receiving> => {
  const content = new Content(seed)
  const all: Array<Receiving> = []
  machine.listen(
    port,
    (socket) => {
      const receiving: Receiving = {
        socket,
        from: machine.host.status(socket)?.remote?.port ?? 0,
        acceptedAt: machine.now,
        octets: 0,
        endedAt: OFF,
        intact: true,
        reason: undefined,
      }
      all.push(receiving)
      return {
        readable: () => {
          for (;;) {
            const read = machine.host.read(socket, LARGEST_READ, machine.now)
            if (read === "end" && receiving.endedAt === OFF) {
              receiving.endedAt = machine.now
              machine.host.shutdown(socket, machine.now)
            }
            if (!(read instanceof Uint8Array)) return
            if (!content.matches(read, receiving.octets)) receiving.intact = false
            receiving.octets += read.length
            onOctets?.(receiving, read.length)
          }
        },
        closed: () => {
          receiving.reason = machine.host.status(socket)?.closed?.reason
        },
      }
    },
    options,
  )
  return all
}
