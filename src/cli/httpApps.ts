import type { RequestListener } from "node:http"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { Effect, type Scope } from "effect"
import * as HttpServer from "../net/HttpServer.ts"
import * as NodeHttp from "../net/NodeHttp.ts"
import { type Answer, answerFor } from "./httpContent.ts"

export const APPS = ["node", "effect"] as const
export type App = (typeof APPS)[number]

/** The same pages, by node:http alone or by an HttpApp of Effect's. */
export const listenerOf = (app: App): Effect.Effect<RequestListener, never, Scope.Scope> =>
  app === "node" ? Effect.succeed(nodeApp) : HttpServer.requestListener(effectApp)

const nodeApp: RequestListener = (request, response) => {
  const answer = answerFor({
    method: request.method ?? "GET",
    target: request.url ?? "/",
    ifNoneMatch: request.headers["if-none-match"],
  })
  const send = (): void => {
    NodeHttp.keepAlive(request, response)
    response.writeHead(answer.status, answer.headers)
    response.end(answer.body)
  }
  if (answer.delay === 0) return send()
  const waiting = setTimeout(send, answer.delay)
  response.on("close", () => clearTimeout(waiting))
}

const effectApp = Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ method, url, headers }) => {
  const answer = answerFor({ method, target: url, ifNoneMatch: headers["if-none-match"] })
  return answer.delay === 0 ? responseOf(answer) : Effect.interruptible(Effect.delay(responseOf(answer), answer.delay))
})

const responseOf = ({ status, headers, body }: Answer) =>
  Effect.sync(() => HttpServerResponse.uint8Array(body, { status, headers }))
