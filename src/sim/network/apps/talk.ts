import type { SocketId } from "../../../host/types.ts"
import type { Endpoint } from "../../../wire/address.ts"
import { type Micros, OFF } from "../../../wire/time.ts"
import type { AnyOptions, Machine } from "../machine.ts"
import { Content } from "./content.ts"

const LARGEST_READ = 1 << 20

/** Octets that have been read and that the send buffer has not taken yet; the window closes while there are any. */
class Backlog {
  private waiting: Uint8Array | undefined

  constructor(private readonly machine: Machine) {}

  /** Sends what waits, then what can be read; true at the peer's end. */
  pump(socket: SocketId, answer: (read: Uint8Array) => Uint8Array): boolean {
    const { host, now } = this.machine
    for (;;) {
      if (this.waiting !== undefined) {
        const taken = host.write(socket, this.waiting, now)
        if (typeof taken !== "number") return false
        this.waiting = taken < this.waiting.length ? this.waiting.subarray(taken) : undefined
        if (this.waiting !== undefined) return false
      }
      const read = host.read(socket, LARGEST_READ, now)
      if (read === "end") return true
      if (!(read instanceof Uint8Array)) return false
      const out = answer(read)
      if (out.length > 0) this.waiting = out
    }
  }
}

/** RFC 862: sends back what comes, and closes after the peer. */
export const echo = (machine: Machine, port: number, options: AnyOptions = {}): void => {
  machine.listen(
    port,
    () => {
      const backlog = new Backlog(machine)
      const pump = (socket: SocketId): void => {
        if (backlog.pump(socket, (read) => read)) machine.host.shutdown(socket, machine.now)
      }
      return { readable: pump, writable: pump }
    },
    options,
  )
}

export interface Exchange {
  /** Octets of a request, and of its answer. */
  readonly request: number
  readonly response: number
}

/** Answers every `request` octets with `response` ones. */
export const responder = (
  machine: Machine,
  port: number,
  { request, response }: Exchange,
  options: AnyOptions = {},
): void => {
  const content = new Content(2)
  machine.listen(
    port,
    () => {
      const backlog = new Backlog(machine)
      let asked = 0
      let answered = 0
      const answer = (read: Uint8Array): Uint8Array => {
        asked += read.length
        const due = Math.floor(asked / request) * response - answered
        const out = new Uint8Array(due)
        for (let at = 0; at < due; ) {
          const piece = content.at(answered + at, due - at)
          out.set(piece, at)
          at += piece.length
        }
        answered += due
        return out
      }
      const pump = (socket: SocketId): void => {
        if (backlog.pump(socket, answer)) machine.host.shutdown(socket, machine.now)
      }
      return { readable: pump, writable: pump }
    },
    options,
  )
}

export interface RequestsOptions extends Exchange {
  readonly to: Endpoint
  readonly count: number
  /** Between an answer and the next request. */
  readonly think: Micros
  readonly options?: AnyOptions
}

/** How long each answer took, from its request's write to its last octet. */
export interface Requests {
  readonly latencies: Array<Micros>
  closedAt: Micros
}

/** Asks one thing after the other on one connection. A request is written whole: keep it within the send buffer. */
export const requests = (
  machine: Machine,
  { to, count, think, request, response, options = { noDelay: true } }: RequestsOptions,
): Requests => {
  const result: Requests = { latencies: [], closedAt: OFF }
  const question = new Uint8Array(request).fill(0x3f)
  let askedAt: Micros = OFF
  let missing = 0
  const ask = (socket: SocketId): void => {
    askedAt = machine.now
    missing = response
    machine.host.write(socket, question, machine.now)
  }
  machine.connect(
    to,
    {
      connected: (socket) => (count > 0 ? ask(socket) : void machine.host.shutdown(socket, machine.now)),
      readable: (socket) => {
        for (;;) {
          const read = machine.host.read(socket, LARGEST_READ, machine.now)
          if (!(read instanceof Uint8Array)) return
          missing -= read.length
          if (missing > 0 || askedAt === OFF) continue
          result.latencies.push(machine.now - askedAt)
          askedAt = OFF
          if (result.latencies.length < count) machine.after(think, () => ask(socket))
          else machine.host.shutdown(socket, machine.now)
        }
      },
      closed: () => {
        result.closedAt = machine.now
      },
    },
    options,
  )
  return result
}

export interface OnOffOptions {
  readonly to: Endpoint
  /** Octets of one burst, and the silence after it. */
  readonly burst: number
  readonly silence: Micros
  readonly bursts: number
  readonly options?: AnyOptions
}

/** Sends bursts with silence between them, then closes. The content is `sink`'s. Gives the octets written. */
export const onOff = (
  machine: Machine,
  { to, burst, silence, bursts, options = {} }: OnOffOptions,
): { written: number } => {
  const content = new Content(1)
  const result = { written: 0 }
  let allowed = 0
  const write = (socket: SocketId): void => {
    while (result.written < allowed && machine.host.room(socket) > 0) {
      const taken = machine.host.write(socket, content.at(result.written, allowed - result.written), machine.now)
      if (typeof taken !== "number") return
      result.written += taken
    }
    if (result.written === burst * bursts) machine.host.shutdown(socket, machine.now)
  }
  const begin = (socket: SocketId): void => {
    allowed += burst
    write(socket)
    if (allowed < burst * bursts) machine.after(silence, () => begin(socket))
  }
  machine.connect(to, { connected: begin, writable: write }, options)
  return result
}
