import { abort, close, receive, release, send, sendRoom, shutReading } from "../tcp/calls.ts"
import type { CloseReason, Refused } from "../tcp/effect.ts"
import { withWaiting } from "../tcp/listen.ts"
import { AT_MARK, toMark } from "../tcp/mark.ts"
import { clamped } from "../tcp/open.ts"
import { heldByApplication } from "../tcp/receiveMemory/limit.ts"
import { optionsOf, refusal, setOptions } from "../tcp/setOptions.ts"
import { isSynchronized, type SocketOptions } from "../tcp/tcb.ts"
import type { Micros } from "../tcp/time.ts"
import type { Flow } from "./flow.ts"
import { isUsable } from "./guards.ts"
import { type Notice, Notices, type Watch, writtenOf } from "./notices.ts"
import { BAD_ID, BAD_KEYS, refuse } from "./refusal.ts"
import type { ConnectionSocket } from "./socket.ts"
import { statusOf, statusOfFlow, statusOfRequest } from "./status.ts"
import type { TcpHost } from "./tcpHost.ts"
import type { Ends, HostRefusal, ReadResult, SocketId, SocketStatus } from "./types.ts"

/** What is asked of one socket and changes its connection: see `HostApi` for the calls. */
export class ConnectionCalls {
  constructor(
    private readonly tcp: TcpHost,
    /** A socket that has neither listened nor connected is given up. */
    private readonly forget: (id: SocketId) => void,
  ) {}

  accept(listener: SocketId): SocketId | undefined {
    const socket = this.tcp.sockets.get(listener)
    if (socket?.kind !== "listener") return undefined
    const accepted = socket.accepted.shift()
    if (accepted === undefined) return undefined
    accepted.held = true
    const { flow } = accepted
    if (isSynchronized(flow.tcb)) flow.tcb = heldByApplication(flow.tcb)
    socket.tcb = withWaiting(socket.tcb, socket.accepted.length)
    return accepted.id
  }

  read(id: SocketId, max: number, now: Micros): ReadResult {
    const socket = this.connection(id)
    if (socket === undefined) return BAD_ID
    return this.taken(socket, socket.received.shift(Math.min(max, toMark(socket.flow.tcb))), now)
  }

  borrow(id: SocketId, max: number, now: Micros): ReadResult {
    const socket = this.connection(id)
    if (socket === undefined) return BAD_ID
    return this.taken(socket, socket.received.borrow(Math.min(max, toMark(socket.flow.tcb))), now)
  }

  private taken(socket: ConnectionSocket, bytes: Uint8Array | undefined, now: Micros): ReadResult {
    if (bytes === undefined) return nothingToRead(socket)
    const step = receive(socket.flow.tcb, bytes.length, now)
    // After the end of a connection what it delivered can still be read, and nobody is to be told.
    if (!("_tag" in step)) this.tcp.apply(socket.flow, step, now)
    return bytes
  }

  peek(id: SocketId, max: number): ReadResult {
    const socket = this.connection(id)
    return socket === undefined ? BAD_ID : (socket.received.peek(max) ?? nothingToRead(socket))
  }

  atMark(id: SocketId): boolean {
    const socket = this.connection(id)
    return socket !== undefined && toMark(socket.flow.tcb) === AT_MARK
  }

  takeError(id: SocketId): CloseReason | undefined {
    const socket = this.connection(id)
    if (socket?.closed === undefined || socket.errorTaken) return undefined
    socket.errorTaken = true
    return socket.closed.reason === "done" ? undefined : socket.closed.reason
  }

  write(
    id: SocketId,
    bytes: Uint8Array,
    now: Micros,
    urgent = false,
    more = false,
    record = false,
  ): number | HostRefusal {
    const socket = this.connection(id)
    if (socket === undefined) return BAD_ID
    const { flow } = socket
    const n = Math.min(bytes.length, sendRoom(flow.tcb))
    if (n < bytes.length) socket.wantsRoom = true
    const step =
      n === bytes.length
        ? send(flow.tcb, bytes, urgent, more, record)
        : send(flow.tcb, bytes.subarray(0, n), urgent, more)
    if ("_tag" in step) return step
    this.tcp.apply(flow, step, now)
    return n
  }

  watch(id: SocketId, watch: Watch): HostRefusal | undefined {
    const socket = this.connection(id)
    if (socket === undefined) return BAD_ID
    const { tcb } = socket.flow
    const written = writtenOf(tcb)
    if (written === undefined) return refuse("EPIPE", "RFC9293-3.10.2:connection-closing")
    socket.notices ??= new Notices(written.first)
    socket.notices.watch(written.end, written.nxt, watch)
    return undefined
  }

