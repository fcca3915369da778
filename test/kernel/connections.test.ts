import { expect } from "bun:test"
import type { KernelSocket } from "./kernelSocket.ts"
import { kernelSuite } from "./namespace.ts"
import { type End, octets, readAll, readExactly, sha256, string, text } from "./octets.ts"
import {
  ENDS,
  FAMILIES,
  KERNEL,
  KERNEL6,
  type Pair,
  type Peers,
  peersOver,
  STACK,
  STACK6,
  type StackPeer,
} from "./peers.ts"
import * as posix from "./posix.ts"
import { reasonOf, until } from "./wait.ts"

/** Sends back what comes, and half-closes after the last. */
const echoing = async (end: End): Promise<void> => {
  for (let chunk = await end.read(); chunk !== undefined; chunk = await end.read()) await end.write(chunk)
  end.shutdown()
}

/** Everything sent, half-closed, and everything that comes back. */
const exchange = async (end: End, bytes: Uint8Array): Promise<Uint8Array> => {
  const sending = end.write(bytes).then(() => end.shutdown())
  const [back] = await Promise.all([readAll(end), sending])
  return back
}

/** The states of the stack's connections, without its listeners. */
const states = (stack: StackPeer) => stack.list().flatMap(({ state }) => (state === "LISTEN" ? [] : [state]))

/** Addresses of the stack's own. */
const OWN = {
  4: [STACK, "198.18.0.3", "198.18.0.200"],
  6: [STACK6, "2001:db8:7::3", "2001:db8:7::200"],
} as const
const cidr = (host: string): string => `${host}/${host.includes(":") ? 64 : 24}`

type Meet = (peers: Peers) => Promise<Pair>
const byKernel: Meet = ({ fromKernel }) => fromKernel()
const byStack: Meet = ({ fromStack }) => fromStack()

const manners: ReadonlyArray<readonly [manner: string, meet: Meet, offload: boolean]> = [
  ["made by the kernel, offload off", byKernel, false],
  ["made by the kernel, offload on", byKernel, true],
  ["made by the stack, offload off", byStack, false],
  ["made by the stack, offload on", byStack, true],
]

for (const family of FAMILIES) {
  const withPeers = peersOver(family)
  kernelSuite(`100 connections at once, over IPv${family}`, import.meta.path, (test) => {
    const everyone = Array.from({ length: 100 }, (_, index) => octets(20_000 + index, index))

    test("made by the kernel: each gets its own data back", async () => {
      await withPeers({}, async ({ stack, kernel }) => {
        await stack.echo({ port: 7 })
        const sockets = await Promise.all(everyone.map(() => kernel.dial(7)))
        await until("100 at the stack", () => stack.connections() === 100)
        const back = await Promise.all(
          sockets.map((socket, index) => exchange(socket, everyone[index] ?? text("none"))),
        )
        expect(back.map(sha256)).toEqual(everyone.map(sha256))
        await until("the stack's ends closing", () => stack.connections() === 0)
      })
    })

    test("made by the stack: each gets its own data back", async () => {
      await withPeers({}, async ({ stack, kernel }) => {
        const listener = kernel.hear()
        const serving = Promise.all(everyone.map(async () => echoing(await listener.accept())))
        const ends = await Promise.all(everyone.map(() => stack.dial(listener.port)))
        expect(new Set(ends.map(({ connection }) => connection.local.port)).size).toBe(100)
        const back = await Promise.all(ends.map((end, index) => exchange(end, everyone[index] ?? text("none"))))
        expect(back.map(sha256)).toEqual(everyone.map(sha256))
        await serving
      })
    })
  })
}

