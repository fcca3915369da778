import { Effect, Either, type Scope } from "effect"
import type { TcpError } from "../net/errors.ts"
import type { Handlers, PlainConnection } from "../net/plain.ts"
import { Bridge } from "./bridge.ts"
import { UserError } from "./errors.ts"

/**
 * A kernel socket until the end of the scope, which ends its connections in order. Each is carried
 * on over a connection that `dial` makes with the handlers it is given. Returns the port.
 */
export const kernelListener = (
  hostname: string,
  port: number,
  dial: (handlers: Handlers) => Either.Either<PlainConnection, TcpError>,
): Effect.Effect<number, UserError, Scope.Scope> => {
  const bridges = new Set<Bridge>()
  const open = Effect.try({
    try: () =>
      Bun.listen<Bridge>({
        hostname,
        port,
        allowHalfOpen: true,
        socket: {
          open: (kernel) => {
            const bridge = new Bridge(kernel)
            kernel.data = bridge
            const attempt = dial(bridge.handlers)
            if (Either.isLeft(attempt)) return kernel.terminate()
            bridge.attach(attempt.right)
            bridges.add(bridge)
          },
          data: (kernel, bytes) => kernel.data.kernelData(bytes),
          end: (kernel) => kernel.data.kernelEnded(),
          drain: (kernel) => kernel.data.kernelDrained(),
          error: (kernel, error) => kernel.data.kernelClosed(error),
          close: (kernel, error) => {
            bridges.delete(kernel.data)
            kernel.data.kernelClosed(error)
          },
        },
      }),
    catch: (cause) => new UserError({ message: whyNotListening(hostname, port, cause) }),
  })
  return Effect.acquireRelease(open, (listener) =>
    Effect.sync(() => {
      for (const bridge of bridges) bridge.close()
      listener.stop(false)
    }),
  ).pipe(Effect.map((listener) => listener.port))
}

const whyNotListening = (hostname: string, port: number, cause: unknown): string => {
  const at = `${hostname}:${port}`
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : ""
  switch (code) {
    case "EADDRINUSE":
      return `${at} is in use by another process: choose another port with --port`
    case "EACCES":
      return `${at}: ports below 1024 need CAP_NET_BIND_SERVICE: choose another with --port`
    case "EADDRNOTAVAIL":
      return `${at}: this machine has no such address: choose another with --host`
    default:
      return `${at}: cannot listen there (${code || String(cause)})`
  }
}