  takeNotice(id: SocketId): Notice | undefined {
    return this.connection(id)?.notices?.take()
  }

  room(id: SocketId): number {
    const socket = this.connection(id)
    if (socket === undefined) return 0
    const room = sendRoom(socket.flow.tcb)
    if (room === 0) socket.wantsRoom = true
    return room
  }

  setOptions(id: SocketId, options: Partial<SocketOptions>, now: Micros): HostRefusal | undefined {
    this.tcp.endTrains()
    const socket = this.tcp.sockets.get(id)
    if (socket === undefined) return BAD_ID
    if (!isUsable(options)) return BAD_KEYS
    const wrong = refusal(options)
    if (wrong !== undefined) return wrong
    if (socket.kind === "idle") {
      socket.options = { ...socket.options, ...options }
      return undefined
    }
    if (socket.kind === "listener") {
      const changed = { ...socket.tcb.options, ...options }
      const path = clamped(this.tcp.path(0, socket.address.family), changed)
      socket.tcb = { ...socket.tcb, options: changed, path }
      return undefined
    }
    if (!this.tcp.reguard(socket.flow, options)) return BAD_KEYS
    const refused = this.carry(socket.flow, setOptions(socket.flow.tcb, options, now), now)
    if (refused === undefined) this.tcp.optionsSet(socket)
    return refused
  }

  shutdownRead(id: SocketId, now: Micros): HostRefusal | undefined {
    const socket = this.connection(id)
    if (socket === undefined) return BAD_ID
    const refused = this.carry(socket.flow, shutReading(socket.flow.tcb), now)
    if (refused !== undefined) return refused
    socket.shut = true
    this.tcp.notify(socket, "readable")
    return undefined
  }

  shutdown(id: SocketId, now: Micros): HostRefusal | undefined {
    const socket = this.connection(id)
    if (socket === undefined) return BAD_ID
    return this.carry(socket.flow, close(socket.flow.tcb), now)
  }

  close(id: SocketId, now: Micros): void {
    this.giveUp(
      id,
      (flow) => this.carry(flow, lingersNot(flow.tcb) ? abort(flow.tcb, now) : release(flow.tcb, now), now),
      now,
    )
  }

  abort(id: SocketId, now: Micros): void {
    this.giveUp(id, (flow) => this.carry(flow, abort(flow.tcb, now), now), now)
  }

  status(id: SocketId): SocketStatus | undefined {
    this.tcp.endTrains()
    const socket = this.tcp.sockets.look(id)
    return socket === undefined ? undefined : statusOf(socket)
  }

  ends(id: SocketId): Ends | undefined {
    const socket = this.tcp.sockets.look(id)
    return socket?.kind === "connection" ? socket.flow : undefined
  }

  /** Listeners, connections, half-open requests, and connections that nobody holds. */
  all(): ReadonlyArray<SocketStatus> {
    this.tcp.endTrains()
    return [
      ...[...this.tcp.sockets].map(statusOf),
      ...[...this.tcp.listening.requests()].map(statusOfRequest),
      ...this.tcp.orphans().map(statusOfFlow),
    ]
  }

  private connection(id: SocketId): ConnectionSocket | undefined {
    this.tcp.endTrains()
    const socket = this.tcp.sockets.get(id)
    return socket?.kind === "connection" ? socket : undefined
  }

  private carry(flow: Flow, step: ReturnType<typeof close>, now: Micros): Refused | undefined {
    if ("_tag" in step) return step
    this.tcp.apply(flow, step, now)
    return undefined
  }

  private giveUp(id: SocketId, call: (flow: Flow) => void, now: Micros): void {
    this.tcp.endTrains()
    const socket = this.tcp.sockets.get(id)
    if (socket === undefined) return
    if (socket.kind === "idle") return this.forget(id)
    if (socket.kind === "listener") {
      this.tcp.listening.close(socket, (flow) => this.carry(flow, abort(flow.tcb, now), now))
      return
    }
    this.tcp.sockets.delete(id)
    socket.flow.socket = undefined
    call(socket.flow)
  }
}

const nothingToRead = ({ ended, shut, closed }: ConnectionSocket): ReadResult =>
  ended || shut || closed !== undefined ? "end" : "empty"

/** SO_LINGER with no time: close is ABORT. */
const lingersNot = (tcb: Flow["tcb"]): boolean => optionsOf(tcb)?.linger === 0
