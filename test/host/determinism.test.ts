import { describe, expect, test } from "bun:test"
import { B, Pair, pattern, SECOND } from "./lab.ts"

/** Connects, talks, half-closes, aborts; the hash of every octet on the wire and when it left. */
const run = (secret: number): string => {
  const pair = new Pair({ secret }, { secret: 9 })
  const hasher = new Bun.CryptoHasher("sha256")
  for (const node of [pair.a, pair.b]) {
    const reserve = node.device.reserve.bind(node.device)
    const commit = node.device.commit.bind(node.device)
    let memory: Uint8Array | undefined
    node.device.reserve = (length) => {
      memory = reserve(length)
      return memory
    }
    node.device.commit = (length, offload) => {
      hasher.update(`${pair.now} ${length} `)
      if (memory !== undefined) hasher.update(memory.subarray(0, length))
      commit(length, offload)
    }
  }
  const { listener, client, server } = pair.open()
  pair.a.write(client, pattern(20_000).subarray(0, 10_000))
  pair.wait(SECOND)
  pair.b.write(server, pair.b.readBytes(server))
  pair.wait(SECOND)
  pair.a.shutdown(client)
  pair.wait(SECOND)
  const [second] = pair.connected(listener, 7)
  pair.a.abort(second)
  pair.a.connect(B, 81)
  pair.wait(100 * SECOND)
  return hasher.digest("hex")
}

describe("two runs of the same inputs", () => {
  test("the same octets at the same times", () => {
    expect(run(1)).toBe(run(1))
  })

  test("another secret: other octets", () => {
    expect(run(1)).not.toBe(run(2))
  })
})

describe("counters", () => {
  test("bear the names of netstat -s, and are all there from the start", () => {
    const { counters } = new Pair().a.host
    for (const name of ["ActiveOpens", "PassiveOpens", "InSegs", "OutSegs", "RetransSegs", "InErrs", "OutRsts"]) {
      expect(counters[name]).toBe(0)
    }
    for (const name of ["ListenOverflows", "ListenDrops", "TCPReqQFullDrop", "TCPChallengeACK", "TW", "DelayedACKs"]) {
      expect(counters[name]).toBe(0)
    }
  })

  test("a connection with data, closed in order: what each side counts", () => {
    const pair = new Pair()
    const { client, server } = pair.open()
    pair.a.write(client, "hello")
    pair.wait(SECOND)
    expect(pair.b.read(server)).toBe("hello")
    pair.a.close(client)
    pair.settle()
    pair.b.close(server)
    pair.wait(SECOND)
    const counted = (node: Pair["a"]) =>
      Object.fromEntries(Object.entries(node.host.counters).filter(([, value]) => value !== 0))
    // SYN, ACK, data, FIN, ACK of the FIN; SYN-ACK, ACK of the data, ACK of the FIN, FIN.
    expect(counted(pair.a)).toMatchObject({ ActiveOpens: 1, OutSegs: 5, InSegs: pair.b.counter("OutSegs"), TW: 1 })
    expect(counted(pair.b)).toMatchObject({ PassiveOpens: 1, InSegs: 5 })
    expect([pair.a.counter("RetransSegs"), pair.b.counter("RetransSegs")]).toEqual([0, 0])
  })
})