for (const [manner, meet, offload] of manners) {
  for (const family of FAMILIES) {
    const withPeers = peersOver(family)
    kernelSuite(`A connection ${manner}, over IPv${family}`, import.meta.path, (test) => {
      test("the kernel half-closes: its end of data is seen, and data still comes back", async () => {
        await withPeers({ offload }, async (peers) => {
          const { ours, theirs } = await meet(peers)
          await theirs.write(text("last words"))
          theirs.shutdown()
          expect(string(await readAll(ours))).toBe("last words")
          expect(ours.status.state).toBe("CLOSE-WAIT")
          const answer = octets(300_000)
          const [back] = await Promise.all([readAll(theirs), ours.write(answer).then(() => ours.shutdown())])
          expect(sha256(back)).toBe(sha256(answer))
          expect(await ours.failure()).toBe("")
          await until("the stack forgetting it", () => states(peers.stack).length === 0)
        })
      })

      test("the stack half-closes: its end of data is seen, and data still comes back", async () => {
        await withPeers({ offload }, async (peers) => {
          const { ours, theirs } = await meet(peers)
          await ours.write(text("last words"))
          ours.shutdown()
          expect(string(await readAll(theirs))).toBe("last words")
          expect(theirs.info.state).toBe("CLOSE-WAIT")
          await until("the kernel's ACK", () => ours.status.state === "FIN-WAIT-2")
          const answer = octets(300_000)
          const [back] = await Promise.all([readAll(ours), theirs.write(answer).then(() => theirs.shutdown())])
          expect(sha256(back)).toBe(sha256(answer))
          expect(await ours.failure()).toBe("")
          expect(states(peers.stack)).toEqual(["TIME-WAIT"])
        })
      })

      test("both close before they hear of the other: both are in TIME-WAIT", async () => {
        await withPeers({ offload }, async (peers) => {
          const { ours, theirs } = await meet(peers)
          await peers.barrier()
          // The kernel's FIN waits at the device while the stack's own is sent.
          theirs.shutdown()
          ours.shutdown()
          expect(await readAll(ours)).toHaveLength(0)
          expect(await readAll(theirs)).toHaveLength(0)
          await until("the end of CLOSING", () => states(peers.stack).includes("TIME-WAIT"))
          expect(theirs.info.state).toBe("CLOSED") // What the kernel calls a socket whose TIME-WAIT goes on without it.
        })
      })

      test("the kernel aborts: ConnectionReset, for a reader that waits and for a writer", async () => {
        await withPeers({ offload }, async (peers) => {
          const { ours, theirs } = await meet(peers)
          const reading = reasonOf(ours.read())
          await peers.barrier()
          theirs.abort()
          expect(await reading).toMatchObject({ _tag: "ConnectionReset", errno: "ECONNRESET" })
          expect(await reasonOf(ours.write(text("too late")))).toMatchObject({ _tag: "ConnectionReset" })
          expect(await ours.failure()).toBe("ConnectionReset")
          expect(peers.stack.tcpCounters["EstabResets"]).toBe(1)
        })
      })

      test("the stack aborts: ECONNRESET at the kernel", async () => {
        await withPeers({ offload }, async (peers) => {
          const { ours, theirs } = await meet(peers)
          await theirs.write(text("unread"))
          await peers.barrier()
          ours.abort()
          expect(await theirs.failure()).toBe("ECONNRESET")
          expect(await ours.failure()).toBe("ConnectionAborted")
          expect(peers.stack.tcpCounters["OutRsts"]).toBe(1)
        })
      })

      for (const noDelay of [false, true]) {
        const nagle = noDelay
          ? "without Nagle's algorithm: ten at once, each in a segment of its own"
          : "with Nagle's algorithm"

        test(`1-octet writes of the stack, ${nagle}`, async () => {
          await withPeers({ offload }, async (peers) => {
            const { ours, theirs } = await meet(peers)
            ours.connection.plain.setNoDelay(noDelay)
            await peers.barrier()
            const bytes = octets(300)
            for (const octet of bytes) {
              expect(ours.connection.plain.tryWrite(Uint8Array.of(octet))).toBe(1)
              // The stack sends in a microtask; no ACK is read meanwhile.
              await Promise.resolve()
            }
            expect(await readExactly(theirs, bytes.length)).toEqual(bytes)
            // The initial window is ten segments, however small; what is written meanwhile goes together.
            expect(theirs.info.dataSegmentsIn).toBe(noDelay ? 11 : 2)
          })
        })

        test(`1-octet writes of the kernel, ${noDelay ? "without" : "with"} Nagle's algorithm`, async () => {
          await withPeers({ offload }, async (peers) => {
            const { ours, theirs } = await meet(peers)
            if (noDelay) posix.setOption(theirs.fd, posix.IPPROTO_TCP, posix.TCP_NODELAY, 1)
            await peers.barrier()
            const bytes = octets(300)
            for (const octet of bytes) expect(theirs.writeNow(Uint8Array.of(octet))).toBe(1)
            expect(await readExactly(ours, bytes.length)).toEqual(bytes)
          })
        })
      }

      test("1-octet requests and answers, one after the other", async () => {
        await withPeers({ offload }, async (peers) => {
          const { ours, theirs } = await meet(peers)
          const serving = echoing(ours)
          for (let round = 0; round < 300; round++) {
            await theirs.write(Uint8Array.of(round & 255))
            expect(await readExactly(theirs, 1)).toEqual(Uint8Array.of(round & 255))
          }
          theirs.shutdown()
          await serving
          expect(await theirs.read()).toBeUndefined()
        })
      })
    })
  }
}

