import { Clock, Effect, Either, type Scope } from "effect"
import type { EchoAnswer, EchoRequestCall } from "../host/echo/types.ts"
import type { SocketId } from "../host/types.ts"
import type { SocketHappening, SocketOwner } from "../runtime/sockets.ts"
import { Stack, type StackService } from "../runtime/stack.ts"
import type { Micros } from "../tcp/time.ts"
import { formatAddress } from "../wire/addressText.ts"
import { ConnectionAborted, type StackFailed } from "./errors.ts"
import { stackFailure } from "./plainUdp.ts"
import { type UdpError, udpRefusal } from "./udpErrors.ts"

/** What an echo socket calls: an answer, or the end of the stack. */
export interface EchoHandlers {
  readonly onAnswer: (answer: EchoAnswer) => void
  readonly onEnd: (error: ConnectionAborted | StackFailed) => void
}

/** Linux's ping socket, in callbacks. */
export class EchoSocket implements SocketOwner {
  #id: SocketId | undefined

  private constructor(
    private readonly stack: StackService,
    private readonly handlers: EchoHandlers,
  ) {}

  /** Identifier 0: a free one. */
  static open(
    stack: StackService,
    identifier: number,
    receiveBuffer: number,
    handlers: EchoHandlers,
  ): Either.Either<EchoSocket, UdpError> {
    const socket = new EchoSocket(stack, handlers)
    const id = stack.sockets.echo.open(identifier, receiveBuffer, socket)
    if (typeof id !== "number") {
      return Either.left(stackFailure(stack.sockets) ?? udpRefusal(id, `echo identifier ${identifier}`))
    }
    socket.#id = id
    return Either.right(socket)
  }

  get identifier(): number {
    return (this.#id === undefined ? undefined : this.stack.sockets.echo.status(this.#id)?.identifier) ?? 0
  }

  /** Says why it cannot, where it cannot. */
  send(request: EchoRequestCall): UdpError | undefined {
    if (this.#id === undefined) return new ConnectionAborted({ endpoint: "echo", why: "netfold:socket-closed" })
    const refusal = this.stack.sockets.echo.send(this.#id, request)
    if (refusal === undefined) return undefined
    return stackFailure(this.stack.sockets) ?? udpRefusal(refusal, formatAddress(request.to))
  }

  close(): void {
    if (this.#id !== undefined) this.stack.sockets.close(this.#id)
    this.#id = undefined
  }

  /** For the stack. */
  onEvent(event: SocketHappening): void {
    if (event === "ended") {
      const aborted = new ConnectionAborted({ endpoint: "echo", why: "netfold:stack-closed" })
      return this.handlers.onEnd(stackFailure(this.stack.sockets) ?? aborted)
    }
    for (;;) {
      const answer = this.#id === undefined ? "empty" : this.stack.sockets.echo.receive(this.#id)
      if (answer === "empty" || answer._tag === "Refused") return
      this.handlers.onAnswer(answer)
    }
  }
}

/** An echo socket until the scope ends. */
export const echoSocket = (
  handlers: EchoHandlers,
  identifier = 0,
  receiveBuffer = 0,
): Effect.Effect<EchoSocket, UdpError, Stack | Scope.Scope> =>
  Effect.flatMap(Stack, (stack) =>
    Effect.acquireRelease(
      Effect.suspend(() => EchoSocket.open(stack, identifier, receiveBuffer, handlers)),
      (socket) => Effect.sync(() => socket.close()),
    ),
  )

/** The stack's clock, which is that of the fibers about it. */
export const microsNow: Effect.Effect<Micros> = Effect.map(Clock.currentTimeNanos, (nanos) => Number(nanos / 1000n))
