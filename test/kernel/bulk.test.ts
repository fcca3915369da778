import { expect } from "bun:test"
import { kernelCounter } from "./kernelSocket.ts"
import { kernelSuite } from "./namespace.ts"
import { hashAll, octets, sha256 } from "./octets.ts"
import { FAMILIES, peersOver } from "./peers.ts"

const MIB = 1_048_576
const MANY = octets(64 * MIB)
const EXPECTED = { length: MANY.length, sha256: sha256(MANY) }

/**
 * What the kernel has found wrong with the stack's segments and acknowledgments. Not what its timers
 * have sent again: with this much data on its way, a busy machine lets them.
 */
const kernelTroubles = async () => ({
  checksums: await kernelCounter("Tcp", "InCsumErrors"),
  errors: await kernelCounter("Tcp", "InErrs"),
  fastRetransmissions: await kernelCounter("TcpExt", "TCPFastRetrans"),
})
const NONE = { checksums: 0, errors: 0, fastRetransmissions: 0 }

for (const offload of [false, true]) {
  for (const family of FAMILIES) {
    const withPeers = peersOver(family)
    kernelSuite(`64 MiB, offload ${offload ? "on" : "off"}, over IPv${family}`, import.meta.path, (test) => {
      test("from the kernel to the stack: the same SHA-256", async () => {
        await withPeers({ offload, napi: true }, async ({ stack, fromKernel }) => {
          const { ours, theirs } = await fromKernel()
          const [arrived] = await Promise.all([hashAll(ours), theirs.write(MANY).then(() => theirs.shutdown())])
          expect(arrived).toEqual(EXPECTED)
          expect(await kernelTroubles()).toEqual(NONE)
          expect(stack.tcpCounters["InCsumErrors"]).toBe(0)
        })
      })

      test("from the stack to the kernel: the same SHA-256", async () => {
        await withPeers({ offload, napi: true }, async ({ stack, fromKernel }) => {
          const { ours, theirs } = await fromKernel()
          const [arrived] = await Promise.all([hashAll(theirs), ours.write(MANY).then(() => ours.shutdown())])
          expect(arrived).toEqual(EXPECTED)
          expect(await kernelTroubles()).toEqual(NONE)
          expect(stack.tcpCounters["TCPFastRetrans"]).toBe(0)
        })
      })

      test("through the stack's echo: the same SHA-256", async () => {
        await withPeers({ offload, napi: true }, async ({ stack, kernel }) => {
          await stack.echo({ port: 7 })
          const theirs = await kernel.dial(7)
          const [arrived] = await Promise.all([hashAll(theirs), theirs.write(MANY).then(() => theirs.shutdown())])
          expect(arrived).toEqual(EXPECTED)
          expect(await kernelTroubles()).toEqual(NONE)
          expect(stack.tcpCounters["TCPFastRetrans"]).toBe(0)
        })
      })

      test("both ways at once, on a connection that the stack made: the same SHA-256s", async () => {
        await withPeers({ offload, napi: true }, async ({ fromStack }) => {
          const { ours, theirs } = await fromStack()
          const [there, back] = await Promise.all([
            hashAll(theirs),
            hashAll(ours),
            ours.write(MANY).then(() => ours.shutdown()),
            theirs.write(MANY).then(() => theirs.shutdown()),
          ])
          expect(there).toEqual(EXPECTED)
          expect(back).toEqual(EXPECTED)
          expect(await kernelTroubles()).toEqual(NONE)
        })
      })
    })
  }
}
