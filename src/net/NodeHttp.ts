import { once } from "node:events"
import type { IncomingMessage, Server, ServerResponse } from "node:http"
import type { Duplex } from "node:stream"
import type { Listener } from "./listener.ts"
import { NodeStream } from "./NodeStream.ts"

/** The connections that a server of node:http has from a listener. */
export interface HttpConnections {
  /** Since the beginning, those that are open included. */
  readonly connections: number
  readonly open: number
  /** Octets of all of them. */
  readonly bytesIn: number
  readonly bytesOut: number
  /** Takes no more of them from the listener, and ends those that are open. */
  readonly stop: () => void
}

/** Gives a listener's connections to a server of node:http, which need not listen itself. */
export const serve = (listener: Listener, server: Server): HttpConnections => {
  if (server.listenerCount("clientError") === 0) server.on("clientError", refuse)
  const streams = new Set<NodeStream>()
  const ended = { connections: 0, bytesIn: 0, bytesOut: 0 }
  listener.onConnection((connection) => {
    // As node's own: what a client still gets after its FIN is the server's decision.
    const stream = new NodeStream(connection, { allowHalfOpen: true })
    streams.add(stream)
    stream.once("close", () => {
      streams.delete(stream)
      ended.connections++
      ended.bytesIn += stream.bytesRead
      ended.bytesOut += stream.bytesWritten
    })
    server.emit("connection", stream)
  })
  const sum = (of: (stream: NodeStream) => number): number => [...streams].reduce((total, each) => total + of(each), 0)
  return {
    get connections() {
      return ended.connections + streams.size
    },
    get open() {
      return streams.size
    },
    get bytesIn() {
      return ended.bytesIn + sum(({ bytesRead }) => bytesRead)
    },
    get bytesOut() {
      return ended.bytesOut + sum(({ bytesWritten }) => bytesWritten)
    },
    stop: () => {
      listener.onConnection(undefined)
      for (const stream of streams) stream.destroy()
    },
  }
}

/** What node:http answers by itself to what is no HTTP, and Bun's does not. */
const refuse = (error: Error, socket: Duplex): void => {
  const gone = "code" in error && (error.code === "ECONNRESET" || error.code === "EPIPE")
  if (gone || !socket.writable) socket.destroy()
  else socket.end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", () => socket.destroy())
}

/**
 * HTTP/1.0's persistent connections (RFC 9112 appendix C.2.2), which Bun's node:http does not know:
 * for an answer whose length is in its headers, the client keeps its connection if it asked for it.
 * To be called before the head is written.
 */
export const keepAlive = (request: IncomingMessage, response: ServerResponse): void => {
  const { connection = "" } = request.headers
  if (request.httpVersion !== "1.0" || !/(^|,)\s*keep-alive\s*(,|$)/i.test(connection)) return
  response.shouldKeepAlive = true
  response.setHeader("connection", "keep-alive")
}

/** Writes to a response, and waits until it takes more or is over. */
export const written = async (response: ServerResponse, bytes: Uint8Array): Promise<void> => {
  if (response.destroyed || response.write(bytes)) return
  const over = new AbortController()
  const { signal } = over
  // The loser of the race is called off.
  await Promise.race([once(response, "drain", { signal }), once(response, "close", { signal })]).catch(() => {})
  over.abort()
}
