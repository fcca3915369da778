import { expect } from "bun:test"
import { Cause, Effect, Either, Exit, Option, Scope, Stream } from "effect"
import { openTap } from "../../src/device/tap.ts"
import * as Ping from "../../src/net/Ping.ts"
import { PlainUdp } from "../../src/net/plainUdp.ts"
import * as Traceroute from "../../src/net/Traceroute.ts"
import { type BindOptions, type ConnectOptions, LARGEST_DATAGRAM, type UdpError } from "../../src/net/Udp.ts"
import { udpEcho, udpServiceCounters } from "../../src/net/udpServices.ts"
import { Stack, type StackService } from "../../src/runtime/stack.ts"
import { ipv4, UNSPECIFIED4 } from "../../src/wire/address.ts"
import { formatAddress } from "../../src/wire/addressText.ts"
import { KernelUdp } from "./kernelUdp.ts"
import { kernelSuite } from "./namespace.ts"
import { octets, sha256, string, text } from "./octets.ts"
import { KERNEL, STACK, withPeers } from "./peers.ts"
import { setQueueLength } from "./posix.ts"
import { needing, output, program, withSysctls } from "./programs.ts"
import { sizesFor } from "./udpSizes.ts"
import { found } from "./wait.ts"

const LARGEST = LARGEST_DATAGRAM[4]
const SIZES = sizesFor(4)

const right = (made: Either.Either<PlainUdp, UdpError>): PlainUdp => Either.getOrThrow(made)
const bound = (stack: StackService, options: BindOptions = {}): PlainUdp => right(PlainUdp.bind(stack, options))
const connected = (stack: StackService, options: ConnectOptions): PlainUdp => right(PlainUdp.connect(stack, options))

const next = (socket: PlainUdp): Promise<Uint8Array> =>
  found("a datagram for the stack", () => socket.tryReceive()?.payload)

/** Waits with a kernel socket that is closed in the end. */
const withKernel = async (socket: KernelUdp, body: (socket: KernelUdp) => Promise<void>): Promise<void> => {
  try {
    await body(socket)
  } finally {
    socket.close()
  }
}

