import { sendRoom } from "../tcp/calls.ts"
import { CLOSED, isSynchronized, type Tcb } from "../tcp/tcb.ts"
import { UNSPECIFIED4 } from "../wire/address.ts"
import { authenticationStatus } from "./authentication/session.ts"
import type { Flow } from "./flow.ts"
import type { HalfOpen } from "./halfOpen.ts"
import type { AnySocket } from "./socket.ts"
import type { SocketId, SocketStatus } from "./types.ts"

/** STATUS (RFC 9293 section 3.10.6), with the columns of `ss`. */
export const statusOf = (socket: AnySocket): SocketStatus => {
  if (socket.kind === "idle") {
    const { address, port } = socket.bound ?? { address: UNSPECIFIED4, port: 0 }
    return {
      socket: socket.id,
      state: "CLOSED",
      local: { address, port },
      remote: undefined,
      recvQ: 0,
      sendQ: 0,
      room: 0,
      closed: undefined,
      tcb: CLOSED,
    }
  }
  return socket.kind === "listener"
    ? {
        socket: socket.id,
        state: "LISTEN",
        local: { address: socket.address, port: socket.port === "every" ? 0 : socket.port },
        remote: undefined,
        recvQ: socket.accepted.length,
        sendQ: socket.tcb.backlog,
        room: 0,
        closed: undefined,
        tcb: socket.tcb,
        drops: socket.drops,
      }
    : {
        ...statusOfFlow(socket.flow),
        socket: socket.id,
        recvQ: socket.received.length,
        closed: socket.closed,
        totals: socket.totals,
        notices: socket.notices?.waiting === true,
      }
}

export const statusOfFlow = (flow: Flow): SocketStatus => {
  const { tcb } = flow
  return {
    socket: flow.id,
    state: tcb._tag,
    local: flow.local,
    remote: flow.remote,
    recvQ: 0,
    sendQ: queued(tcb),
    room: sendRoom(tcb),
    closed: undefined,
    authentication: authenticationStatus(flow.guard?.session),
    tcb,
  }
}

/** A half-open request has no socket yet: its id is 0. */
export const statusOfRequest = ({ request, guard }: HalfOpen): SocketStatus => ({
  socket: NO_SOCKET,
  state: request._tag,
  local: request.local,
  remote: request.remote,
  recvQ: 0,
  sendQ: 0,
  room: 0,
  closed: undefined,
  authentication: authenticationStatus(guard?.session),
  tcb: request,
})

const NO_SOCKET = 0 as SocketId

const queued = (tcb: Tcb): number => {
  if (tcb._tag === "SYN-SENT") return tcb.queue.length
  return isSynchronized(tcb) ? tcb.queue.length : 0
}