for (const family of FAMILIES) {
  const withPeers = peersOver(family)
  kernelSuite(`Making connections, over IPv${family}`, import.meta.path, (test) => {
    test("the kernel to a port where nobody listens: ECONNREFUSED", async () => {
      await withPeers({}, async ({ stack, kernel }) => {
        expect(await reasonOf(kernel.dial(81))).toMatchObject({ code: "ECONNREFUSED" })
        expect(stack.tcpCounters["OutRsts"]).toBe(1)
      })
    })

    test("the stack to a port where nobody listens: ConnectionRefused", async () => {
      await withPeers({}, async ({ stack }) => {
        expect(await reasonOf(stack.dial(81))).toMatchObject({
          _tag: "ConnectionRefused",
          errno: "ECONNREFUSED",
          endpoint: family === 4 ? `${KERNEL}:81` : `[${KERNEL6}]:81`,
        })
      })
    })

    test("the stack from a port of its choice: the kernel sees it come from there", async () => {
      await withPeers({}, async ({ fromStack }) => {
        const { ours, theirs } = await fromStack({ local: { port: 12_345 } })
        expect(theirs.remote).toEqual({ host: ENDS[family].stack, port: 12_345 })
        expect(ours.connection.local.port).toBe(12_345)
      })
    })

    test("both connect to each other at once: one connection", async () => {
      await withPeers({}, async ({ stack, kernel, barrier }) => {
        await barrier()
        // The kernel's SYN waits at the device while the stack's own is sent.
        const theirs = kernel.begin(5001, { localPort: 5002 })
        const ours = await stack.dial(5002, { local: { port: 5001 } })
        await theirs.connected()
        await Promise.all([theirs.write(text("from the kernel")), ours.write(text("from the stack"))])
        expect(string(await readExactly(ours, 15))).toBe("from the kernel")
        expect(string(await readExactly(theirs, 14))).toBe("from the stack")
        expect(states(stack)).toContain("ESTABLISHED")
      })
    })

    test("the kernel gives up before the SYN-ACK: nothing is accepted", async () => {
      await withPeers({}, async ({ stack, kernel, barrier }) => {
        const listener = await stack.hear({ port: 7 })
        await barrier()
        kernel.begin(7).abort()
        await barrier() // The SYN-ACK has been answered,
        await barrier() // and the answer read.
        expect(stack.tcpCounters["EmbryonicRsts"]).toBe(1)
        expect(states(stack)).toEqual(["ESTABLISHED"]) // The barrier's own.
        // The next one is not mistaken for it.
        const [ours, theirs] = await Promise.all([listener.accept(), kernel.dial(7)])
        await theirs.write(text("me"))
        expect(string(await readExactly(ours, 2))).toBe("me")
      })
    })

    test("all options of the kernel, on and off: both agree, and the data is intact", async () => {
      for (const timestamps of [false, true]) {
        for (const sack of [false, true]) {
          for (const scaling of [false, true]) {
            const kernelSettings = {
              tcp_timestamps: timestamps ? 1 : 0,
              tcp_sack: sack ? 1 : 0,
              tcp_window_scaling: scaling ? 1 : 0,
            }
            await withPeers({ kernelSettings }, async (peers) => {
              for (const meet of [byKernel, byStack]) {
                const { ours, theirs } = await meet(peers)
                const { info } = theirs
                expect(info).toMatchObject({ timestamps, sack, scaling })
                const { tcb } = ours.status
                if (!("link" in tcb)) throw new Error(`not synchronized: ${tcb._tag}`)
                expect(tcb.link.agreed).toMatchObject({
                  timestamps,
                  sack,
                  scaling,
                  sndScale: scaling ? info.rcvScale : 0,
                  rcvScale: scaling ? info.sndScale : 0,
                })
                const bytes = octets(300_000)
                const serving = echoing(ours)
                expect(sha256(await exchange(theirs, bytes))).toBe(sha256(bytes))
                await serving
              }
            })
          }
        }
      }
    })

    /** Of the headers and of timestamps. */
    const overhead = family === 4 ? 52 : 72
    // IPv6 has no links of less than 1280 octets.
    for (const mtu of family === 4 ? [576, 1280, 9000, 65_521] : [1280, 9000, 65_521]) {
      // The kernel sends no more at once than half of the largest window that it has seen.
      const least = Math.min(mtu - overhead, 32_256)
      test(`an interface with an MTU of ${mtu}: segments fill it, and the data is intact`, async () => {
        await withPeers({ mtu }, async (peers) => {
          for (const meet of [byKernel, byStack]) {
            const { ours, theirs } = await meet(peers)
            expect(theirs.info.sndMss).toBeGreaterThanOrEqual(least)
            const bytes = octets(1_000_000)
            const serving = echoing(ours)
            expect(sha256(await exchange(theirs, bytes))).toBe(sha256(bytes))
            await serving
          }
        })
      })
    }

    test("a kernel that announces an MSS of 88: the stack's segments are no larger", async () => {
      await withPeers({}, async ({ fromKernel }) => {
        const { ours, theirs } = await fromKernel({}, { mss: 88 })
        const bytes = octets(88_000 - 12 * 1000)
        const [back] = await Promise.all([readAll(theirs), ours.write(bytes).then(() => ours.shutdown())])
        expect(sha256(back)).toBe(sha256(bytes))
        expect(theirs.info.dataSegmentsIn).toBeGreaterThanOrEqual(bytes.length / 76)
      })
    })
  })
}

