import { expect, test } from "bun:test"
import fc from "fast-check"
import { FlowTable } from "../../src/host/flowTable.ts"
import type { Resting } from "../../src/host/resting.ts"
import { RestTable } from "../../src/host/restTable.ts"
import { NO_ROW, type Row } from "../../src/host/rows.ts"
import type { SocketId } from "../../src/host/types.ts"
import { type Endpoint, ipv4, ipv6 } from "../../src/wire/address.ts"

const place: fc.Arbitrary<Resting> = fc.record({
  shape: fc.nat(63),
  row: fc.nat(0xffffffff).map((row) => row as Row),
})

/** Few enough that they meet again, and more than there are chains at first; numbers of sockets can be large. */
const act = fc.record({ leaves: fc.boolean(), n: fc.nat(150), place })

const localOf = (n: number): Endpoint => ({
  address: n % 2 === 0 ? ipv4(0xc6120001) : ipv6(0x20010db8, 0, 0, 1),
  port: 7,
})
const remoteOf = (n: number): Endpoint => ({
  address: n % 2 === 0 ? ipv4(0xc6130000 + n) : { ...ipv6(0xfe800000, 0, 0, n), zone: 1 },
  port: 1024 + n,
})
const idOf = (n: number): SocketId => (n % 3 === 0 ? 2 ** 40 + n : n) as SocketId

test("any order of calls: each is found by its four values and by its socket, and by nothing once it is gone", () => {
  fc.assert(
    fc.property(fc.array(act, { minLength: 1, maxLength: 400 }), (acts) => {
      const table = new RestTable(new FlowTable(1))
      const model = new Map<number, Resting>()
      for (const { leaves, n, place } of acts) {
        const [local, remote] = [localOf(n), remoteOf(n)]
        const row = table.find(local.address, local.port, remote.address, remote.port)
        expect(table.findSocket(idOf(n))).toBe(row)
        expect(row !== NO_ROW).toBe(model.has(n))
        if (row === NO_ROW) {
          table.add(idOf(n), local, remote, place)
          model.set(n, place)
        } else if (leaves) {
          table.remove(row)
          model.delete(n)
        }
        expect(table.size).toBe(model.size)
      }
      const all = [...table].map((row) => [
        table.idOf(row),
        table.localOf(row),
        table.remoteOf(row),
        table.placeOf(row),
      ])
      const wanted = [...model].map(([n, kept]) => [idOf(n), localOf(n), remoteOf(n), kept])
      const byId = (x: Array<unknown>, y: Array<unknown>): number => Number(x[0]) - Number(y[0])
      expect(all.toSorted(byId)).toEqual(wanted.toSorted(byId))
    }),
    { seed: 1, numRuns: 60 },
  )
})
