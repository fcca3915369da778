import type { CallAction } from "../ast.ts"
import { unsupported } from "../scriptError.ts"
import type { Attempt, Call, CallContext } from "./context.ts"
import { fcntl, ioctl } from "./control.ts"
import { readv, recv, recvmsg, send, sendmsg, writev } from "./data.ts"
import { getsockopt } from "./getsockopt.ts"
import { accept, bind, close, connect, listen, open, shutdown, socket } from "./open.ts"
import { pipe, read, sendfile, splice, write } from "./pipe.ts"
import { epollCreate, epollCtl, epollWait, poll } from "./poll.ts"
import { setsockopt } from "./setsockopt.ts"

const CALLS: Readonly<Record<string, Call>> = {
  socket,
  bind,
  listen,
  accept,
  accept4: accept,
  connect,
  shutdown,
  close,
  read,
  readv,
  recv,
  recvfrom: recv,
  recvmsg,
  write,
  writev,
  send,
  sendto: send,
  sendmsg,
  sendfile,
  pipe,
  splice,
  open,
  setsockopt,
  getsockopt,
  fcntl,
  ioctl,
  poll,
  epoll_create: epollCreate,
  epoll_create1: epollCreate,
  epoll_ctl: epollCtl,
  epoll_wait: epollWait,
}

/** Begins a script's call. */
export const begin = (context: CallContext, action: CallAction): Attempt => {
  const call = CALLS[action.name] ?? unsupported(action.at, `the call ${action.name}`)
  return call(context, action)
}
