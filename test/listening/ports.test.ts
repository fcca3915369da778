import { beforeAll, describe, expect, test } from "bun:test"
import { join } from "node:path"
import { enterCommand, whyNoNamespace } from "../../ffi/namespace.ts"
import { PortTable } from "../../src/host/portTable.ts"
import type { SocketId } from "../../src/host/types.ts"
import { defaultSocketOptions, type SocketOptions } from "../../src/tcp/tcb.ts"
import { type Endpoint, type IpAddress, ipv4, UNSPECIFIED4, UNSPECIFIED6 } from "../../src/wire/address.ts"
import { ACK, FIN } from "../../src/wire/tcpSegment.ts"
import { type Address, type Answer, expected, optionsOf, type Question, questions } from "./portRules.ts"
import {
  errnoOf,
  granted,
  HOST,
  HOST2,
  HOST6,
  isRefusal,
  Peer,
  PORT,
  peerAddress,
  Scene,
  type SceneOptions,
} from "./scene.ts"

/** As a socket of IPv6 writes an address of IPv4. */
const mapped = (address: IpAddress): IpAddress => ({ ...address, family: 6 })

const ADDRESS: Readonly<Record<Address, IpAddress>> = {
  any: UNSPECIFIED4,
  one: HOST,
  two: HOST2,
  any6: UNSPECIFIED6,
  only6: UNSPECIFIED6,
  one6: HOST6,
  mappedAny: mapped(UNSPECIFIED4),
  mappedOne: mapped(HOST),
}

/** A bound socket, or the refusal. */
const bind = (scene: Scene, local: Endpoint, options: Partial<SocketOptions> = {}) => {
  const socket = scene.host.socket({ ...defaultSocketOptions, ...options })
  const refusal = scene.host.bind(socket, local)
  if (refusal !== undefined) scene.host.close(socket, scene.now)
  return refusal ?? socket
}

/** The same as portKernel.py's `ask`. */
const ask = ({ holder, first, firstAddress, second, secondAddress }: Question): Answer => {
  const scene = new Scene({ dual: true })
  const { host } = scene
  const holding = granted(bind(scene, { address: ADDRESS[firstAddress], port: PORT }, optionsOf(first, firstAddress)))
  if (holder !== "bound") granted(host.startListening(holding, 1))
  if (holder === "connected" || holder === "time-wait") {
    const peer = new Peer(scene).connect()
    const accepted = scene.accept(holding)
    host.close(holding, scene.now)
    if (holder === "time-wait") {
      host.close(accepted, scene.now)
      scene.turn()
      peer.ack++
      peer.send({ flags: FIN | ACK })
      expect(scene.states()).toEqual(["TIME-WAIT"])
    }
  }
  const socket = bind(scene, { address: ADDRESS[secondAddress], port: PORT }, optionsOf(second, secondAddress))
  if (isRefusal(socket)) return { bind: socket.errno, listen: socket.errno }
  return { bind: "", listen: errnoOf(host.startListening(socket, 1)) }
}

