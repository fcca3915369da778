import { expect } from "bun:test"
import { Cause, Effect, Exit, Option, Predicate, type Scope } from "effect"
import { interfaceIndex } from "../../ffi/interface.ts"
import { close } from "../../ffi/libc.ts"
import { openTap as attach } from "../../ffi/tun.ts"
import { openTap } from "../../src/device/tap.ts"
import * as Workers from "../../src/net/Workers.ts"
import { ipv4 } from "../../src/wire/address.ts"
import { netfold } from "../cli/child.ts"
import { KernelListener, KernelSocket } from "./kernelSocket.ts"
import { kernelSuite } from "./namespace.ts"
import { octets, readAll, readExactly, sha256, string, text } from "./octets.ts"
import { needing, output, program } from "./programs.ts"

const STACK = "198.18.0.2"
const COUNT = 3

const dial = (): Promise<KernelSocket> => KernelSocket.begin({ host: STACK, port: 7 }).connected()

const options = (layer: "ethernet" | "ip"): Workers.WorkersOptions => ({
  count: COUNT,
  device: {
    _tag: "Tap",
    name: "nfw0",
    layer,
    offload: true,
    addresses: [{ address: ipv4(0xc6120001), prefixLength: 24 }],
  },
  addresses: [`${STACK}/24`],
  settings: { ipUnprivilegedPortStart: 0 },
  application: new URL("./workerApplication.ts", import.meta.url),
  closeGrace: "300 millis",
})

const withWorkers = (
  given: Workers.WorkersOptions,
  body: (workers: Workers.WorkersService) => Promise<void>,
): Promise<void> =>
  Effect.runPromise(
    Effect.scoped(Effect.flatMap(Workers.make(given), (workers) => Effect.promise(() => body(workers)))),
  )

/** One number of every worker's snapshot. */
const ask = async (workers: Workers.WorkersService, name: string): Promise<ReadonlyArray<number>> =>
  (await Effect.runPromise(workers.ask)).map((answer) => {
    const value = Predicate.isRecord(answer) ? answer[name] : undefined
    return typeof value === "number" ? value : Number.NaN
  })

const total = (numbers: ReadonlyArray<number>): number => numbers.reduce((sum, n) => sum + n, 0)

const failureOf = async (effect: Effect.Effect<unknown, unknown, Scope.Scope>): Promise<unknown> => {
  const exit = await Effect.runPromiseExit(Effect.scoped(effect))
  return Exit.isFailure(exit) ? Option.getOrUndefined(Cause.failureOption(exit.cause)) : undefined
}

for (const layer of ["ethernet", "ip"] as const) {
  kernelSuite(`${COUNT} workers, ${layer}`, import.meta.path, (test) => {
    test("serve all connections, each where the kernel's hash puts it, and stay there", async () => {
      await withWorkers(options(layer), async (workers) => {
        expect([workers.device, workers.count]).toEqual(["nfw0", COUNT])
        const sockets = await Promise.all(Array.from({ length: 60 }, dial))
        for (const round of ["first", "second"]) {
          await Promise.all(
            sockets.map(async (socket, n) => {
              await socket.write(text(`${round} ${n}`.padEnd(12)))
              expect(string(await readExactly(socket, 12)).trimEnd()).toBe(`${round} ${n}`)
            }),
          )
        }
        const shares = await ask(workers, "connections")
        expect(total(shares)).toBe(60)
        // Of sixty by chance: fewer than six at one of three is one in some ten thousand.
        for (const share of shares) expect(share).toBeGreaterThan(5)
        expect(await ask(workers, "index")).toEqual([0, 1, 2])
        const bulk = octets(2 << 20)
        await Promise.all(
          sockets.slice(0, 6).map(async (socket) => {
            const [back] = await Promise.all([readAll(socket), socket.write(bulk).then(() => socket.shutdown())])
            expect(sha256(back)).toBe(sha256(bulk))
          }),
        )
        for (const socket of sockets) socket.close()
      })
      expect(interfaceIndex("nfw0")).toBeUndefined()
    })

    test("a connection that a worker opened comes back to it, also after the kernel has forgotten its queue", async () => {
      const listener = new KernelListener("0.0.0.0")
      try {
        await withListenerOn(layer, listener, async (accepted) => {
          // TUN_FLOW_EXPIRE is three seconds, and looked at every three.
          await Bun.sleep(7000)
          await Promise.all(
            accepted.map(async (socket, n) => {
              await socket.write(text(`still there ${n}`))
              expect(string(await readExactly(socket, 13))).toBe(`still there ${n}`)
              socket.close()
            }),
          )
        })
      } finally {
        listener.close()
      }
    })

    needing(test, "ping")("answer pings", async () => {
      await withWorkers(options(layer), async () => {
        const { stdout } = await program(["ping", "-c", "4", "-i", "0.2", "-W", "2", STACK])
        expect(/(\d+)% packet loss/.exec(stdout)?.[1]).toBe("0")
      })
    })
  })
}

