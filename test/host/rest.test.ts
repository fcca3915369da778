import { describe, expect, test } from "bun:test"
import type { SocketId } from "../../src/host/types.ts"
import { isSynchronized } from "../../src/tcp/tcb.ts"
import { B, type Node, Pair, SECOND, text, VERSIONS } from "./lab.ts"

const MANY = 300
/** Before the first round of those that look for connections to put to rest; after the last of them. */
const SOON = 0.05 * SECOND
const LATE = 2 * SECOND

/** So many connections of `a` with `b`, opened and accepted. */
const crowd = (count: number, ...versions: ConstructorParameters<typeof Pair>) => {
  const pair = new Pair(...versions)
  const to = pair.b.options.address ?? B
  const listener = pair.b.listen(7, { backlog: 1000 })
  const clients: Array<SocketId> = []
  const servers: Array<SocketId> = []
  for (let n = 0; n < count; n++) {
    clients.push(pair.a.connect(to, 7))
    pair.settle()
    servers.push(pair.b.accept(listener))
  }
  return { pair, listener, clients, servers }
}

const NOBODY = 0 as SocketId

/** All of a block that means something: an empty queue is as good as another. */
const blocks = (node: Node, sockets: ReadonlyArray<SocketId>) =>
  sockets.map((socket) => {
    const tcb = node.host.status(socket)?.tcb
    if (tcb === undefined || !isSynchronized(tcb)) throw new Error("not synchronized")
    const { queue, flight } = tcb
    return {
      ...tcb,
      queue: [queue.start, queue.length],
      flight: [flight.una, flight.out, flight.sacked, flight.lost, flight.retrans],
    }
  })

describe("many connections that nothing happens to", () => {
  test("are put to rest, and are all the same what they were", () => {
    const { pair, clients, servers } = crowd(MANY)
    const before = [blocks(pair.a, clients), blocks(pair.b, servers)]
    expect([pair.a.host.rested, pair.b.host.rested]).toEqual([0, 0])
    pair.wait(LATE)
    expect([pair.a.host.rested, pair.b.host.rested]).toEqual([MANY, MANY])
    expect([blocks(pair.a, clients), blocks(pair.b, servers)]).toEqual(before)
    // To be looked at wakes nobody: nothing is put to rest anew.
    pair.wait(LATE)
    expect([pair.a.host.rested, pair.b.host.rested]).toEqual([MANY, MANY])
  })

  test("wake for data in both directions, and rest again with what it has changed", () => {
    const { pair, clients, servers } = crowd(MANY)
    pair.wait(LATE)
    for (const [n, client] of clients.entries()) {
      pair.a.write(client, text(`to ${n}`))
      pair.settle()
    }
    const got = servers.map((server) => Buffer.from(pair.b.readBytes(server)).toString())
    expect(got.toSorted()).toEqual(clients.map((_, n) => `to ${n}`).toSorted())
    for (const server of servers) {
      pair.b.write(server, text("back"))
      pair.settle()
    }
    for (const client of clients) expect(Buffer.from(pair.a.readBytes(client)).toString()).toBe("back")
    pair.wait(SOON)
    const before = [blocks(pair.a, clients), blocks(pair.b, servers)]
    pair.wait(LATE)
    expect(pair.b.host.rested).toBeGreaterThanOrEqual(2 * MANY - 1)
    const after = [blocks(pair.a, clients), blocks(pair.b, servers)]
    expect(after[0]?.map(({ snd }) => snd)).toEqual(before[0]?.map(({ snd }) => snd))
    expect(after[1]?.map(({ rto }) => rto)).toEqual(before[1]?.map(({ rto }) => rto))
  })

  test.each(VERSIONS)("are the same over $version in all that is told of them", ({ a, b }) => {
    const { pair, clients, servers } = crowd(MANY, a, b)
    for (const client of clients.slice(0, 20)) pair.a.write(client, "unlike the others")
    pair.settle()
    for (const server of servers) pair.b.readBytes(server)
    // How long ago things were is told of the same moment.
    const at = pair.now
    const told = (node: Node, sockets: ReadonlyArray<SocketId>) =>
      sockets.map((socket) => {
        const { local, remote, state, recvQ, sendQ, room } = node.host.status(socket) ?? {}
        return { socket, local, remote, state, recvQ, sendQ, room, info: node.host.info(socket, at) }
      })
    const before = [told(pair.a, clients), told(pair.b, servers)]
    pair.wait(LATE)
    expect(pair.b.host.rested).toBe(MANY)
    expect([told(pair.a, clients), told(pair.b, servers)]).toEqual(before)
    const listed = pair.b.host.sockets().map(({ socket }) => socket)
    expect(listed.filter((socket) => servers.includes(socket)).toSorted()).toEqual(servers.toSorted())
    expect(pair.b.host.rested).toBe(MANY)
  })

  test("stay as they are where receive memory is accounted: the account has queues", () => {
    const settings = { tcpRcvbufTruesize: true }
    const { pair, servers } = crowd(MANY, { settings }, { settings })
    const before = blocks(pair.b, servers)
    pair.wait(LATE)
    expect(pair.b.host.rested).toBe(0)
    expect(blocks(pair.b, servers)).toEqual(before)
  })

  test("keep their four values and their port from others", () => {
    const { pair, clients } = crowd(MANY)
    pair.wait(LATE)
    const port = pair.a.host.status(clients[0] ?? NOBODY)?.local.port
    expect(pair.a.tryConnect(B, 7, {}, port)).toMatchObject({ _tag: "Refused", errno: "EADDRINUSE" })
    const shared = { reuseAddress: true }
    expect(pair.a.tryConnect(B, 7, shared, port)).toMatchObject({ _tag: "Refused" })
  })

  test("are reset by an abort, and their peers hear of it", () => {
    const { pair, clients, servers } = crowd(MANY)
    pair.wait(LATE)
    for (const client of clients) pair.a.host.abort(client, pair.now)
    pair.settle()
    expect(servers.map((server) => pair.b.host.status(server)?.closed?.reason)).toEqual(
      servers.map(() => "ConnectionReset"),
    )
  })

  test("that were only looked into lie down again", () => {
    const { pair, servers } = crowd(MANY)
    pair.wait(LATE)
    for (const server of servers) expect(pair.b.host.read(server, 1, pair.now)).toBe("empty")
    // Something must happen somewhere for anybody to look.
    pair.a.connect(B, 7)
    pair.settle()
    pair.wait(LATE)
    expect(pair.b.host.rested).toBe(2 * MANY)
  })

  test("close in order, and nothing is left of them", () => {
    const { pair, listener, clients, servers } = crowd(MANY)
    pair.wait(LATE)
    for (const client of clients) pair.a.host.close(client, pair.now)
    pair.settle()
    for (const server of servers) pair.b.host.close(server, pair.now)
    pair.b.host.close(listener, pair.now)
    pair.wait(100 * SECOND)
    expect([pair.a.host.sockets(), pair.b.host.sockets()]).toEqual([[], []])
  })
})