describe("sharing a port", () => {
  test(`${questions.length} combinations are decided as inet_bind_conflict does`, () => {
    const wrong = questions.flatMap((question) => {
      const [is, should] = [ask(question), expected(question)]
      return Bun.deepEquals(is, should) ? [] : [{ ...{ name: question.name }, is, should }]
    })
    expect(wrong).toEqual([])
  }, 30_000)

  const missing = Bun.which("python3") === null ? "no python3" : whyNoNamespace()
  const name = "the kernel gives the same answers to the same calls"
  describe.skipIf(missing !== undefined)(missing === undefined ? "and" : `and (skipped: ${missing})`, () => {
    let answers: ReadonlyArray<Answer> = []
    beforeAll(async () => {
      const script = join(import.meta.dir, "portKernel.py")
      const words = ["sh", "-c", `ip link set lo up && exec python3 ${script}`]
      const child = Bun.spawn(enterCommand(words), {
        stdin: new Blob([questions.map((question) => JSON.stringify(question)).join("\n")]),
        stdout: "pipe",
        stderr: "inherit",
      })
      answers = (await child.stdout.text())
        .split("\n")
        .filter(Boolean)
        .map((line): Answer => JSON.parse(line))
    }, 20_000)
    test(name, () => {
      expect(answers).toHaveLength(questions.length)
      const wrong = questions.flatMap((question, n) =>
        Bun.deepEquals(answers[n], expected(question))
          ? []
          : [{ name: question.name, kernel: answers[n], rule: expected(question) }],
      )
      expect(wrong).toEqual([])
    })
  })

  test("listening asks again: of two that share a bound port by SO_REUSEADDR only one may listen", () => {
    const scene = new Scene()
    const at = { address: UNSPECIFIED4, port: PORT }
    const [one, two] = [bind(scene, at, { reuseAddress: true }), bind(scene, at, { reuseAddress: true })].map(granted)
    if (one === undefined || two === undefined) throw new Error("not bound")
    expect(scene.host.startListening(one, 1)).toBeUndefined()
    expect(scene.host.startListening(two, 1)).toMatchObject({
      errno: "EADDRINUSE",
      why: "Linux:inet_csk_listen_start:conflict",
    })
    // It is still bound: once the other one is gone it may listen.
    scene.host.close(one, scene.now)
    expect(scene.host.startListening(two, 1)).toBeUndefined()
  })

  test("by SO_REUSEPORT: each flow has one of the listeners, always the same, and all get their share", () => {
    const scene = new Scene()
    const listeners = [1, 2, 3, 4].map(() => scene.listen({ backlog: 1000, reusePort: true }))
    const share = () => listeners.map((listener) => scene.queues(listener).waiting)
    const peers = Array.from(
      { length: 400 },
      (_, n) => new Peer(scene, { address: peerAddress(n & 63), port: 2000 + n }),
    )
    for (const peer of peers) peer.connect()
    const shares = share()
    expect(shares.reduce((sum, n) => sum + n)).toBe(400)
    for (const one of shares) expect(one).toBeGreaterThan(60)
    // The same four values once more, after the first connections are gone.
    const before = listeners.map((listener) => remotes(scene, listener))
    for (const peer of peers) new Peer(scene, { address: peer.address, port: peer.port, iss: 9_000_000 }).connect()
    expect(listeners.map((listener) => remotes(scene, listener))).toEqual(before)
  })

  test("flows of IPv4 go to IPv4's listener before those of both families, which share them when it is gone", () => {
    const scene = new Scene({ dual: true })
    const both = [1, 2].map(() => scene.listen({ address: UNSPECIFIED6, backlog: 100, reusePort: true }))
    const only = scene.listen({ address: UNSPECIFIED6, backlog: 100, reusePort: true, ipv6Only: true })
    const one = scene.listen({ backlog: 100, reusePort: true })
    const waiting = () => [...both, one, only].map((listener) => scene.queues(listener).waiting)
    const connect = (port: number) => {
      for (let n = 0; n < 20; n++) new Peer(scene, { address: peerAddress(n + 1), port }).connect()
    }
    connect(40_000)
    expect(waiting()).toEqual([0, 0, 20, 0])
    scene.host.close(one, scene.now)
    connect(40_001)
    const [first = 0, second = 0] = both.map((listener) => scene.queues(listener).waiting)
    expect(first + second).toBe(20)
    expect(Math.min(first, second)).toBeGreaterThan(3)
    expect(scene.queues(only).waiting).toBe(0)
  })

  test("a listener on an address is asked before one on every address", () => {
    const scene = new Scene()
    const every = scene.listen({ reusePort: true })
    const one = scene.listen({ reusePort: true, address: HOST2 })
    new Peer(scene, { to: { address: HOST2, port: PORT } }).connect()
    new Peer(scene, { to: { address: HOST, port: PORT }, port: 40_001 }).connect()
    expect([scene.queues(every).waiting, scene.queues(one).waiting]).toEqual([1, 1])
    expect(remotes(scene, one)).toEqual(["40000"])
  })
})

/** Accepts and resets everything; the ports of the peers. */
const remotes = (scene: Scene, listener: SocketId): ReadonlyArray<string> => {
  const out: Array<string> = []
  for (let socket = scene.host.accept(listener); socket !== undefined; socket = scene.host.accept(listener)) {
    out.push(String(scene.status(socket).remote?.port))
    scene.host.abort(socket, scene.now)
  }
  scene.turn()
  scene.took()
  return out.sort()
}

