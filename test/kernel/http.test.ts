/**
 * HTTP over TAP with the kernel's clients: load that must not fail, and load on an accept queue
 * that nobody empties, where the counters and `netfold ss` must say what happened on the wire.
 */
import { expect } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Exit, Scope } from "effect"
import { APPS, type App, listenerOf } from "../../src/cli/httpApps.ts"
import { file } from "../../src/cli/httpContent.ts"
import * as ControlSocket from "../../src/net/ControlSocket.ts"
import * as NodeHttp from "../../src/net/NodeHttp.ts"
import * as Tcp from "../../src/net/Tcp.ts"
import { Stack } from "../../src/runtime/stack.ts"
import { type Child, netfold } from "../cli/child.ts"
import { ACK, SYN, tcpAt } from "./handTcp.ts"
import { kernelSuite } from "./namespace.ts"
import { ENDS, FAMILIES, type Family, type Peers, withPeers } from "./peers.ts"
import { needing, output, program } from "./programs.ts"
import { sieved } from "./sieve.ts"
import { until } from "./wait.ts"

const CONNECTIONS = 32
const REQUESTS = 1000
/** Of the listener whose queue is filled by hand. */
const BACKLOG = 4

/** A runtime directory of its own, for the control sockets of one case. */
const withRuntimeDirectory = async (body: (env: Readonly<Record<string, string>>) => Promise<void>): Promise<void> => {
  const directory = mkdtempSync(join(tmpdir(), "netfold-http-"))
  const before = process.env["NETFOLD_RUNTIME_DIR"]
  process.env["NETFOLD_RUNTIME_DIR"] = directory
  try {
    await body({ NETFOLD_RUNTIME_DIR: directory })
  } finally {
    if (before === undefined) delete process.env["NETFOLD_RUNTIME_DIR"]
    else process.env["NETFOLD_RUNTIME_DIR"] = before
    rmSync(directory, { recursive: true })
  }
}

/** `netfold http` on a TAP interface of this namespace. */
const withServer = (app: App, body: (counters: () => Promise<Readonly<Record<string, number>>>) => Promise<void>) =>
  withRuntimeDirectory(async (env) => {
    const child = netfold(["http", "--device", "tap:web0", "--app", app, "--json"], { env })
    try {
      await child.line(/"message":"start"/)
      await body(async () => (await nstat(env))["web0"] ?? {})
    } finally {
      await ended(child)
    }
  })

const ended = async (child: Child): Promise<void> => {
  child.kill("SIGINT")
  expect(await child.ended).toMatchObject({ status: 0, stderr: "" })
}

/** All counters, by stack. */
const nstat = async (
  env: Readonly<Record<string, string>>,
): Promise<Readonly<Record<string, Readonly<Record<string, number>>>>> => {
  const { stdout, stderr } = await netfold(["nstat", "-az", "--json"], { env }).ended
  expect(stderr).toBe("")
  const views: ReadonlyArray<{ readonly stack: string; readonly counters: Readonly<Record<string, number>> }> =
    JSON.parse(stdout)
  return Object.fromEntries(views.map(({ stack, counters }) => [stack, counters]))
}

const number = (text: string, pattern: RegExp): number => Number(pattern.exec(text)?.[1] ?? Number.NaN)

/** What wrk says; it prints these two lines only where something failed. */
const wrk = async (host: string, path: string, ...options: ReadonlyArray<string>): Promise<number> => {
  const said = await output("wrk", "-t2", `-c${CONNECTIONS}`, "-d1s", ...options, `http://${host}${path}`)
  expect(said).not.toMatch(/Socket errors|Non-2xx/)
  return number(said, /(\d+) requests in/)
}

/** The command's two addresses, as a URL has them: both are asked at the same time. */
const overBoth = <A>(ask: (host: string) => Promise<A>): Promise<ReadonlyArray<A>> =>
  Promise.all(["198.18.0.2", "[2001:db8::2]"].map(ask))

const ab = async (host: string, path: string, requests: number, ...options: ReadonlyArray<string>): Promise<string> => {
  const said = await output(
    "ab",
    "-q",
    "-n",
    String(requests),
    "-c",
    String(CONNECTIONS),
    ...options,
    `http://${host}${path}`,
  )
  expect(number(said, /^Complete requests: +(\d+)/m)).toBe(requests)
  expect(number(said, /^Failed requests: +(\d+)/m)).toBe(0)
  expect(said).not.toContain("Non-2xx")
  return said
}

