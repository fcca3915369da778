import { expect } from "bun:test"
import { Cause, Effect, Either, Exit, Option, Scope, Stream } from "effect"
import { openTap } from "../../src/device/tap.ts"
import * as Ping from "../../src/net/Ping.ts"
import { PlainUdp } from "../../src/net/plainUdp.ts"
import * as Traceroute from "../../src/net/Traceroute.ts"
import { type BindOptions, type ConnectOptions, LARGEST_DATAGRAM, type UdpError } from "../../src/net/Udp.ts"
import { udpEcho, udpServiceCounters } from "../../src/net/udpServices.ts"
import { Stack, type StackService } from "../../src/runtime/stack.ts"
import { type IpAddress, ipv4, UNSPECIFIED4, UNSPECIFIED6 } from "../../src/wire/address.ts"
import { formatAddress, parseAddress } from "../../src/wire/addressText.ts"
import { KernelUdp } from "./kernelUdp.ts"
import { kernelSuite } from "./namespace.ts"
import { octets, sha256, string, text } from "./octets.ts"
import { ENDS, FAMILIES, type Family, KERNEL, KERNEL6, peersOver, STACK, STACK6, withPeers } from "./peers.ts"
import { setQueueLength } from "./posix.ts"
import { needing, output, program, withSysctls } from "./programs.ts"
import { batchesOf, payloadOf, sizesFor } from "./udpSizes.ts"
import { found, until } from "./wait.ts"

const right = (made: Either.Either<PlainUdp, UdpError>): PlainUdp => Either.getOrThrow(made)
const bound = (stack: StackService, options: BindOptions = {}): PlainUdp => right(PlainUdp.bind(stack, options))
const connected = (stack: StackService, options: ConnectOptions): PlainUdp => right(PlainUdp.connect(stack, options))

const next = (socket: PlainUdp): Promise<Uint8Array> =>
  found("a datagram for the stack", () => socket.tryReceive()?.payload)

const address = (host: string): IpAddress => {
  const parsed = parseAddress(host)
  if (parsed === undefined) throw new Error(host)
  return parsed
}

/** Waits with a kernel socket that is closed in the end. */
const withKernel = async (socket: KernelUdp, body: (socket: KernelUdp) => Promise<void>): Promise<void> => {
  try {
    await body(socket)
  } finally {
    socket.close()
  }
}

/** Sends datagrams of all sizes, many at a time, and compares what comes back with each. */
const exchanged = async (
  sizes: ReadonlyArray<number>,
  send: (payload: Uint8Array) => boolean,
  receive: () => Promise<Uint8Array>,
): Promise<void> => {
  // The first alone: no more than three wait for a neighbour's link address.
  for (const batch of [[1], ...batchesOf(sizes)]) {
    for (const size of batch) await until("room for a datagram", () => send(payloadOf(size)))
    for (const size of batch) {
      const back = await receive()
      // Not by `expect` for each: it takes longer than the datagram.
      if (Buffer.compare(back, payloadOf(size)) !== 0)
        expect([size, sha256(back)]).toEqual([size, sha256(payloadOf(size))])
    }
  }
}

/** What one frame of 1500 octets takes of a datagram, and the group and MTU that a family is tried with. */
const OF = {
  4: { whole: 1472, group: "239.192.0.1", smallMtu: 576, smallSizes: [547, 548, 549, 1099, 1100, 1101] },
  6: { whole: 1452, group: "ff15::7:1", smallMtu: 1280, smallSizes: [1231, 1232, 1233, 2463, 2464, 2465] },
} as const

