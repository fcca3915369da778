/**
 * Bulk data between the stack and the kernel over a wire that loses and reorders: 256 MiB each way by each IP
 * version, on a machine that builds 32, or NETFOLD_IMPAIRED_MIB of them (256 take three minutes).
 */
import { expect } from "bun:test"
import { PERFECT } from "../../src/wire/impairment/spec.ts"
import { kernelCounter } from "./kernelSocket.ts"
import { kernelSuite } from "./namespace.ts"
import { hashAll, octets, sha256 } from "./octets.ts"
import { FAMILIES, type Peers, withPeers } from "./peers.ts"

const MIB = 1_048_576
const BUILDS = process.env["CI"] !== undefined
const AMOUNT = Number(process.env["NETFOLD_IMPAIRED_MIB"] ?? (BUILDS ? 32 : 256)) * MIB
const PATIENCE = 60_000 + AMOUNT / 100
const MANY = octets(AMOUNT)
const EXPECTED = { length: MANY.length, sha256: sha256(MANY) }

/** 1 % of frames lost, 1 % overtaken by three others, in each direction. */
const WIRE = { ...PERFECT, loss: 0.01, reorder: { probability: 0.01, distance: 3, delay: 2000 } }

const runs = FAMILIES.flatMap((family) => (["cubic", "bbr"] as const).map((control) => ({ family, control })))

for (const { family, control: tcpCongestionControl } of runs) {
  kernelSuite(`1 % of loss and reordering, ${tcpCongestionControl}, over IPv${family}`, import.meta.path, (test) => {
    const between = (body: (peers: Peers) => Promise<void>): Promise<void> =>
      withPeers(
        { family, impair: { outgoing: WIRE, incoming: WIRE, seed: 1 }, settings: { tcpCongestionControl } },
        body,
      )

    test(
      "from the stack to the kernel: the same SHA-256, though much went again",
      () =>
        between(async ({ stack, fromKernel }) => {
          const { ours, theirs } = await fromKernel()
          const [arrived] = await Promise.all([hashAll(theirs), ours.write(MANY).then(() => ours.shutdown())])
          expect(arrived).toEqual(EXPECTED)
          // One in a hundred of segments of 1448 octets, less what chance spares.
          expect(stack.tcpCounters["RetransSegs"]).toBeGreaterThan(AMOUNT / 1448 / 200)
          expect(await kernelCounter("Tcp", "InCsumErrors")).toBe(0)
        }),
      PATIENCE,
    )

    test(
      "from the kernel to the stack: the same SHA-256",
      () =>
        between(async ({ stack, fromKernel }) => {
          const { ours, theirs } = await fromKernel()
          const [arrived] = await Promise.all([hashAll(ours), theirs.write(MANY).then(() => theirs.shutdown())])
          expect(arrived).toEqual(EXPECTED)
          expect(stack.tcpCounters["TCPOFOQueue"]).toBeGreaterThan(100)
          expect(stack.tcpCounters["InCsumErrors"]).toBe(0)
        }),
      PATIENCE,
    )
  })
}
