import { describe, expect, test } from "bun:test"
import { Chunk, Effect, Either, Fiber, Stream } from "effect"
import * as Inspect from "../../src/net/Inspect.ts"
import { PlainUdp } from "../../src/net/plainUdp.ts"
import * as Udp from "../../src/net/Udp.ts"
import { udpChargen, udpDiscard, udpEcho, udpServiceCounters } from "../../src/net/udpServices.ts"
import { CLIENT, on, pair, pattern, run, SERVER, settle, string, text } from "./support.ts"

const both = () =>
  Effect.gen(function* () {
    const stacks = yield* pair()
    const server = yield* on(stacks.server)(Udp.bind({ port: 7 }))
    const client = yield* on(stacks.client)(Udp.connect({ host: SERVER, port: 7 }))
    return { stacks, server, client }
  })

describe("UDP sockets", () => {
  test("one that is bound and one with a peer: a question and its answer", () =>
    run(
      Effect.gen(function* () {
        const { server, client } = yield* both()
        yield* client.send(text("question"))
        const { payload, source, destination } = yield* server.receive
        expect(string(payload)).toBe("question")
        expect([Udp.formatEndpoint(source), Udp.formatEndpoint(destination)]).toEqual([
          Udp.formatEndpoint(client.local),
          `${SERVER}:7`,
        ])
        yield* server.send(text("answer"), source)
        expect(string((yield* client.receive).payload)).toBe("answer")
        expect(Udp.formatEndpoint(client.remote)).toBe(`${SERVER}:7`)
      }),
    ))

  test("the largest datagram, over a wire that takes 1500 octets at once", () =>
    run(
      Effect.gen(function* () {
        const { server, client } = yield* both()
        const payload = pattern(Udp.LARGEST_DATAGRAM[4])
        yield* client.send(payload)
        expect(Bun.SHA256.hash((yield* server.receive).payload)).toEqual(Bun.SHA256.hash(payload))
        const error = yield* Effect.flip(client.send(pattern(Udp.LARGEST_DATAGRAM[4] + 1)))
        expect(error).toMatchObject({ _tag: "MessageTooLong", errno: "EMSGSIZE" })
      }),
    ))

  test("one send cut into datagrams, by the socket's size and by its own", () =>
    run(
      Effect.gen(function* () {
        const { stacks, server, client } = yield* both()
        const sizes = (count: number) =>
          Effect.map(Stream.runCollect(Stream.take(server.stream, count)), (datagrams) =>
            Chunk.toReadonlyArray(datagrams).map(({ payload }) => payload.length),
          )
        yield* client.send(pattern(2500), { gsoSize: 1000 })
        expect(yield* sizes(3)).toEqual([1000, 1000, 500])
        const cutting = yield* on(stacks.client)(Udp.bind({ gsoSize: 700 }))
        yield* cutting.send(pattern(1500), { host: SERVER, port: 7 })
        expect(yield* sizes(3)).toEqual([700, 700, 100])
        yield* Stream.run(
          Stream.make({ payload: pattern(900), to: { host: SERVER, port: 7 }, gsoSize: 600 }),
          cutting.sink,
        )
        expect(yield* sizes(2)).toEqual([600, 300])
        expect(cutting.plain.setGsoSize(0)).toBeUndefined()
        yield* cutting.send(pattern(1400), { host: SERVER, port: 7 })
        expect(yield* sizes(1)).toEqual([1400])
        const bad = yield* Effect.flip(client.send(pattern(10), { gsoSize: 65_536 }))
        expect(bad).toMatchObject({ _tag: "InvalidArgument", argument: "gsoSize" })
        const many = yield* Effect.flip(client.send(pattern(65), { gsoSize: 1 }))
        expect(many._tag).toBe("InvalidArgument")
        const long = yield* Effect.flip(client.send(pattern(2000), { gsoSize: 1473 }))
        expect(long._tag).toBe("MessageTooLong")
      }),
    ))

  test("a stream echoed into a sink", () =>
    run(
      Effect.gen(function* () {
        const { server, client } = yield* both()
        const echo = Stream.map(server.stream, ({ payload, source }) => ({ payload, to: source }))
        yield* Effect.forkScoped(Stream.run(echo, server.sink))
        // One at a time until the neighbour is known; then as many as there are.
        yield* client.send(text("0"))
        yield* client.receive
        const words = Array.from({ length: 50 }, (_, index) => text(`${index + 1}`))
        yield* Stream.run(Stream.fromIterable(words), client.sink)
        const back = yield* Stream.runCollect(Stream.take(client.stream, 50))
        expect(Chunk.toReadonlyArray(back).map(({ payload }) => string(payload))).toEqual(words.map(string))
      }),
    ))

  test("two fibers that wait: each gets another datagram", () =>
    run(
      Effect.gen(function* () {
        const { server, client } = yield* both()
        const waiting = yield* Effect.forkAll([server.receive, server.receive])
        yield* settle(5)
        yield* client.send(text("a"))
        yield* client.send(text("b"))
        const got = yield* Fiber.join(waiting)
        expect(got.map(({ payload }) => string(payload)).sort()).toEqual(["a", "b"])
      }),
    ))

  test("nobody at the port: receive fails with ConnectionRefused once, and the socket goes on", () =>
    run(
      Effect.gen(function* () {
        const stacks = yield* pair()
        const client = yield* on(stacks.client)(Udp.connect({ host: SERVER, port: 9 }))
        yield* client.send(text("x"))
        expect(yield* Effect.flip(client.receive)).toMatchObject({ _tag: "ConnectionRefused", endpoint: `${SERVER}:9` })
        const server = yield* on(stacks.server)(Udp.bind({ port: 9 }))
        yield* client.send(text("again"))
        expect(string((yield* server.receive).payload)).toBe("again")
      }),
    ))

  test("the same without a peer: only `errors` says so, with the destination", () =>
    run(
      Effect.gen(function* () {
        const stacks = yield* pair()
        const socket = yield* on(stacks.client)(Udp.bind())
        const first = yield* Effect.fork(Stream.runHead(socket.errors))
        yield* settle(5)
        yield* socket.send(text("x"), { host: SERVER, port: 9 })
        const error = (yield* Fiber.join(first)).pipe((head) => (head._tag === "Some" ? head.value : undefined))
        expect(error).toMatchObject({ problem: "PortUnreachable", destination: { port: 9 } })
        yield* socket.send(text("y"), { host: SERVER, port: 9 })
      }),
    ))

  test("the end of the scope: whoever waits is told, and the port is free", () =>
    run(
      Effect.gen(function* () {
        const stacks = yield* pair()
        const socket = yield* Effect.scoped(
          Effect.gen(function* () {
            const bound = yield* on(stacks.server)(Udp.bind({ port: 7 }))
            return bound
          }),
        )
        expect(yield* Effect.flip(socket.receive)).toMatchObject({ _tag: "ConnectionAborted" })
        expect(yield* Effect.flip(socket.send(text("x"), { host: CLIENT, port: 1 }))).toMatchObject({
          _tag: "ConnectionAborted",
        })
        yield* on(stacks.server)(Udp.bind({ port: 7 }))
      }),
    ))

  test.each([
    [{ port: 7 }, "AddressInUse", "EADDRINUSE"],
    [{ host: "192.0.2.1" }, "AddressNotAvailable", "EADDRNOTAVAIL"],
    [{ host: "nobody" }, "InvalidArgument", "EINVAL"],
    [{ port: 70_000 }, "InvalidArgument", "EINVAL"],
    [{ ttl: 256 }, "InvalidArgument", "EINVAL"],
    [{ interface: "nowhere" }, "InvalidArgument", "EINVAL"],
  ])("bind with %j while port 7 is bound: %s", (options, tag, errno) =>
    run(
      Effect.gen(function* () {
        const { stacks } = yield* both()
        expect(yield* Effect.flip(on(stacks.server)(Udp.bind(options)))).toMatchObject({ _tag: tag, errno })
      }),
    ),
  )

  test("to everybody: not without `broadcast`", () =>
    run(
      Effect.gen(function* () {
        const { stacks, server } = yield* both()
        const to = { host: "10.0.0.255", port: 7 }
        const quiet = yield* on(stacks.client)(Udp.bind())
        expect(yield* Effect.flip(quiet.send(text("x"), to))).toMatchObject({ _tag: "PermissionDenied" })
        const loud = yield* on(stacks.client)(Udp.bind({ broadcast: true }))
        yield* loud.send(text("all"), to)
        expect(string((yield* server.receive).payload)).toBe("all")
      }),
    ))

  test("a group: joined by name of the interface, and left", () =>
    run(
      Effect.gen(function* () {
        const { stacks, server } = yield* both()
        const sender = yield* on(stacks.client)(Udp.bind())
        const [device] = stacks.devices
        yield* server.join("239.192.0.1", device.name)
        yield* sender.send(text("group"), { host: "239.192.0.1", port: 7 })
        expect(string((yield* server.receive).payload)).toBe("group")
        expect((yield* server.status).groups).toHaveLength(1)
        yield* server.leave("239.192.0.1", device.name)
        expect((yield* server.status).groups).toEqual([])
      }),
    ))

  test("a reader that sleeps: the newest are lost and counted", () =>
    run(
      Effect.gen(function* () {
        const stacks = yield* pair()
        const server = yield* on(stacks.server)(
          Udp.bind({ port: 7, receiveBuffer: 4 * (1000 + Udp.DATAGRAM_OVERHEAD) }),
        )
        const client = yield* on(stacks.client)(Udp.connect({ host: SERVER, port: 7 }))
        yield* client.send(text("first"))
        yield* server.receive
        for (let i = 0; i < 10; i++) yield* client.send(pattern(1000))
        yield* settle(20)
        expect((yield* server.status).drops).toBe(6)
        const { Udp: counters } = yield* Inspect.counters(stacks.server)
        expect(counters).toMatchObject({ InDatagrams: 5, RcvbufErrors: 6, InErrors: 6 })
      }),
    ))

  test("ss shows them: UNCONN without a peer, ESTAB with one", () =>
    run(
      Effect.gen(function* () {
        const { stacks, client } = yield* both()
        const rows = yield* Inspect.sockets(stacks.client, undefined, ["udp"])
        expect(rows).toMatchObject([
          {
            protocol: "udp",
            state: "ESTABLISHED",
            local: { port: client.local.port },
            peer: { address: SERVER, port: 7 },
          },
        ])
        expect(yield* Inspect.sockets(stacks.server, ["CLOSED"], ["udp"])).toMatchObject([
          { protocol: "udp", state: "CLOSED", local: { address: "0.0.0.0", port: 7 } },
        ])
        expect(yield* Inspect.sockets(stacks.server)).toEqual([])
        expect(yield* Inspect.summary(stacks.server)).toMatchObject({ total: 0, udpIpv4: 1 })
      }),
    ))
})

