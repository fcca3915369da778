import { expect } from "bun:test"
import { Effect, Either, Stream } from "effect"
import * as Ping from "../../src/net/Ping.ts"
import { PlainUdp } from "../../src/net/plainUdp.ts"
import * as Traceroute from "../../src/net/Traceroute.ts"
import { type BindOptions, type ConnectOptions, LARGEST_DATAGRAM } from "../../src/net/Udp.ts"
import { udpEcho, udpServiceCounters } from "../../src/net/udpServices.ts"
import { Stack, type StackService } from "../../src/runtime/stack.ts"
import { formatAddress } from "../../src/wire/addressText.ts"
import { KernelUdp } from "./kernelUdp.ts"
import { kernelSuite } from "./namespace.ts"
import { octets, sha256, string, text } from "./octets.ts"
import { KERNEL, KERNEL6, STACK, STACK6, withPeers } from "./peers.ts"
import { needing, output } from "./programs.ts"
import { sizesFor } from "./udpSizes.ts"
import { found } from "./wait.ts"

const LARGEST = LARGEST_DATAGRAM[6]
const SIZES = sizesFor(6)

const bound = (stack: StackService, options: BindOptions = {}): PlainUdp =>
  Either.getOrThrow(PlainUdp.bind(stack, options))
const connected = (stack: StackService, options: ConnectOptions): PlainUdp =>
  Either.getOrThrow(PlainUdp.connect(stack, options))

const next = (socket: PlainUdp): Promise<Uint8Array> =>
  found("a datagram for the stack", () => socket.tryReceive()?.payload)

const withKernel = async (socket: KernelUdp, body: (socket: KernelUdp) => Promise<void>): Promise<void> => {
  try {
    await body(socket)
  } finally {
    socket.close()
  }
}

kernelSuite("UDP with the kernel over IPv6", import.meta.path, (test) => {
  for (const offload of [false, true]) {
    test(`${SIZES.length} sizes from 0 to ${LARGEST}, echoed by the stack, offload ${offload ? "on" : "off"}: all come back as they were`, async () => {
      await withPeers({ offload, family: 6 }, async ({ stack }) => {
        bound(stack, { port: 7 }).on(udpEcho(udpServiceCounters()))
        await withKernel(new KernelUdp(KERNEL6), async (kernel) => {
          kernel.connect(STACK6, 7)
          for (const size of SIZES) {
            const sent = octets(size, size)
            kernel.send(sent)
            const back = await kernel.receive()
            expect([size, back.length, sha256(back)]).toEqual([size, size, sha256(sent)])
          }
          expect(stack.tcpCounters["Ip6ReasmFails"]).toBe(0)
        })
      })
    }, 120_000)
  }

  test(`${SIZES.length} sizes from the stack, echoed by the kernel's end: all come back as they were`, async () => {
    await withPeers({ family: 6 }, async ({ stack }) => {
      await withKernel(new KernelUdp(KERNEL6), async (kernel) => {
        const socket = connected(stack, { host: KERNEL6, port: kernel.port })
        kernel.connect(STACK6, socket.local.port)
        for (const size of SIZES) {
          const sent = octets(size, size + 1)
          expect(socket.trySend(sent)).toBeUndefined()
          const there = await kernel.receive()
          expect([size, sha256(there)]).toEqual([size, sha256(sent)])
          kernel.send(there)
          expect(sha256(await next(socket))).toBe(sha256(sent))
        }
      })
    })
  }, 120_000)

  test("to a port of the kernel's where nobody listens: ConnectionRefused; from the kernel: ECONNREFUSED", async () => {
    await withPeers({ family: 6 }, async ({ stack }) => {
      const probe = new KernelUdp(KERNEL6)
      const { port } = probe
      probe.close()
      const socket = connected(stack, { host: KERNEL6, port })
      for (const size of [0, 100, 5000]) {
        expect(socket.trySend(octets(size))).toBeUndefined()
        expect(await found("the refusal", () => socket.takePending())).toMatchObject({ _tag: "ConnectionRefused" })
      }
      await withKernel(new KernelUdp(KERNEL6), async (kernel) => {
        kernel.connect(STACK6, 4242)
        for (const size of [0, 1452, 1453, 30_000]) {
          kernel.send(octets(size))
          expect(await kernel.error()).toBe("ECONNREFUSED")
        }
      })
    })
  })

  test("one socket for both versions: it hears each by its own addresses, and answers", async () => {
    await withPeers({ family: 6 }, async ({ stack }) => {
      const ours = bound(stack, { host: "::", port: 7 })
      const seen: Array<string> = []
      ours.on({
        onDatagram: (socket, { payload, source }) => {
          seen.push(formatAddress(source.address))
          socket.trySend(payload, source)
        },
      })
      for (const [host, to] of [
        [KERNEL, STACK],
        [KERNEL6, STACK6],
      ] as const) {
        await withKernel(new KernelUdp(host), async (kernel) => {
          kernel.connect(to, 7)
          kernel.send(text("hello"))
          expect(string(await kernel.receive())).toBe("hello")
        })
      }
      expect(seen).toEqual([KERNEL, KERNEL6])
    })
  })
})

kernelSuite("Echo with the kernel over IPv6", import.meta.path, (test) => {
  const inNamespace = needing(test, "ping")

  for (const size of [0, 56, 1452, 1453, 8000, 65_000]) {
    inNamespace(`ping6 from the kernel, ${size} octets: each answered, whole`, async () => {
      await withPeers({ family: 6 }, async () => {
        const said = await output("ping", "-6", "-n", "-c", "3", "-i", "0.05", "-s", `${size}`, "-W", "5", STACK6)
        expect(said).toContain("3 packets transmitted, 3 received, 0% packet loss")
      })
    })

    test(`from the stack, ${size} octets: each answered, whole`, async () => {
      await withPeers({ family: 6 }, async ({ stack }) => {
        const events = await Effect.runPromise(
          Ping.ping({ host: KERNEL6, count: 3, interval: "20 millis", size, timeout: "5 seconds" }).pipe(
            Stream.runCollect,
            Effect.provideService(Stack, stack),
          ),
        )
        const replies = [...events].filter((event) => event._tag === "Reply")
        expect(replies.map((reply) => [reply.size, reply.damaged])).toEqual(new Array(3).fill([size, false]))
      })
    })
  }

  for (const method of ["udp", "icmp"] as const) {
    test(`traceroute by ${method}: the kernel is the first hop and the last`, async () => {
      await withPeers({ family: 6 }, async ({ stack }) => {
        const hops = await Effect.runPromise(
          Traceroute.traceroute({ host: KERNEL6, method }).pipe(Stream.runCollect, Effect.provideService(Stack, stack)),
        )
        expect([...hops].map(({ ttl, isLast }) => [ttl, isLast])).toEqual([[1, true]])
        const [first] = [...hops][0]?.probes ?? []
        expect(first?._tag === "Answer" && formatAddress(first.from)).toBe(KERNEL6)
      })
    })
  }
})