for (const family of FAMILIES) {
  const withPeers = peersOver(family)
  kernelSuite(`Where the stack listens, over IPv${family}`, import.meta.path, (test) => {
    const greeting = async (socket: KernelSocket) => string(await readAll(socket))

    test("on all ports: each one answers, and a listener of its own port goes first", async () => {
      await withPeers({}, async ({ stack, kernel }) => {
        await stack.echo({ allPorts: true })
        const own = await stack.hear({ port: 80 })
        for (const port of [1, 7, 79, 81, 1024, 32_768, 65_535]) {
          const socket = await kernel.dial(port)
          expect(string(await exchange(socket, text(`port ${port}`)))).toBe(`port ${port}`)
        }
        const [ours, theirs] = await Promise.all([own.accept(), kernel.dial(80)])
        await ours.write(text("the one on 80"))
        ours.close()
        expect(await greeting(theirs)).toBe("the one on 80")
      })
    })

    test("on several addresses of its own: each on its own, and one on all of them", async () => {
      const [first, second, third] = OWN[family]
      const addresses = OWN[family].map(cidr)
      await withPeers({ addresses }, async ({ stack, kernel }) => {
        const listening = [{ host: first, port: 80 }, { host: second, port: 80 }, { port: 81 }]
        for (const options of listening) {
          const listener = await stack.hear(options)
          void (async () => {
            for (;;) {
              const ours = await listener.accept()
              await ours.write(text(`listener of ${options.host ?? "all"}`))
              ours.close()
            }
          })().catch(() => {})
        }
        const answers = []
        for (const port of [80, 81]) {
          for (const host of [first, second]) {
            const socket = await kernel.dial(port, { host })
            expect(socket.remote).toEqual({ host, port })
            answers.push(await greeting(socket))
          }
        }
        const own = [`listener of ${first}`, `listener of ${second}`]
        expect(answers).toEqual([...own, "listener of all", "listener of all"])
        expect(await reasonOf(kernel.dial(80, { host: third }))).toMatchObject({ code: "ECONNREFUSED" })
      })
    })

    test("on one address only: another one refuses", async () => {
      const [first, second] = OWN[family]
      await withPeers({ addresses: [first, second].map(cidr) }, async ({ stack, kernel }) => {
        await stack.hear({ host: second, port: 80 })
        expect(await reasonOf(kernel.dial(80))).toMatchObject({ code: "ECONNREFUSED" })
        await kernel.dial(80, { host: second })
      })
    })
  })
}