describe("a UDP socket in callbacks", () => {
  test("paused: nothing comes until it goes on", () =>
    run(
      Effect.gen(function* () {
        const stacks = yield* pair()
        const got: Array<string> = []
        const server = Either.getOrThrow(PlainUdp.bind(stacks.server, { port: 7 }))
        server.on({ onDatagram: (_, { payload }) => void got.push(string(payload)) })
        const client = Either.getOrThrow(PlainUdp.connect(stacks.client, { host: SERVER, port: 7 }))
        client.trySend(text("a"))
        yield* settle(10)
        server.pause()
        client.trySend(text("b"))
        yield* settle(10)
        expect([got, server.paused]).toEqual([["a"], true])
        server.resume()
        yield* settle(10)
        expect(got).toEqual(["a", "b"])
      }),
    ))

  test("that throws: the socket goes on", () =>
    run(
      Effect.gen(function* () {
        const stacks = yield* pair()
        let calls = 0
        const server = Either.getOrThrow(PlainUdp.bind(stacks.server, { port: 7 }))
        server.on({
          onDatagram: () => {
            calls++
            throw new Error("a mistake of the application")
          },
        })
        const client = Either.getOrThrow(PlainUdp.connect(stacks.client, { host: SERVER, port: 7 }))
        for (let i = 0; i < 2; i++) {
          client.trySend(text("x"))
          yield* settle(10)
        }
        expect([calls, server.over, stacks.server.counters.thrown]).toEqual([2, false, 2])
      }),
    ))

  test("whose stack ends: told last", () =>
    run(
      Effect.gen(function* () {
        const closed: Array<string | undefined> = []
        yield* Effect.scoped(
          Effect.gen(function* () {
            const stacks = yield* pair()
            const socket = Either.getOrThrow(PlainUdp.bind(stacks.server, { port: 7 }))
            socket.on({ onClose: (_, error) => void closed.push(error?._tag) })
          }),
        )
        expect(closed).toEqual(["ConnectionAborted"])
      }),
    ))
})

