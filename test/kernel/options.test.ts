import { expect } from "bun:test"
import { Effect } from "effect"
import { kernelSuite } from "./namespace.ts"
import { octets, readExactly, string, text } from "./octets.ts"
import { ENDS, FAMILIES, type Pair, type Peers, peersOver, withPeers } from "./peers.ts"
import { needing, output } from "./programs.ts"
import { until } from "./wait.ts"

/** What takes its time does so for a connection of each version at once. */
kernelSuite("Keep-alive against the kernel, over both IP versions", import.meta.path, (test) => {
  const withIp = needing(test, "ip")
  const keepAlive = { idle: "1 second", interval: "1 second", count: 1 } as const
  const pairs = ({ fromKernel }: Peers): Promise<ReadonlyArray<Pair>> =>
    Promise.all(FAMILIES.map((family) => fromKernel({ keepAlive }, { host: ENDS[family].stack })))

  test("an idle kernel: it answers every probe, and the connection stays", async () => {
    await withPeers({ family: 6 }, async (peers) => {
      const both = await pairs(peers)
      await until("two probes each", () => (peers.stack.tcpCounters["TCPKeepAlive"] ?? 0) >= 4)
      for (const { ours, theirs } of both) {
        await until("the answer", () => ours.connection.plain.info()?.tcpi_probes === 0)
        await ours.write(text("still here"))
        expect(string(await readExactly(theirs, 10))).toBe("still here")
      }
    })
  })

  withIp("a kernel that has gone: ConnectionTimedOut after the last probe", async () => {
    await withPeers({ family: 6 }, async (peers) => {
      const both = await pairs(peers)
      await output("ip", "link", "set", peers.stack.device.name, "down")
      for (const { ours } of both) expect(await ours.failure()).toBe("ConnectionTimedOut")
      expect(peers.stack.tcpCounters["TCPKeepAlive"]).toBe(2)
    })
  })
})

for (const family of FAMILIES) {
  const withPeers = peersOver(family)
  kernelSuite(`Socket options against the kernel, over IPv${family}`, import.meta.path, (test) => {
    test("linger reset: the kernel's reader gets ECONNRESET", async () => {
      await withPeers({}, async ({ fromKernel }) => {
        const { ours, theirs } = await fromKernel({ linger: "reset" })
        ours.close()
        expect(await theirs.failure()).toBe("ECONNRESET")
      })
    })

    test("linger, a kernel that takes its time: close returns when it has acknowledged everything", async () => {
      await withPeers({}, async ({ fromKernel }) => {
        const { ours, theirs } = await fromKernel({ linger: "10 seconds" }, { receiveBuffer: 4096 })
        const all = octets(60_000)
        await ours.write(all)
        let closed = false
        const closing = Effect.runPromise(ours.connection.close).then(() => {
          closed = true
        })
        await until("a full window", () => theirs.received > 0)
        expect(closed).toBe(false)
        expect((await readExactly(theirs, all.length)).length).toBe(all.length)
        await closing
        expect(await theirs.read()).toBeUndefined()
      })
    })

    test("cork: the kernel gets nothing for 200 ms, then all", async () => {
      await withPeers({}, async ({ fromKernel }) => {
        const { ours, theirs } = await fromKernel({ cork: true })
        const before = performance.now()
        await ours.write(text("short"))
        expect(string(await readExactly(theirs, 5))).toBe("short")
        expect(performance.now() - before).toBeGreaterThanOrEqual(190)
      })
    })

    test("maxSegment: the kernel sends no larger ones", async () => {
      await withPeers({}, async ({ fromKernel }) => {
        const { theirs } = await fromKernel({ maxSegment: 1000 })
        expect(theirs.info.sndMss).toBe(988)
      })
    })

    test("user timeout, a kernel that keeps its window closed and answers probes: over all the same", async () => {
      await withPeers({}, async ({ stack, fromKernel }) => {
        const { ours } = await fromKernel({ userTimeout: "700 millis" }, { receiveBuffer: 4096 })
        ours.connection.plain.tryWrite(octets(65_536))
        expect(await ours.failure()).toBe("ConnectionTimedOut")
        expect(stack.tcpCounters["TCPWinProbe"]).toBeGreaterThan(0)
      })
    })

    test("bytes and segments: both ends have counted the same", async () => {
      await withPeers({}, async ({ fromKernel, barrier }) => {
        const { ours, theirs } = await fromKernel()
        await ours.write(octets(100_000))
        await readExactly(theirs, 100_000)
        await barrier()
        const info = ours.connection.plain.info()
        expect(info?.tcpi_bytes_acked).toBe(100_000)
        expect(info?.tcpi_bytes_sent).toBe(100_000)
        expect(info?.tcpi_bytes_retrans).toBe(0)
        expect(info?.tcpi_data_segs_out).toBe(theirs.info.dataSegmentsIn)
      })
    })
  })
}