kernelSuite("UDP with the kernel", import.meta.path, (test) => {
  for (const offload of [false, true]) {
    test(`${SIZES.length} sizes from 0 to ${LARGEST}, echoed by the stack, offload ${offload ? "on" : "off"}: all come back as they were`, async () => {
      await withPeers({ offload }, async ({ stack }) => {
        bound(stack, { port: 7 }).on(udpEcho(udpServiceCounters()))
        await withKernel(new KernelUdp(KERNEL), async (kernel) => {
          kernel.connect(STACK, 7)
          for (const size of SIZES) {
            const sent = octets(size, size)
            kernel.send(sent)
            const back = await kernel.receive()
            expect([size, back.length, sha256(back)]).toEqual([size, size, sha256(sent)])
          }
          expect(stack.tcpCounters["IpReasmFails"]).toBe(0)
        })
      })
    }, 120_000)
  }

  test(`${SIZES.length} sizes from the stack, echoed by the kernel's end: all come back as they were`, async () => {
    await withPeers({}, async ({ stack }) => {
      await withKernel(new KernelUdp(KERNEL), async (kernel) => {
        const socket = connected(stack, { host: KERNEL, port: kernel.port })
        kernel.connect(STACK, socket.local.port)
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

  test("one octet too many: refused on this side", async () => {
    await withPeers({}, async ({ stack }) => {
      const socket = connected(stack, { host: KERNEL, port: 9 })
      expect(socket.trySend(new Uint8Array(LARGEST + 1))).toMatchObject({ _tag: "MessageTooLong", errno: "EMSGSIZE" })
    })
  })

  test("a small MTU, many fragments both ways", async () => {
    await withPeers({ mtu: 576 }, async ({ stack }) => {
      bound(stack, { port: 7 }).on(udpEcho(udpServiceCounters()))
      await withKernel(new KernelUdp(KERNEL), async (kernel) => {
        kernel.connect(STACK, 7)
        for (const size of [547, 548, 549, 1099, 1100, 1101, 30_000, LARGEST]) {
          const sent = octets(size, size)
          kernel.send(sent)
          expect(sha256(await kernel.receive())).toBe(sha256(sent))
        }
      })
    })
  })

  test("to a port of the kernel's where nobody listens: ConnectionRefused, once, and the socket goes on", async () => {
    await withPeers({}, async ({ stack }) => {
      const probe = new KernelUdp(KERNEL)
      const { port } = probe
      probe.close()
      const socket = connected(stack, { host: KERNEL, port })
      for (const size of [0, 100, 5000]) {
        expect(socket.trySend(octets(size))).toBeUndefined()
        const error = await found("the refusal", () => socket.takePending())
        expect(error).toMatchObject({ _tag: "ConnectionRefused", endpoint: `${KERNEL}:${port}` })
      }
      await withKernel(new KernelUdp(KERNEL, port), async (kernel) => {
        expect(socket.trySend(text("there"))).toBeUndefined()
        expect(string(await kernel.receive())).toBe("there")
      })
    })
  })

  test("from the kernel to a port where nobody listens: ECONNREFUSED, of fragments too", async () => {
    await withPeers({}, async () => {
      await withKernel(new KernelUdp(KERNEL), async (kernel) => {
        kernel.connect(STACK, 4242)
        for (const size of [0, 1472, 1473, 30_000]) {
          kernel.send(octets(size))
          expect(await kernel.error()).toBe("ECONNREFUSED")
        }
      })
    })
  })

  test("broadcast, both ways", async () => {
    await withPeers({}, async ({ stack }) => {
      const ours = bound(stack, { port: 4000, broadcast: true })
      await withKernel(new KernelUdp("0.0.0.0", 4001), async (kernel) => {
        kernel.connect("198.18.0.255", 4000)
        for (const size of [10, 4000]) {
          kernel.send(octets(size, 1))
          expect(sha256(await next(ours))).toBe(sha256(octets(size, 1)))
        }
      })
      await withKernel(new KernelUdp("0.0.0.0", 4002), async (kernel) => {
        for (const address of [ipv4(0xc61200ff), ipv4(0xffffffff)]) {
          expect(ours.trySend(octets(4000, 2), { address, port: 4002 })).toBeUndefined()
          expect(sha256(await kernel.receive())).toBe(sha256(octets(4000, 2)))
        }
      })
    })
  })

  test("multicast, both ways: members hear it, others do not", async () => {
    const group = "239.192.0.1"
    await withPeers({}, async ({ stack, barrier }) => {
      const ours = bound(stack, { port: 4000 })
      await withKernel(new KernelUdp("0.0.0.0", 4001), async (kernel) => {
        kernel.join(group, KERNEL)
        expect(ours.trySend(octets(3000), { address: ipv4(0xefc00001), port: 4001 })).toBeUndefined()
        expect(sha256(await kernel.receive())).toBe(sha256(octets(3000)))
        kernel.connect(group, 4000)
        kernel.send(text("nobody hears"))
        await barrier()
        expect(ours.join(group)).toBeUndefined()
        kernel.send(octets(3000, 2))
        expect(sha256(await next(ours))).toBe(sha256(octets(3000, 2)))
        expect(stack.tcpCounters["IpInAddrErrors"]).toBeGreaterThan(0)
      })
    })
  })
})

kernelSuite("echo with the kernel", import.meta.path, (test) => {
  const withPing = needing(test, "ping")

  withPing("the kernel's ping of 1473 to 65507 octets, in fragments: all come back", async () => {
    await withPeers({}, async () => {
      for (const size of [1473, 2952, 2953, 8000, 30_000, 65_507]) {
        const shown = await output("ping", "-n", "-c", "1", "-W", "20", "-p", "a5c3", "-s", `${size}`, STACK)
        expect(shown).toContain("1 packets transmitted, 1 received, 0% packet loss")
        expect(shown).not.toContain("wrong data")
      }
    })
  })

  test("the stack's ping of 0 to 65507 octets: all come back, undamaged", async () => {
    await withPeers({}, async ({ stack }) => {
      for (const size of [0, 1, 56, 1472, 1473, 8000, 65_507]) {
        const [sent, reply, ...more] = await pinged(stack, { host: KERNEL, count: 1, size, timeout: "20 seconds" })
        expect(sent).toEqual({ _tag: "Sent", sequence: 1 })
        expect(reply).toMatchObject({ _tag: "Reply", size, ttl: 64, duplicate: false, damaged: false })
        expect(more).toEqual([])
      }
    })
  })

  test("its own address: answered too", async () => {
    await withPeers({}, async ({ stack }) => {
      const events = await pinged(stack, { host: STACK, count: 2, interval: 0, size: 5000, timeout: "20 seconds" })
      expect(events.filter(({ _tag }) => _tag === "Reply")).toHaveLength(2)
    })
  })

  test("nobody's address: told that the host is unreachable, by itself", async () => {
    await withPeers({}, async ({ stack }) => {
      const events = await pinged(stack, { host: "198.18.0.99", count: 1, timeout: "20 seconds" })
      const [, failure] = events
      if (failure?._tag !== "Failure") throw new Error(failure?._tag)
      expect([failure.report.problem, formatAddress(failure.report.from)]).toEqual(["HostUnreachable", STACK])
    })
  })

  test("longer than the link takes, with DF: not sent", async () => {
    await withPeers({}, async ({ stack }) => {
      const events = await pinged(stack, { host: KERNEL, count: 1, size: 1473, dontFragment: true })
      expect(events).toMatchObject([{ _tag: "NotSent", error: { _tag: "MessageTooLong" } }])
    })
  })
})

const FAR = "198.18.1.2"

/** Two stacks, and the kernel between them as their router: the far link takes 1000 octets. */
const withRouter = (body: (near: StackService, far: StackService) => Promise<void>): Promise<void> =>
  withSysctls({ "net.ipv4.ip_forward": 1, "net.ipv4.icmp_ratelimit": 0 }, async () => {
    const scope = Effect.runSync(Scope.make())
    const stackOn = (network: number, mtu: number): Promise<StackService> =>
      Effect.runPromise(
        Effect.gen(function* () {
          const router = ipv4(0xc6120001 + (network << 8))
          const device = yield* openTap({ mtu, addresses: [{ address: router, prefixLength: 24 }] })
          setQueueLength(device.name, 4096)
          return yield* Stack.make({
            interfaces: [{ device, addresses: [`198.18.${network}.2/24`] }],
            routes: [{ prefix: UNSPECIFIED4, prefixLength: 0, via: router, interface: 0 }],
            closeGrace: "50 millis",
          })
        }).pipe(Scope.extend(scope)),
      )
    try {
      await body(await stackOn(0, 1500), await stackOn(1, 1000))
    } finally {
      await Effect.runPromise(Scope.close(scope, Exit.void))
    }
  })

kernelSuite("a router of the kernel's in between", import.meta.path, (test) => {
  for (const method of ["udp", "icmp"] as const) {
    test(`traceroute by ${method}: the router, then the other stack`, async () => {
      await withRouter(async (near) => {
        const hops = await collected(near, Traceroute.traceroute({ host: FAR, method, timeout: "20 seconds" }))
        const seen = hops.map(({ ttl, probes, isLast }) => [
          ttl,
          isLast,
          ...probes.map((probe) => (probe._tag === "Answer" ? formatAddress(probe.from) : probe._tag)),
        ])
        expect(seen).toEqual([
          [1, false, KERNEL, KERNEL, KERNEL],
          [2, true, FAR, FAR, FAR],
        ])
      })
    })
  }

  test("ping with a TTL of 1: time exceeded, says the router", async () => {
    await withRouter(async (near) => {
      const [, failure] = await pinged(near, { host: FAR, count: 1, ttl: 1, timeout: "20 seconds" })
      if (failure?._tag !== "Failure") throw new Error(failure?._tag)
      expect([failure.report.problem, formatAddress(failure.report.from)]).toEqual(["HopLimitExceeded", KERNEL])
    })
  })

  test("a datagram longer than the far link takes: the router fragments it again, the far stack puts it together", async () => {
    await withRouter(async (near, far) => {
      bound(far, { port: 7 }).on(udpEcho(udpServiceCounters()))
      const socket = connected(near, { host: FAR, port: 7 })
      for (const size of [972, 973, 1472, 1473, 20_000]) {
        expect(socket.trySend(octets(size, size))).toBeUndefined()
        expect(sha256(await next(socket))).toBe(sha256(octets(size, size)))
      }
    })
  })

  test("the same with DF: MessageTooLong with the path's MTU, and no longer one is sent", async () => {
    await withRouter(async (near, far) => {
      const server = bound(far, { port: 7 })
      const socket = connected(near, { host: FAR, port: 7, dontFragment: true })
      expect(socket.trySend(octets(1400))).toBeUndefined()
      expect(await found("the router's word", () => socket.takePending())).toMatchObject({
        _tag: "MessageTooLong",
        mtu: 1000,
      })
      expect(socket.trySend(octets(973))).toMatchObject({ _tag: "MessageTooLong" })
      expect(socket.trySend(octets(972))).toBeUndefined()
      expect((await next(server)).length).toBe(972)
    })
  })
})

kernelSuite("the commands", import.meta.path, (test) => {
  test("netfold ping of the kernel: iputils' lines, exit status 0", async () => {
    const { status, stdout } = await command("ping", "-c", "3", "-i", "0.01", KERNEL)
    expect(stdout).toContain(`PING ${KERNEL} (${KERNEL}) 56(84) bytes of data.`)
    expect(stdout).toMatch(/^64 bytes from 198\.18\.0\.1: icmp_seq=3 ttl=64 time=[\d.]+ ms$/m)
    expect(stdout).toContain(`--- ${KERNEL} ping statistics ---`)
    expect(stdout).toMatch(/^3 packets transmitted, 3 received, 0% packet loss, time \d+ms$/m)
    expect(stdout).toMatch(/^rtt min\/avg\/max\/mdev = [\d.]+\/[\d.]+\/[\d.]+\/[\d.]+ ms$/m)
    expect(status).toBe(0)
  })

  test("netfold ping of nobody: exit status 1, and why", async () => {
    const { status, stdout } = await command("ping", "-c", "1", "-W", "15", "--json", "198.18.0.99")
    const records = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line))
    expect(records).toMatchObject([
      { event: "failure", problem: "HostUnreachable", from: STACK },
      { event: "statistics", transmitted: 1, received: 0, errors: 1, loss: 100 },
    ])
    expect(status).toBe(1)
  })

  test("netfold traceroute to the kernel: one hop", async () => {
    const { status, stdout } = await command("traceroute", "-q", "2", KERNEL)
    expect(stdout).toMatch(/^ 1 {2}198\.18\.0\.1 {2}[\d.]+ ms {2}[\d.]+ ms$/m)
    expect(status).toBe(0)
  })

  needing(test, "ip")("the same over IPv6, also of an address that only the kernel leads to", async () => {
    await output("ip", "-6", "addr", "add", "2001:db8:b::1/128", "dev", "lo")
    for (const host of ["2001:db8::1", "2001:db8:b::1"]) {
      const ping = await command("ping", "-6", "-c1", "-W", "15", host)
      expect(ping.stdout).toContain(`PING ${host}(${host}) 56 data bytes\n64 bytes from ${host}: icmp_seq=1 ttl=64`)
      const { status, stdout } = await command("traceroute", "-6", "-q", "1", host)
      expect(stdout).toStartWith(`traceroute to ${host} (${host}), 30 hops max, 80 byte packets\n 1  ${host}  `)
      expect(status).toBe(0)
    }
  })
})

const MAIN = new URL("../../src/cli/main.ts", import.meta.url).pathname
const command = (...words: ReadonlyArray<string>) => program([process.execPath, MAIN, ...words])

const collected = async <A, E>(stack: StackService, stream: Stream.Stream<A, E, Stack>): Promise<ReadonlyArray<A>> => {
  const exit = await Effect.runPromiseExit(Effect.provideService(Stream.runCollect(stream), Stack, stack))
  if (Exit.isSuccess(exit)) return [...exit.value]
  throw Option.getOrElse(Cause.failureOption(exit.cause), () => Cause.squash(exit.cause))
}

const pinged = (stack: StackService, options: Ping.PingOptions): Promise<ReadonlyArray<Ping.PingEvent>> =>
  collected(stack, Ping.ping(options))