describe("among many at rest", () => {
  test("one that waits to be accepted stays awake, and is accepted with what it has been sent", () => {
    const { pair, listener } = crowd(MANY)
    const client = pair.a.connect(B, 7)
    pair.settle()
    pair.wait(LATE)
    expect([pair.a.host.rested, pair.b.host.rested]).toEqual([MANY + 1, MANY])
    pair.a.write(client, "late")
    pair.settle()
    expect(pair.b.read(pair.b.accept(listener))).toBe("late")
  })

  test("one with octets that nobody has read keeps them", () => {
    const { pair, clients, servers } = crowd(MANY)
    pair.a.write(clients[0] ?? NOBODY, "unread")
    pair.settle()
    pair.wait(LATE)
    expect(pair.b.host.rested).toBe(MANY - 1)
    expect(pair.b.read(servers[0] ?? NOBODY)).toBe("unread")
  })

  test("one whose peer has said its last rests too, and says so when it is read", () => {
    const { pair, clients, servers } = crowd(MANY)
    pair.a.host.shutdown(clients[0] ?? NOBODY, pair.now)
    pair.settle()
    pair.wait(LATE)
    expect(pair.b.host.rested).toBe(MANY)
    expect(pair.b.host.status(servers[0] ?? NOBODY)?.state).toBe("CLOSE-WAIT")
    expect(pair.b.host.read(servers[0] ?? NOBODY, 1, pair.now)).toBe("end")
  })
})

test("many that are used again and again before long: they are left alone, until it is over", () => {
  const { pair, clients, servers } = crowd(2 * MANY)
  const useAll = (): void => {
    for (const client of clients) pair.a.write(client, text("more"))
    pair.settle()
    for (const server of servers) pair.b.read(server)
  }
  for (let times = 0; times < 150; times++) {
    useAll()
    pair.wait(0.08 * SECOND)
  }
  // Until too many had been woken each was put to rest every time.
  expect(pair.b.host.rested).toBeGreaterThan(20 * clients.length)
  expect(pair.b.host.rested).toBeLessThan(100 * clients.length)
  pair.wait(20 * SECOND)
  const before = pair.b.host.rested
  useAll()
  pair.wait(20 * SECOND)
  expect(pair.b.host.rested).toBe(before + clients.length)
})

test("very many at once: put to rest by parts, one after the other, so that others have their turn", () => {
  const { pair, clients } = crowd(2000)
  const { host } = pair.b
  const steps: Array<number> = []
  for (let at = host.nextDeadline(); host.rested < clients.length; at = host.nextDeadline()) {
    const before = host.rested
    host.advance(at)
    if (host.rested > before) steps.push(host.rested - before)
    expect(at).toBeLessThan(pair.now + SECOND)
  }
  expect(steps.length).toBeGreaterThan(2)
  expect(Math.max(...steps)).toBeLessThanOrEqual(512)
})

test("some of many that have ended meanwhile: the others are put to rest", () => {
  const { pair, clients, servers } = crowd(2 * MANY)
  // From the middle, from both ends, and the last that came.
  const gone = servers.map((_, n) => n % 2 === 1 || n === 0 || n === servers.length - 2)
  for (const [n, server] of servers.entries()) {
    if (!gone[n]) continue
    pair.b.host.close(server, pair.now)
    pair.settle()
    pair.a.host.close(clients[n] ?? NOBODY, pair.now)
    pair.settle()
  }
  pair.wait(LATE)
  const left = gone.filter((ended) => !ended).length
  expect([pair.a.host.rested, pair.b.host.rested]).toEqual([left, left])
})

test("few connections stay as they are, however long nothing happens to them", () => {
  const { pair } = crowd(200)
  pair.wait(100 * SECOND)
  expect([pair.a.host.rested, pair.b.host.rested]).toEqual([0, 0])
})
