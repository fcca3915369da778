import { unsupported } from "../scriptError.ts"
import { itemsOf, numberOf, resolve } from "../values.ts"
import { type Call, check, done, failed, immediate, isResult, socketOf, statusOf } from "./context.ts"
import { numberIn } from "./optionTable.ts"

export const fcntl: Call = (context, action) => {
  const file = socketOf(context, action.args[0])
  if (isResult(file)) return immediate(file)
  const { definitions } = context.config
  const command = numberOf(action.args[1], definitions, "a command")
  switch (command) {
    case 4:
      file.nonBlocking = (numberOf(action.args[2], definitions, "flags") & 0o4000) !== 0
      return immediate(done(0))
    case 3:
      return immediate(done(2 | (file.nonBlocking ? 0o4000 : 0)))
    case 1:
    case 2:
      return immediate(done(0))
    default:
      return unsupported(action.at, `fcntl ${command}`)
  }
}

export const ioctl: Call = (context, action) => {
  const file = socketOf(context, action.args[0])
  if (isResult(file)) return immediate(file)
  const request = resolve(action.args[1] ?? action.result, context.config.definitions)
  const name = request._tag === "Name" ? request.name : ""
  const value = action.args[2]
  const status = statusOf(context, file)
  const expected = value === undefined || value._tag !== "Array" ? value : itemsOf(value, "a value")[0]
  switch (name) {
    case "FIONBIO":
      file.nonBlocking = numberIn(context, value) !== 0
      return immediate(done(0))
    case "SIOCINQ":
    case "FIONREAD":
      if (file.role === "listener") return immediate(failed("EINVAL"))
      return immediate(done(0, check(context, expected, status?.recvQ ?? 0, name)))
    case "SIOCOUTQ":
    case "TIOCOUTQ":
    case "FIONWRITE":
      if (file.role === "listener") return immediate(failed("EINVAL"))
      return immediate(done(0, check(context, expected, status?.sendQ ?? 0, name)))
    case "SIOCOUTQNSD": {
      const tcb = status?.tcb
      const sent = tcb !== undefined && "snd" in tcb ? (tcb.snd.nxt - tcb.queue.start) >>> 0 : 0
      return immediate(done(0, check(context, expected, Math.max(0, (status?.sendQ ?? 0) - sent), name)))
    }
    case "SIOCATMARK": {
      const atMark = file.id !== undefined && context.machine.host.atMark(file.id)
      return immediate(done(0, check(context, expected, Number(atMark), name)))
    }
    default:
      return unsupported(request.at, `ioctl ${name}`)
  }
}
