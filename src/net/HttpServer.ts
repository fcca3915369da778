import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http"
import { Readable } from "node:stream"
import * as Cookies from "@effect/platform/Cookies"
import * as HttpApp from "@effect/platform/HttpApp"
import type { HttpMiddleware } from "@effect/platform/HttpMiddleware"
import * as HttpServer from "@effect/platform/HttpServer"
import { clientAbortFiberId } from "@effect/platform/HttpServerError"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { Effect, FiberSet, Layer, type Scope } from "effect"
import type { Stack } from "../runtime/stack.ts"
import { formatAddress } from "../wire/addressText.ts"
import * as NodeHttp from "./NodeHttp.ts"
import * as Tcp from "./Tcp.ts"

/** An HttpServer of @effect/platform on a stack: `HttpServer.serve(app)` runs on it as on any other. */
export const make = (
  options: Tcp.ListenOptions = {},
): Effect.Effect<HttpServer.HttpServer, Tcp.TcpError, Stack | Scope.Scope> =>
  Effect.map(Tcp.listen({ noDelay: true, ...options }), (listener) =>
    HttpServer.make({
      address: {
        _tag: "TcpAddress",
        hostname: formatAddress(listener.address.address),
        port: listener.address.port,
      },
      serve: (app, middleware) =>
        Effect.gen(function* () {
          const server = createServer(yield* requestListener(app, middleware))
          yield* Effect.acquireRelease(
            Effect.sync(() => NodeHttp.serve(listener, server)),
            ({ stop }) => Effect.sync(stop),
          )
        }),
    }),
  )

export const layer = (options: Tcp.ListenOptions = {}): Layer.Layer<HttpServer.HttpServer, Tcp.TcpError, Stack> =>
  Layer.scoped(HttpServer.HttpServer, make(options))

/**
 * An app as node:http's servers call it: each request in a fiber of its own, which is interrupted
 * when the client hangs up, and when the scope ends. As on platform's own servers only what is
 * interruptible feels it: an HttpRouter's routes are, a bare app is where it says so.
 */
export const requestListener = <E, R>(
  app: HttpApp.Default<E, R>,
  middleware?: HttpMiddleware,
): Effect.Effect<
  RequestListener,
  never,
  | Exclude<Exclude<R | HttpServerRequest.HttpServerRequest, Scope.Scope>, HttpServerRequest.HttpServerRequest>
  | Scope.Scope
> =>
  Effect.gen(function* () {
    type Needs = Exclude<
      Exclude<R | HttpServerRequest.HttpServerRequest, Scope.Scope>,
      HttpServerRequest.HttpServerRequest
    >
    const fork = yield* FiberSet.makeRuntime<Needs>()
    /** Middleware changes a request, but not what it is made of. */
    const responses = new WeakMap<object, ServerResponse>()
    const handled = HttpApp.toHandled(
      app,
      (request, response) => {
        const { source } = request
        const out = typeof source === "object" && source !== null ? responses.get(source) : undefined
        return out === undefined || out.destroyed ? Effect.void : respond(out, request.method, response)
      },
      middleware,
    )
    return (incoming, outgoing) => {
      const source = webRequest(incoming)
      if (source === undefined) {
        outgoing.writeHead(400).end()
        return
      }
      responses.set(source, outgoing)
      const { remoteAddress } = incoming.socket
      const request = HttpServerRequest.fromWeb(source).modify(remoteAddress === undefined ? {} : { remoteAddress })
      const fiber = fork(Effect.provideService(handled, HttpServerRequest.HttpServerRequest, request))
      outgoing.on("close", () => {
        if (!outgoing.writableFinished) fiber.unsafeInterruptAsFork(clientAbortFiberId)
      })
    }
  })

/** Undefined: its target is none. */
const webRequest = (incoming: IncomingMessage): Request | undefined => {
  const { method = "GET", url = "/", headers } = incoming
  // RFC 9112 section 3.2: a path, or where a proxy was meant, a whole URL.
  const target = /^https?:\/\//i.test(url) ? url : `http://localhost${url.startsWith("/") ? url : `/${url}`}`
  if (!URL.canParse(target)) return undefined
  const own = new Headers()
  for (const [name, value] of Object.entries(headers)) {
    for (const each of Array.isArray(value) ? value : [value ?? ""]) own.append(name, each)
  }
  const bare = method === "GET" || method === "HEAD"
  return new Request(target, {
    method,
    headers: own,
    ...(bare ? {} : { body: Readable.toWeb(incoming), duplex: "half" }),
  })
}

/** Done when the response has been given to the connection whole. */
const respond = (
  out: ServerResponse,
  method: string,
  response: HttpServerResponse.HttpServerResponse,
): Effect.Effect<void> => {
  const { body } = response
  if (method === "HEAD" || body._tag === "Empty" || body._tag === "Uint8Array") {
    return Effect.sync(() => {
      writeHead(out, response)
      out.end(method !== "HEAD" && body._tag === "Uint8Array" ? body.body : undefined)
    })
  }
  return Effect.flatMap(Effect.runtime<never>(), (runtime) =>
    Effect.promise(async () => {
      const web = HttpServerResponse.toWeb(response, { runtime })
      writeHead(out, response)
      for await (const chunk of web.body ?? []) {
        if (out.destroyed) return
        await NodeHttp.written(out, chunk)
      }
      out.end()
    }),
  ).pipe(Effect.onError(() => Effect.sync(() => out.destroy())))
}

const writeHead = (out: ServerResponse, response: HttpServerResponse.HttpServerResponse): void => {
  const { status, statusText, headers, cookies } = response
  if ("content-length" in headers) NodeHttp.keepAlive(out.req, out)
  const all: Record<string, string | Array<string>> = { ...headers }
  if (!Cookies.isEmpty(cookies)) all["set-cookie"] = Cookies.toSetCookieHeaders(cookies)
  if (statusText === undefined) out.writeHead(status, all)
  else out.writeHead(status, statusText, all)
}