describe("refusals", () => {
  const elsewhere = ipv4(0x08080808)
  const rows: ReadonlyArray<
    readonly [what: string, run: (scene: Scene) => unknown, errno: string, settings?: SceneOptions["settings"]]
  > = [
    [
      "bind twice",
      (s) => s.host.bind(granted(bind(s, { address: HOST, port: 80 })), { address: HOST, port: 81 }),
      "EINVAL",
    ],
    ["bind to an address that is not ours", (s) => bind(s, { address: elsewhere, port: 80 }), "EADDRNOTAVAIL"],
    ["... by IP_FREEBIND", (s) => bind(s, { address: elsewhere, port: 80 }, { freeBind: true }), ""],
    ["... by ipNonlocalBind", (s) => bind(s, { address: elsewhere, port: 80 }), "", { ipNonlocalBind: true }],
    [
      "bind below ipUnprivilegedPortStart",
      (s) => bind(s, { address: HOST, port: 1023 }),
      "EACCES",
      { ipUnprivilegedPortStart: 1024 },
    ],
    [
      "bind at ipUnprivilegedPortStart",
      (s) => bind(s, { address: HOST, port: 1024 }),
      "",
      { ipUnprivilegedPortStart: 1024 },
    ],
    [
      "bind to port 0 is never privileged",
      (s) => bind(s, { address: HOST, port: 0 }),
      "",
      { ipUnprivilegedPortStart: 65_535 },
    ],
    ["bind to port 65536", (s) => bind(s, { address: HOST, port: 65_536 }), "EINVAL"],
    [
      "bind where somebody is bound",
      (s) => [bind(s, { address: HOST, port: 80 }), bind(s, { address: HOST, port: 80 })][1],
      "EADDRINUSE",
    ],
    ["listen on a connected socket", (s) => s.host.startListening(connected(s), 1), "EINVAL"],
    [
      "connect a listener",
      (s) => s.host.startConnecting(s.listen(), { address: peerAddress(1), port: 9 }, s.now),
      "EISCONN",
    ],
    [
      "connect while connecting",
      (s) => s.host.startConnecting(connecting(s), { address: peerAddress(1), port: 9 }, s.now),
      "EALREADY",
    ],
    [
      "connect once more",
      (s) => s.host.startConnecting(connected(s), { address: peerAddress(1), port: 9 }, s.now),
      "EISCONN",
    ],
    ["connect to where no route leads", (s) => dial(s, { address: elsewhere, port: 9 }), "ENETUNREACH"],
    ["bind a socket that is closed", (s) => s.host.bind(closed(s), { address: HOST, port: 80 }), "EBADF"],
    ["listen on a socket that is closed", (s) => s.host.startListening(closed(s), 1), "EBADF"],
  ]
  test.each(rows)("%s", (_, run, errno, settings = {}) => {
    expect(errnoOf(run(new Scene({ settings })))).toBe(errno)
  })
})

const dial = (scene: Scene, remote: Endpoint, local: { address?: IpAddress; port?: number } = {}, options = {}) =>
  scene.host.connect({ remote, local, options: { ...defaultSocketOptions, ...options } }, scene.now)
const connecting = (scene: Scene): SocketId => granted(dial(scene, { address: peerAddress(1), port: 7 }))
const connected = (scene: Scene): SocketId => {
  const listener = scene.listen({ port: 8080 })
  new Peer(scene, { to: { address: HOST, port: 8080 } }).connect()
  return scene.accept(listener)
}
const closed = (scene: Scene): SocketId => {
  const socket = scene.host.socket(defaultSocketOptions)
  scene.host.close(socket, scene.now)
  return socket
}

describe("a second listen", () => {
  test("changes the backlog and nothing else", () => {
    const scene = new Scene()
    const listener = scene.listen({ backlog: 2 })
    const peers = [1, 2].map((n) => new Peer(scene, { address: peerAddress(n) }))
    for (const peer of peers) peer.syn()
    peers[0]?.third()
    expect(scene.host.startListening(listener, 7)).toBeUndefined()
    expect(scene.status(listener)).toMatchObject({ state: "LISTEN", sendQ: 7, recvQ: 1, local: { port: PORT } })
    expect(scene.queues(listener)).toEqual({ requests: 1, young: 1, waiting: 1 })
    scene.host.startListening(listener, 1_000_000)
    expect(scene.status(listener).sendQ).toBe(4096)
  })
})

