import { describe, expect, test } from "bun:test"
import type { SocketId } from "../../src/host/types.ts"
import { isSynchronized } from "../../src/tcp/tcb.ts"
import { B, type Node, Pair, SECOND, text } from "./lab.ts"

const MANY = 300
/** Before the first round of those that look for connections to put to rest; after the last of them. */
const SOON = 0.05 * SECOND
const LATE = 2 * SECOND

/** So many connections of `a` with `b`, opened and accepted. */
const crowd = (count: number) => {
  const pair = new Pair()
  const listener = pair.b.listen(7, { backlog: 1000 })
  const clients: Array<SocketId> = []
  const servers: Array<SocketId> = []
  for (let n = 0; n < count; n++) {
    clients.push(pair.a.connect(B, 7))
    pair.settle()
    servers.push(pair.b.accept(listener))
  }
  return { pair, listener, clients, servers }
}

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

test("few connections stay as they are, however long nothing happens to them", () => {
  const { pair } = crowd(200)
  pair.wait(100 * SECOND)
  expect([pair.a.host.rested, pair.b.host.rested]).toEqual([0, 0])
})
