import { describe, expect, test } from "bun:test"
import { Effect, type Scope } from "effect"
import fc from "fast-check"
import type { Device } from "../../src/device/device.ts"
import { type MemoryOptions, memoryPair } from "../../src/device/memory.ts"
import { echo, serviceCounters } from "../../src/net/services.ts"
import * as Tcp from "../../src/net/Tcp.ts"
import { Stack } from "../../src/runtime/stack.ts"
import { netmapSuite, type Universe } from "../device/netmapSuite.ts"
import { CLIENT, concat, on, pattern, run, SERVER } from "../net/support.ts"

/**
 * A stream by every way that octets can take through a device: cut and summed by the stack, or left whole and
 * unsummed for the device. Whatever the way, what arrives is what was sent.
 */
type Wire = Effect.Effect<readonly [Device, Device], unknown, Scope.Scope>

/** Writes the chunks to an echo server at the wire's other end, and gives what comes back, in one piece. */
const echoed = (wire: Wire, chunks: ReadonlyArray<Uint8Array>): Promise<Uint8Array> =>
  run(
    Effect.gen(function* () {
      const [near, far] = yield* wire
      const make = (device: Device, address: string) =>
        Stack.make({
          interfaces: [{ device, addresses: [`${address}/24`] }],
          settings: { ipUnprivilegedPortStart: 0 },
          closeGrace: "100 millis",
        })
      const server = yield* make(far, SERVER)
      const client = yield* make(near, CLIENT)
      const listener = yield* on(server)(Tcp.listen({ port: 7 }))
      listener.onConnection(echo(serviceCounters()))
      const connection = yield* on(client)(Tcp.connect({ host: SERVER, port: 7 }))
      const received: Array<Uint8Array> = []
      const reading = Effect.gen(function* () {
        for (;;) {
          const chunk = yield* connection.read
          if (chunk._tag === "None") return
          received.push(chunk.value)
        }
      })
      const writing = Effect.forEach(chunks, (chunk) => connection.write(chunk), { discard: true })
      yield* Effect.all([reading, Effect.zipRight(writing, connection.shutdown)], { concurrency: 2 })
      return concat(received)
    }),
  )

const memory = (options: MemoryOptions): Wire => Effect.sync(() => memoryPair(options))

const WIRES: ReadonlyArray<readonly [string, Wire]> = [
  ["cut and summed by the stack", memory({})],
  ["cut by the stack, summed by the device", memory({ checksumOffload: true })],
  ["cut and summed by the device", memory({ checksumOffload: true, segmentationOffload: true })],
  ["small frames", memory({ mtu: 576 })],
  ["large frames", memory({ mtu: 9000, checksumOffload: true })],
]

const CHUNKS = fc.array(fc.integer({ min: 1, max: 70_000 }), { minLength: 1, maxLength: 6 })

describe("the same stream by every path", () => {
  for (const [name, wire] of WIRES) {
    test(name, async () => {
      await fc.assert(
        fc.asyncProperty(CHUNKS, async (lengths) => {
          const chunks = lengths.map((length) => pattern(length))
          const sent = concat(chunks)
          const back = await echoed(wire, chunks)
          expect(back.length).toBe(sent.length)
          expect(Bun.SHA256.hash(back)).toEqual(Bun.SHA256.hash(sent))
        }),
        { numRuns: 8 },
      )
    }, 30_000)
  }
})

netmapSuite("two stacks on netmap", (test) => {
  const mebibyte = pattern(1 << 20)
  const both =
    (mtu: number, offload: boolean, left: string, right: string) =>
    ({ open }: Universe): Wire =>
      Effect.all([open({ port: left, mtu, offload }), open({ port: right, mtu, offload })])

  const ways: ReadonlyArray<readonly [string, (universe: Universe) => Wire]> = [
    ["ports of a switch", both(1500, false, "valenfs0:a", "valenfs0:b")],
    ["ports of a switch, frames longer than a buffer", both(9000, false, "valenfs1:a", "valenfs1:b")],
    ["ports of a switch with virtio-net headers: uncut segments", both(1500, true, "valenfs2:a", "valenfs2:b")],
    ["a pipe", both(1500, false, "valenfs3:x{1", "valenfs3:x}1")],
    ["a switch's ports with two rings", both(1500, false, "valenfs4:a@conf:rings=2", "valenfs4:b@conf:rings=2")],
  ]
  for (const [name, wire] of ways) {
    test(`${name}: 1 MiB echoed as it was sent`, async (universe) => {
      const back = await echoed(wire(universe), [mebibyte])
      expect(back.length).toBe(mebibyte.length)
      expect(Bun.SHA256.hash(back)).toEqual(Bun.SHA256.hash(mebibyte))
    })
  }
})
