import { expect } from "bun:test"
import { Either } from "effect"
import { PlainUdp } from "../../src/net/plainUdp.ts"
import { KernelUdp } from "./kernelUdp.ts"
import { kernelSuite } from "./namespace.ts"
import { octets, sha256 } from "./octets.ts"
import { KERNEL, KERNEL6, withPeers } from "./peers.ts"

/** Of one call, cut by GSO_SIZE. */
const TOGETHER = 64 * 900 + 1
const GSO_SIZE = 901

/** Neighbours of one size, ends of a train, and such as belong to none. */
const SIZES = [...new Array<number>(100).fill(1200), 300, 1200, 0, 1, ...new Array<number>(90).fill(1452), 5]

for (const offload of [false, true]) {
  for (const [family, host] of [
    [4, KERNEL],
    [6, KERNEL6],
  ] as const) {
    kernelSuite(
      `Datagrams sent together, over IPv${family}, offload ${offload ? "on" : "off"}`,
      import.meta.path,
      (test) => {
        test("all arrive as they were, in order; as few frames where the kernel cuts them", async () => {
          await withPeers({ offload, family: 6 }, async ({ stack }) => {
            const kernel = new KernelUdp(host)
            try {
              const socket = Either.getOrThrow(PlainUdp.connect(stack, { host, port: kernel.port }))
              // The neighbour is known after this.
              socket.trySend(octets(1))
              await kernel.receive()
              const frames = stack.device.counters.txPackets
              const sent = SIZES.map((size, seed) => octets(size, seed))
              for (const payload of sent) expect(socket.trySend(payload)).toBeUndefined()
              for (const [index, payload] of sent.entries()) {
                expect([index, sha256(await kernel.receive())]).toEqual([index, sha256(payload)])
              }
              const taken = stack.device.counters.txPackets - frames
              if (stack.device.capabilities.datagramOffload === true) expect(taken).toBeLessThan(SIZES.length / 10)
              else expect(taken).toBeGreaterThanOrEqual(SIZES.length)
            } finally {
              kernel.close()
            }
          })
        })

        test("one send cut by gsoSize: all its datagrams arrive, of one frame where the kernel cuts them", async () => {
          await withPeers({ offload, family: 6 }, async ({ stack }) => {
            const kernel = new KernelUdp(host)
            try {
              const socket = Either.getOrThrow(PlainUdp.connect(stack, { host, port: kernel.port, gsoSize: GSO_SIZE }))
              socket.trySend(octets(1))
              await kernel.receive()
              const frames = stack.device.counters.txPackets
              const payload = octets(TOGETHER)
              expect(socket.trySend(payload)).toBeUndefined()
              for (let from = 0; from < TOGETHER; from += GSO_SIZE) {
                expect(sha256(await kernel.receive())).toEqual(sha256(payload.subarray(from, from + GSO_SIZE)))
              }
              const taken = stack.device.counters.txPackets - frames
              // One, and what neighbours ask each other meanwhile.
              if (stack.device.capabilities.datagramOffload === true) expect(taken).toBeLessThan(5)
              else expect(taken).toBeGreaterThanOrEqual(64)
              expect(socket.trySend(octets(1500), undefined, { gsoSize: 1473 })).toMatchObject({
                _tag: "MessageTooLong",
              })
            } finally {
              kernel.close()
            }
          })
        })
      },
    )
  }
}