kernelSuite("http over TAP", import.meta.path, (test) => {
  for (const app of APPS) {
    needing(test, "wrk")(
      `${app}, wrk on ${CONNECTIONS} connections, kept and not: no request fails, nothing overflows`,
      () =>
        withServer(app, async (counters) => {
          for (const words of [["/"], ["/", "-H", "Connection: close"], ["/file"]] as const) {
            const [path, ...options] = words
            for (const requests of await overBoth((host) => wrk(host, path, ...options))) {
              expect(requests).toBeGreaterThan(0)
            }
          }
          const { TcpExtListenOverflows, TcpExtListenDrops, TcpPassiveOpens } = await counters()
          expect([TcpExtListenOverflows, TcpExtListenDrops]).toEqual([0, 0])
          expect(TcpPassiveOpens).toBeGreaterThan(6 * CONNECTIONS)
        }),
      40_000,
    )

    needing(test, "ab")(
      `${app}, ab with ${REQUESTS} requests on ${CONNECTIONS} connections, kept and not: no request fails`,
      () =>
        withServer(app, async (counters) => {
          for (const kept of await overBoth((host) => ab(host, "/", REQUESTS, "-k"))) {
            expect(number(kept, /^Keep-Alive requests: +(\d+)/m)).toBe(REQUESTS)
          }
          const opened = (await counters())["TcpPassiveOpens"] ?? 0
          await overBoth((host) => ab(host, "/", REQUESTS))
          // At its end it has a few open that it does not need any more.
          const more = ((await counters())["TcpPassiveOpens"] ?? 0) - opened
          expect(more).toBeGreaterThanOrEqual(2 * REQUESTS)
          expect(more).toBeLessThanOrEqual(2 * (REQUESTS + CONNECTIONS))
          await overBoth((host) => ab(host, "/file", 200))
        }),
      60_000,
    )

    needing(test, "curl")(`${app}, curl for the file: every octet of 1 MiB`, () =>
      withServer(app, async () => {
        await overBoth(async (host) => {
          const child = Bun.spawn(["curl", "-sSg", `http://${host}/file`], { stdout: "pipe", stderr: "inherit" })
          expect(Bun.SHA256.hash(await new Response(child.stdout).bytes())).toEqual(Bun.SHA256.hash(file()))
        })
      }),
    )
  }
})

for (const family of FAMILIES) {
  /** As a URL has it, and as ss shows a listener of all addresses. */
  const [STACK, listening] =
    family === 4 ? [ENDS[4].stack, "0\\.0\\.0\\.0:80 +0\\.0\\.0\\.0:\\*"] : [`[${ENDS[6].stack}]`, "\\*:80 +\\*:\\*"]

  kernelSuite(`http over TAP on an accept queue that nobody empties, over IPv${family}`, import.meta.path, (test) => {
    needing(test, "wrk")(
      `a full accept queue, wrk on ${CONNECTIONS} connections: each SYN is an overflow in ss and nstat, and all are served once somebody accepts`,
      () =>
        withPaused(family, BACKLOG, async ({ wire, listener, stack, kernel, barrier, said, resume }) => {
          // One more than the backlog: a queue of length 4 is full when there are 5 (Linux's sk_acceptq_is_full).
          // The last of them is wrk's own: it tries its target before it begins.
          for (let n = 0; n < BACKLOG; n++) await kernel.dial(listener.address.port)
          await barrier()
          const running = program(["wrk", "-t2", `-c${CONNECTIONS}`, "-d6s", "--timeout", "10s", `http://${STACK}/`])
          await until("every connection has tried", () => wire.syns >= BACKLOG + 1 + CONNECTIONS)
          await barrier()
          expect(wire.answered).toBe(BACKLOG + 1)

          const { table, counters } = await said()
          expect(table).toMatch(new RegExp(`^LISTEN +5 +4 +${listening}\\n\\t requests:0 young:0 drops:\\d+\\n$`))
          const overflows = counters["TcpExtListenOverflows"] ?? 0
          expect(overflows).toBeGreaterThanOrEqual(CONNECTIONS)
          expect(counters["TcpExtListenDrops"]).toBe(overflows)
          expect(counters["Drop:Linux:accept-queue-full"]).toBe(overflows)

          // What the wire says is what the counters say, repeated SYNs included.
          const dropped = wire.syns - wire.answered
          expect(dropped).toBeGreaterThanOrEqual(overflows)
          expect(stack.tcpCounters).toMatchObject({ ListenOverflows: dropped, ListenDrops: dropped })
          await resume()
          const { status, stdout } = await running
          expect(status).toBe(0)
          expect(stdout).not.toMatch(/Socket errors|Non-2xx/)
          expect(number(stdout, /(\d+) requests in/)).toBeGreaterThan(CONNECTIONS)
        }),
      40_000,
    )

    needing(test, "ab")(
      `an accept loop that pauses, ab on ${CONNECTIONS} connections: overflows, all of them counted, and no request fails`,
      () =>
        // All that the pause keeps waiting must fit once it is over: clients that are refused together come again together.
        withPaused(family, CONNECTIONS / 2, async ({ listener, stack, said, resume }) => {
          await resume()
          const running = program(["ab", "-q", "-n", "500", "-c", String(CONNECTIONS), "-s", "20", `http://${STACK}/`])
          await until("ab is under way", () => (stack.tcpCounters["PassiveOpens"] ?? 0) >= 100)
          listener.onConnection(undefined)
          await until("the queue has overflowed", () => (stack.tcpCounters["ListenOverflows"] ?? 0) > 0)
          // No longer than that: requests that wait for room for seven seconds are given up, and reset when they speak.
          expect(stack.list().find(({ state }) => state === "LISTEN")).toMatchObject({ recvQ: 17, sendQ: 16 })
          await resume()
          const { status, stdout } = await running
          expect(status).toBe(0)
          const { table, counters } = await said()
          expect(table).toMatch(new RegExp(`^LISTEN +0 +16 +${listening}$`, "m"))
          const overflows = counters["TcpExtListenOverflows"]
          expect(overflows).toBeGreaterThan(0)
          expect(counters["TcpExtListenDrops"]).toBe(overflows)
          expect(counters["Drop:Linux:accept-queue-full"]).toBe(overflows)
          expect(number(stdout, /^Complete requests: +(\d+)/m)).toBe(500)
          expect(number(stdout, /^Failed requests: +(\d+)/m)).toBe(0)
        }),
      60_000,
    )
  })
}