describe("echo, discard and chargen (RFC 862, 863, 864)", () => {
  const served = (service: typeof udpEcho, localPort?: number) =>
    Effect.gen(function* () {
      const stacks = yield* pair()
      const counters = udpServiceCounters()
      const { plain } = yield* on(stacks.server)(Udp.bind({ port: 7 }))
      plain.on(service(counters))
      const local = localPort === undefined ? {} : { local: { port: localPort } }
      const client = yield* on(stacks.client)(Udp.connect({ host: SERVER, port: 7, ...local }))
      const ask = (payload: Uint8Array) =>
        Effect.gen(function* () {
          yield* client.send(payload)
          yield* settle(10)
          return client.plain.tryReceive()?.payload
        })
      return { ask, counters }
    })

  test("echo: the same octets", () =>
    run(
      Effect.gen(function* () {
        const { ask, counters } = yield* served(udpEcho)
        expect(yield* ask(pattern(3000))).toEqual(pattern(3000))
        expect(yield* ask(new Uint8Array())).toEqual(new Uint8Array())
        expect(counters).toEqual({ datagramsIn: 2, datagramsOut: 2, bytesIn: 3000, bytesOut: 3000 })
      }),
    ))

  test("discard: nothing", () =>
    run(
      Effect.gen(function* () {
        const { ask, counters } = yield* served(udpDiscard)
        expect(yield* ask(pattern(100))).toBeUndefined()
        expect(counters.bytesIn).toBe(100)
      }),
    ))

  test("chargen: characters, never more than came, 512 at most", () =>
    run(
      Effect.gen(function* () {
        const { ask } = yield* served(udpChargen)
        expect(string((yield* ask(pattern(10))) ?? pattern(0))).toBe(" !\"#$%&'()")
        expect((yield* ask(pattern(2000)))?.length).toBe(512)
      }),
    ))

  test.each([7, 19])("from port %i, whose owner would answer for ever: silence", (port) =>
    run(
      Effect.gen(function* () {
        const { ask, counters } = yield* served(udpEcho, port)
        expect(yield* ask(text("ping-pong"))).toBeUndefined()
        expect(counters).toMatchObject({ datagramsIn: 1, datagramsOut: 0 })
      }),
    ),
  )
})