describe("port 0", () => {
  const settings = { ipLocalPortRange: [40_000, 40_009] as const }

  test("gives every port of the range once, then AddressInUse", () => {
    const scene = new Scene({ settings })
    const ports = Array.from({ length: 10 }, () => {
      const socket = granted(bind(scene, { address: UNSPECIFIED4, port: 0 }))
      return scene.status(socket).local.port
    })
    expect([...ports].sort()).toEqual(Array.from({ length: 10 }, (_, n) => 40_000 + n))
    expect(errnoOf(bind(scene, { address: UNSPECIFIED4, port: 0 }))).toBe("EADDRINUSE")
  })

  for (const options of [{ reuseAddress: true }, { reusePort: true }, { reuseAddress: true, reusePort: true }]) {
    test(`never shares, whatever may be reused: ${Object.keys(options).join(", ")}`, () => {
      const scene = new Scene({ settings })
      for (let n = 0; n < 10; n++) granted(bind(scene, { address: UNSPECIFIED4, port: 0 }, options))
      expect(errnoOf(bind(scene, { address: UNSPECIFIED4, port: 0 }, options))).toBe("EADDRINUSE")
    })
  }

  test("on different addresses has the whole range on each", () => {
    const scene = new Scene({ settings })
    for (const address of [HOST, HOST2]) for (let n = 0; n < 10; n++) granted(bind(scene, { address, port: 0 }))
    expect(errnoOf(bind(scene, { address: HOST, port: 0 }))).toBe("EADDRINUSE")
    expect(errnoOf(bind(scene, { address: UNSPECIFIED4, port: 0 }))).toBe("EADDRINUSE")
  })

  test("of a socket that listens without having been bound: a free one", () => {
    const scene = new Scene({ settings })
    const socket = scene.host.socket(defaultSocketOptions)
    expect(scene.host.startListening(socket, 1)).toBeUndefined()
    const { port } = scene.status(socket).local
    expect(port).toBeGreaterThanOrEqual(40_000)
    expect(errnoOf(bind(scene, { address: HOST, port }))).toBe("EADDRINUSE")
  })

  test("a port that is given back can be had again", () => {
    const scene = new Scene({ settings })
    const sockets = Array.from({ length: 10 }, () => granted(bind(scene, { address: HOST, port: 0 })))
    const [first] = sockets
    if (first === undefined) throw new Error("none")
    const { port } = scene.status(first).local
    scene.host.close(first, scene.now)
    expect(scene.status(granted(bind(scene, { address: HOST, port: 0 }))).local.port).toBe(port)
  })

  test("does not begin at the same port for another secret, nor for another peer", () => {
    const first = (secret: number, n: number): number =>
      scenePort(new Scene({ secret }), { address: peerAddress(n), port: 7 })
    const scenePort = (scene: Scene, remote: Endpoint): number => scene.status(granted(dial(scene, remote))).local.port
    const ports = [1, 2, 3, 4].flatMap((secret) => [1, 2, 3, 4].map((n) => first(secret, n)))
    expect(new Set(ports).size).toBeGreaterThan(12)
    for (const port of ports) {
      expect(port).toBeGreaterThanOrEqual(32_768)
      expect(port).toBeLessThanOrEqual(60_999)
    }
  })
})

describe("outgoing connections", () => {
  const remote = (n: number): Endpoint => ({ address: peerAddress(n), port: 7 })

  test("30,000 from one address, to two peers", () => {
    const scene = new Scene({ settings: { ipLocalPortRange: [32_768, 60_999] } })
    const tuples = new Set<string>()
    for (let n = 0; n < 30_000; n++) {
      const socket = granted(dial(scene, remote(n & 1)))
      tuples.add(`${n & 1}:${scene.status(socket).local.port}`)
      if (n % 1000 === 0) scene.host.take()
    }
    expect(tuples.size).toBe(30_000)
  })

  test("to one peer: as many as there are ports, then AddressNotAvailable; another peer has them all again", () => {
    const scene = new Scene({ settings: { ipLocalPortRange: [50_000, 50_099] } })
    for (let n = 0; n < 100; n++) granted(dial(scene, remote(1)))
    expect(errnoOf(dial(scene, remote(1)))).toBe("EADDRNOTAVAIL")
    for (let n = 0; n < 100; n++) granted(dial(scene, remote(2)))
    expect(errnoOf(dial(scene, { ...remote(1), port: 8 }))).toBe("")
  })

  test("do not take a port that somebody has bound", () => {
    const scene = new Scene({ settings: { ipLocalPortRange: [50_000, 50_001] } })
    granted(bind(scene, { address: HOST, port: 50_000 }))
    expect(scene.status(granted(dial(scene, remote(1)))).local.port).toBe(50_001)
    expect(errnoOf(dial(scene, remote(1)))).toBe("EADDRNOTAVAIL")
  })

  test("from a bound port: once to each peer", () => {
    const scene = new Scene()
    const from = { address: HOST, port: 50_000 }
    const share = { reuseAddress: true }
    expect(errnoOf(dial(scene, remote(1), from, share))).toBe("")
    expect(errnoOf(dial(scene, remote(2), from, share))).toBe("")
    expect(errnoOf(dial(scene, remote(1), from, share))).toBe("EADDRNOTAVAIL")
    expect(errnoOf(dial(scene, remote(3), from))).toBe("EADDRINUSE")
  })
})

describe("the port table alone", () => {
  test("forgets a port with its last user", () => {
    const table = new PortTable()
    const owner = { address: HOST, reuseAddress: false, reusePort: false, listening: false }
    table.add(80, owner)
    table.remove(80, owner)
    expect(table.conflicts(80, UNSPECIFIED4, owner)).toBe(false)
  })
})