interface Paused extends Peers {
  /** SYNs to the port, and SYN-ACKs from it. */
  readonly wire: { syns: number; answered: number }
  readonly listener: Tcp.Listener
  /** What `netfold ss -ltni` and `netfold nstat -az` say. */
  readonly said: () => Promise<{ readonly table: string; readonly counters: Readonly<Record<string, number>> }>
  /** Serves HTTP from now on; `listener.onConnection(undefined)` pauses it. */
  readonly resume: () => Promise<void>
}

/** A stack in this process that listens on port 80, and accepts nothing yet. */
const withPaused = (family: Family, backlog: number, body: (paused: Paused) => Promise<void>): Promise<void> =>
  withRuntimeDirectory((env) => {
    const wire = { syns: 0, answered: 0 }
    const through = (device: Parameters<typeof sieved>[0]) =>
      sieved(device, {
        received: (batch) => {
          wire.syns += batch.filter(({ bytes }) => flagsOf(bytes, "to", 80) === SYN).length
          return batch
        },
        sent: (frame) => {
          if (flagsOf(frame, "from", 80) === (SYN | ACK)) wire.answered++
          return true
        },
      })
    return withPeers({ family, through }, async (peers) => {
      const scope = Effect.runSync(Scope.make())
      const on = <A, E>(effect: Effect.Effect<A, E, Stack | Scope.Scope>): Promise<A> =>
        Effect.runPromise(effect.pipe(Effect.provideService(Stack, peers.stack), Scope.extend(scope)))
      try {
        const listener = await on(Tcp.listen({ port: 80, backlog, noDelay: true }))
        await on(ControlSocket.open({ name: "paused", stacks: { tap: peers.stack } }))
        const resume = async (): Promise<void> => {
          NodeHttp.serve(listener, createServer(await on(listenerOf("node"))))
        }
        const said = async () => {
          const ss = await netfold(["ss", "-Hltni", "sport", "=", ":80"], { env }).ended
          expect(ss.stderr).toBe("")
          return { table: ss.stdout, counters: (await nstat(env))["tap"] ?? {} }
        }
        await body({ ...peers, wire, listener, said, resume })
      } finally {
        await Effect.runPromise(Scope.close(scope, Exit.void))
      }
    })
  })

/** SYN and ACK of a segment to or from a port; undefined: another frame. */
const flagsOf = (frame: Uint8Array, way: "to" | "from", port: number): number | undefined => {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength)
  const start = tcpAt(frame)
  if (start === undefined || view.getUint16(start + (way === "to" ? 2 : 0)) !== port) return undefined
  return (frame[start + 13] ?? 0) & (SYN | ACK)
}
