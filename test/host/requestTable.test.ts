import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { FlowTable } from "../../src/host/flowTable.ts"
import { Guard } from "../../src/host/guards.ts"
import { type Kept, RequestTable } from "../../src/host/requestTable.ts"
import { NO_ROW } from "../../src/host/rows.ts"
import type { SocketId } from "../../src/host/types.ts"
import type { Seq } from "../../src/tcp/seq.ts"
import { termsOf } from "../../src/tcp/terms.ts"
import { OFF } from "../../src/tcp/time.ts"
import { type Endpoint, ipv4, ipv6 } from "../../src/wire/address.ts"

const word = fc.integer({ min: 0, max: 0xffffffff })
const port = fc.integer({ min: 1, max: 65535 })
const zoned = fc
  .tuple(word, word, word, word, fc.option(fc.integer({ min: 1, max: 65535 }), { nil: undefined }))
  .map(([a, b, c, d, zone]) => (zone === undefined ? ipv6(a, b, c, d) : { ...ipv6(a, b, c, d), zone }))
const endpoint = (family: 4 | 6): fc.Arbitrary<Endpoint> =>
  fc.record({ address: family === 4 ? word.map(ipv4) : zoned, port })
const endpoints = fc
  .constantFrom(4 as const, 6 as const)
  .chain((family) => fc.tuple(endpoint(family), endpoint(family)))
const micros = fc.oneof(fc.constant(OFF), fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }))

const terms = fc
  .record({
    peerMss: fc.integer({ min: 48, max: 65535 }),
    sndScale: fc.nat(14),
    rcvScale: fc.nat(14),
    scaling: fc.boolean(),
    timestamps: fc.boolean(),
    sack: fc.boolean(),
    signature: fc.nat(40),
    ecn: fc.boolean(),
  })
  .map(termsOf)

/** All that a request can be. */
const request: fc.Arbitrary<Kept> = endpoints.chain(([local, remote]) =>
  fc.record({
    local: fc.constant(local),
    remote: fc.constant(remote),
    iss: word as fc.Arbitrary<Seq>,
    irs: word as fc.Arbitrary<Seq>,
    terms,
    tsRecent: word,
    tsOffset: word,
    rcvBuf: word,
    since: micros,
    retransmits: fc.nat(255),
    acked: fc.boolean(),
    oowAt: micros,
    deadline: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
    cookie: fc.constantFrom("none", "standard", "experimental"),
  }),
)

const LISTENER = 0x1_0000_0007 as SocketId

const table = (): RequestTable => new RequestTable(new FlowTable(1))
const rowOf = (from: RequestTable, { local, remote }: Kept) =>
  from.find(local.address, local.port, remote.address, remote.port)

describe("a request in the table", () => {
  test("comes out as it was put in, and so does what it has become", () => {
    fc.assert(
      fc.property(request, request, fc.nat(65535), (first, then, iface) => {
        const requests = table()
        requests.add(first, LISTENER, iface, undefined)
        const row = rowOf(requests, first)
        expect(requests.read(row)).toEqual(first)
        const next = { ...then, local: first.local, remote: first.remote }
        requests.update(row, next)
        expect(requests.read(row)).toEqual(next)
        expect([requests.listenerOf(row), requests.ifaceOf(row)]).toEqual([LISTENER, iface])
      }),
      { seed: 1 },
    )
  })

  test("keeps its guard as long as it stays, and no longer", () => {
    const [one] = fc.sample(request, { numRuns: 1, seed: 1 })
    if (one === undefined) throw new Error("no request")
    const requests = table()
    const guard = new Guard(255, 0, 0, undefined, undefined)
    requests.add(one, LISTENER, 0, guard)
    expect(requests.guardOf(rowOf(requests, one))).toBe(guard)
    requests.remove(rowOf(requests, one))
    requests.add(one, LISTENER, 0, undefined)
    expect(requests.guardOf(rowOf(requests, one))).toBeUndefined()
  })
})

/** Requests of few peers, so that they meet again; times of few values, so that many are due together. */
const few = fc
  .record({ peer: fc.nat(400), retransmits: fc.nat(9), deadline: fc.nat(50), base: request })
  .map(({ peer, retransmits, deadline, base }): Kept => {
    const local = { address: ipv4(0xc6120001), port: 80 }
    return { ...base, local, remote: { address: ipv4(0xc6130000 + peer), port: 1024 }, retransmits, deadline }
  })

const act = fc.record({ act: fc.constantFrom("add", "add", "update", "remove", "due"), request: few })

describe("the table", () => {
  test("any order of calls: who is found, who is due first and how many there are is as in a plain Map", () => {
    fc.assert(
      fc.property(fc.array(act, { minLength: 1, maxLength: 600 }), (acts) => {
        const requests = table()
        const model = new Map<number, Kept>()
        for (const { act, request } of acts) {
          const key = request.remote.address.d
          const row = rowOf(requests, request)
          expect(row !== NO_ROW).toBe(model.has(key))
          if (act === "add" && row === NO_ROW) {
            requests.add(request, LISTENER, 0, undefined)
            model.set(key, request)
          } else if (act === "update" && row !== NO_ROW) {
            requests.update(row, request)
            model.set(key, request)
          } else if (act === "remove" && row !== NO_ROW) {
            requests.remove(row)
            model.delete(key)
          } else if (act === "due" && model.size > 0) {
            const first = requests.next()
            model.delete(requests.read(first).remote.address.d)
            requests.remove(first)
          }
          const deadlines = [...model.values()].map(({ deadline }) => deadline)
          expect(requests.nextDeadline()).toBe(deadlines.length === 0 ? OFF : Math.min(...deadlines))
          expect(requests.size).toBe(model.size)
        }
        const all = [...requests].map((each) => requests.read(each))
        const byPeer = (x: Kept, y: Kept) => x.remote.address.d - y.remote.address.d
        expect(all.sort(byPeer)).toEqual([...model.values()].sort(byPeer))
      }),
      { seed: 1, numRuns: 60 },
    )
  })
})