for (const family of FAMILIES) {
  const withPeers = peersOver(family)
  const { kernel: KERNEL, stack: STACK } = ENDS[family]
  const { whole, group, smallMtu, smallSizes } = OF[family]
  const LARGEST = LARGEST_DATAGRAM[family]
  const SIZES = sizesFor(family)
  const reassemblyFailures = family === 4 ? "IpReasmFails" : "Ip6ReasmFails"

  kernelSuite(`UDP with the kernel over IPv${family}`, import.meta.path, (test) => {
    for (const offload of [false, true]) {
      test(`${SIZES.length} sizes from 0 to ${LARGEST}, echoed by the stack, offload ${offload ? "on" : "off"}: all come back as they were`, async () => {
        await withPeers({ offload }, async ({ stack }) => {
          bound(stack, { port: 7 }).on(udpEcho(udpServiceCounters()))
          await withKernel(new KernelUdp(KERNEL), async (kernel) => {
            kernel.connect(STACK, 7)
            await exchanged(
              SIZES,
              (payload) => kernel.send(payload),
              () => kernel.receive(),
            )
            expect(stack.tcpCounters[reassemblyFailures]).toBe(0)
          })
        })
      }, 300_000)
    }

    test(`${SIZES.length} sizes from the stack, echoed by the kernel's end: all come back as they were`, async () => {
      await withPeers({}, async ({ stack }) => {
        await withKernel(new KernelUdp(KERNEL), async (kernel) => {
          const socket = connected(stack, { host: KERNEL, port: kernel.port })
          kernel.connect(STACK, socket.local.port)
          const send = (payload: Uint8Array): boolean => socket.trySend(payload) === undefined
          await exchanged(SIZES, send, async () => {
            kernel.send(await kernel.receive())
            return next(socket)
          })
        })
      })
    }, 300_000)

    test("one octet too many: refused on this side", async () => {
      await withPeers({}, async ({ stack }) => {
        const socket = connected(stack, { host: KERNEL, port: 9 })
        expect(socket.trySend(new Uint8Array(LARGEST + 1))).toMatchObject({ _tag: "MessageTooLong", errno: "EMSGSIZE" })
      })
    })

    test("a small MTU, many fragments both ways", async () => {
      await withPeers({ mtu: smallMtu }, async ({ stack }) => {
        bound(stack, { port: 7 }).on(udpEcho(udpServiceCounters()))
        await withKernel(new KernelUdp(KERNEL), async (kernel) => {
          kernel.connect(STACK, 7)
          for (const size of [...smallSizes, 30_000, LARGEST]) {
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
        const endpoint = family === 4 ? `${KERNEL}:${port}` : `[${KERNEL}]:${port}`
        for (const size of [0, 100, 5000]) {
          expect(socket.trySend(octets(size))).toBeUndefined()
          const error = await found("the refusal", () => socket.takePending())
          expect(error).toMatchObject({ _tag: "ConnectionRefused", endpoint })
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
          for (const size of [0, whole, whole + 1, 30_000]) {
            kernel.send(octets(size))
            expect(await kernel.error()).toBe("ECONNREFUSED")
          }
        })
      })
    })

    test("multicast, both ways: members hear it, others do not", async () => {
      await withPeers({}, async ({ stack, barrier }) => {
        const ours = bound(stack, { port: 4000 })
        await withKernel(new KernelUdp(family === 4 ? "0.0.0.0" : "::", 4001), async (kernel) => {
          kernel.join(group, family === 4 ? KERNEL : stack.device.name)
          expect(ours.trySend(octets(3000), { address: address(group), port: 4001 })).toBeUndefined()
          expect(sha256(await kernel.receive())).toBe(sha256(octets(3000)))
          kernel.connect(group, 4000)
          kernel.send(text("nobody hears"))
          await barrier()
          expect(ours.join(group)).toBeUndefined()
          kernel.send(octets(3000, 2))
          expect(sha256(await next(ours))).toBe(sha256(octets(3000, 2)))
          expect(stack.tcpCounters[family === 4 ? "IpInAddrErrors" : "Ip6InAddrErrors"]).toBeGreaterThan(0)
        })
      })
    })
  })

  kernelSuite(`echo with the kernel over IPv${family}`, import.meta.path, (test) => {
    const withPing = needing(test, "ping")
    const sizes = [0, 1, 56, whole, whole + 1, 8000, family === 4 ? 65_507 : 65_527]

    withPing(`the kernel's ping of ${whole + 1} to 65507 octets, in fragments: all come back`, async () => {
      await withPeers({}, async () => {
        for (const size of [whole + 1, 2 * whole + 8, 2 * whole + 9, 8000, 30_000, 65_507]) {
          const words = ["-n", "-c", "1", "-W", "20", "-p", "a5c3", "-s", `${size}`, STACK]
          const shown = await output("ping", `-${family}`, ...words)
          expect(shown).toContain("1 packets transmitted, 1 received, 0% packet loss")
          expect(shown).not.toContain("wrong data")
        }
      })
    })

    test(`the stack's ping of ${sizes.join(", ")} octets: all come back, undamaged`, async () => {
      await withPeers({}, async ({ stack }) => {
        for (const size of sizes) {
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

    test("longer than the link takes, with DF: not sent", async () => {
      await withPeers({}, async ({ stack }) => {
        const events = await pinged(stack, { host: KERNEL, count: 1, size: whole + 1, dontFragment: true })
        expect(events).toMatchObject([{ _tag: "NotSent", error: { _tag: "MessageTooLong" } }])
      })
    })
  })
}

kernelSuite("UDP with the kernel, where the versions differ or meet", import.meta.path, (test) => {
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

  test("nobody's addresses: told that the host is unreachable, by itself", async () => {
    await withPeers({ family: 6 }, async ({ stack }) => {
      const hosts = [
        ["198.18.0.99", STACK],
        ["2001:db8:7::99", STACK6],
      ] as const
      const all = await Promise.all(hosts.map(([host]) => pinged(stack, { host, count: 1, timeout: "20 seconds" })))
      for (const [index, [, failure]] of all.entries()) {
        if (failure?._tag !== "Failure") throw new Error(failure?._tag)
        const told = [failure.report.problem, formatAddress(failure.report.from)]
        expect(told).toEqual(["HostUnreachable", hosts[index]?.[1] ?? ""])
      }
    })
  })
})

/** A link of each family to the kernel, and one beyond it: the kernel's own address there, and the stack's. */
const NETWORKS = {
  4: {
    length: 24,
    ends: [
      ["198.18.0.1", "198.18.0.2"],
      ["198.18.1.1", "198.18.1.2"],
    ],
  },
  6: {
    length: 64,
    ends: [
      ["2001:db8:7::1", "2001:db8:7::2"],
      ["2001:db8:8::1", "2001:db8:8::2"],
    ],
  },
} as const
const FORWARDING = {
  4: { "net.ipv4.ip_forward": 1, "net.ipv4.icmp_ratelimit": 0 },
  // A router asks for neighbours by its link-local address, which it would first detect for a second or two.
  6: { "net.ipv6.conf.all.forwarding": 1, "net.ipv6.icmp.ratelimit": 0, "net.ipv6.conf.default.dad_transmits": 0 },
} as const
const FAR_MTU = 1300

/** Two stacks, and the kernel between them as their router: the far link takes 1300 octets. */
const withRouter = (family: Family, body: (near: StackService, far: StackService) => Promise<void>): Promise<void> =>
  withSysctls(FORWARDING[family], async () => {
    const scope = Effect.runSync(Scope.make())
    const { length, ends } = NETWORKS[family]
    const stackOn = ([kernel, own]: readonly [string, string], mtu: number): Promise<StackService> =>
      Effect.runPromise(
        Effect.gen(function* () {
          const router = address(kernel)
          const device = yield* openTap({ mtu, addresses: [{ address: router, prefixLength: length }] })
          setQueueLength(device.name, 4096)
          const prefix = family === 4 ? UNSPECIFIED4 : UNSPECIFIED6
          return yield* Stack.make({
            interfaces: [{ device, addresses: [`${own}/${length}`], dadTransmits: 0 }],
            routes: [{ prefix, prefixLength: 0, via: router, interface: 0 }],
            closeGrace: "50 millis",
          })
        }).pipe(Scope.extend(scope)),
      )
    try {
      await body(await stackOn(ends[0], 1500), await stackOn(ends[1], FAR_MTU))
    } finally {
      await Effect.runPromise(Scope.close(scope, Exit.void))
    }
  })

for (const family of FAMILIES) {
  const [[router], [, FAR]] = NETWORKS[family].ends
  /** Of a datagram in one packet of the far link's. */
  const FITS = FAR_MTU - (family === 4 ? 28 : 48)

  kernelSuite(`a router of the kernel's in between, over IPv${family}`, import.meta.path, (test) => {
    for (const method of ["udp", "icmp"] as const) {
      test(`traceroute by ${method}: the router, then the other stack`, async () => {
        await withRouter(family, async (near) => {
          const hops = await collected(near, Traceroute.traceroute({ host: FAR, method, timeout: "20 seconds" }))
          const seen = hops.map(({ ttl, probes, isLast }) => [
            ttl,
            isLast,
            ...probes.map((probe) => (probe._tag === "Answer" ? formatAddress(probe.from) : probe._tag)),
          ])
          expect(seen).toEqual([
            [1, false, router, router, router],
            [2, true, FAR, FAR, FAR],
          ])
        })
      })
    }

    test("ping with a TTL of 1: time exceeded, says the router", async () => {
      await withRouter(family, async (near) => {
        const [, failure] = await pinged(near, { host: FAR, count: 1, ttl: 1, timeout: "20 seconds" })
        if (failure?._tag !== "Failure") throw new Error(failure?._tag)
        expect([failure.report.problem, formatAddress(failure.report.from)]).toEqual(["HopLimitExceeded", router])
      })
    })

    const who = family === 4 ? "the router fragments it again" : "the near stack does, once the router has said so"
    test(`datagrams longer than the far link takes: ${who}, the far stack puts them together`, async () => {
      await withRouter(family, async (near, far) => {
        bound(far, { port: 7 }).on(udpEcho(udpServiceCounters()))
        const socket = connected(near, { host: FAR, port: 7 })
        if (family === 6) {
          // Lost on the way (RFC 8200 section 5): what comes back is the router's word.
          expect(socket.trySend(octets(1400))).toBeUndefined()
          const known = () => near.network.pathMtu(address(FAR)) === FAR_MTU || undefined
          await found("the path's MTU", known)
        }
        for (const size of [FITS, FITS + 1, 1452, 1473, 20_000]) {
          expect(socket.trySend(octets(size, size))).toBeUndefined()
          expect(sha256(await next(socket))).toBe(sha256(octets(size, size)))
        }
      })
    })

    test("the same with DF: MessageTooLong with the path's MTU, and no longer one is sent", async () => {
      await withRouter(family, async (near, far) => {
        const server = bound(far, { port: 7 })
        const socket = connected(near, { host: FAR, port: 7, dontFragment: true })
        expect(socket.trySend(octets(1400))).toBeUndefined()
        expect(await found("the router's word", () => socket.takePending())).toMatchObject({
          _tag: "MessageTooLong",
          mtu: FAR_MTU,
        })
        expect(socket.trySend(octets(FITS + 1))).toMatchObject({ _tag: "MessageTooLong" })
        expect(socket.trySend(octets(FITS))).toBeUndefined()
        expect((await next(server)).length).toBe(FITS)
      })
    })
  })
}

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