const withListenerOn = (
  layer: "ethernet" | "ip",
  listener: KernelListener,
  body: (accepted: ReadonlyArray<KernelSocket>) => Promise<void>,
): Promise<void> =>
  withWorkers({ ...options(layer), input: { dial: listener.port } }, async (workers) => {
    const accepted = await Promise.all(Array.from({ length: COUNT }, () => listener.accept()))
    const ports = await ask(workers, "port")
    expect(ports).toEqual([...ports].sort((x, y) => x - y))
    await body(accepted)
  })

kernelSuite("Workers: endings", import.meta.path, (test) => {
  test("a number of workers that cannot be meant", async () => {
    expect(await failureOf(Workers.make({ ...options("ethernet"), count: 0 }))).toMatchObject({
      _tag: "InvalidArgument",
    })
  })

  test("a device that cannot be had is the first worker's failure, in its words", async () => {
    const tap = attach("nfw1", false)
    const device = { ...options("ethernet").device, name: "nfw1" }
    const failure = await failureOf(Workers.make({ ...options("ethernet"), device }))
    close(tap.fd)
    expect(failure).toMatchObject({ _tag: "WorkerFailed", worker: 0 })
    expect(String(Predicate.hasProperty(failure, "message") ? failure.message : "")).toStartWith("nfw1: ")
  })

  test("an application that is not there", async () => {
    const application = new URL("./noSuchModule.ts", import.meta.url)
    expect(await failureOf(Workers.make({ ...options("ethernet"), application }))).toMatchObject({
      _tag: "WorkerFailed",
    })
    expect(interfaceIndex("nfw0")).toBeUndefined()
  })

  needing(test, "ip")("an interface that is removed ends them with its name", async () => {
    const failure = await failureOf(
      Effect.flatMap(Workers.make(options("ethernet")), (workers) =>
        Effect.zipRight(
          Effect.promise(() => output("ip", "link", "del", "nfw0")),
          workers.failure,
        ),
      ),
    )
    expect(failure).toMatchObject({ _tag: "WorkerFailed" })
    expect(String(Predicate.hasProperty(failure, "message") ? failure.message : "")).toContain("nfw0")
  })

  test("a queue of an interface that has several needs multiQueue, and gets the same interface", async () => {
    await Effect.runPromise(
      Effect.scoped(
        Effect.gen(function* () {
          const first = yield* openTap({ name: "nfw2", multiQueue: true })
          expect(yield* Effect.flip(openTap({ name: "nfw2" }))).toMatchObject({ _tag: "TapExists" })
          const second = yield* openTap({ name: "nfw2", multiQueue: true, existing: true })
          expect(second.name).toBe(first.name)
        }),
      ),
    )
  })
})

kernelSuite("netfold serve --workers", import.meta.path, (test) => {
  test("serves, counts what all have done, and is seen by ss as so many stacks", async () => {
    const words = ["serve", "--device", "tap:nfw3", "--workers", "2", "--json"]
    const server = netfold(words)
    try {
      expect(await server.line(/"start"/)).toContain('"workers":2')
      const sockets = await Promise.all(Array.from({ length: 20 }, dial))
      for (const socket of sockets) {
        await socket.write(text("hello"))
        expect(string(await readExactly(socket, 5))).toBe("hello")
      }
      const ss = netfold(["ss", "-t"])
      const { stdout } = await ss.ended
      expect(stdout.match(/198\.18\.0\.2:7 /g)?.length).toBe(20)
      for (const socket of sockets) socket.close()
      server.kill("SIGTERM")
      const ended = await server.ended
      expect(ended).toMatchObject({ status: 0, stderr: "" })
      expect(ended.stdout).toMatch(/"stop".*"connections":20/)
      expect(ended.stdout).toMatch(/"bytesOut":100[,}]/)
    } finally {
      server.kill("SIGKILL")
      await server.ended
    }
  })

  test("a number that cannot be meant: one line, status 1", async () => {
    const { status, stderr } = await netfold(["serve", "--workers", "100"]).ended
    expect(status).toBe(1)
    expect(stderr).toBe("netfold: workers: 100: it is 1 to 64\n")
  })
})
