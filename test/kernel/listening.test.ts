import { expect } from "bun:test"
import { interfaceMac } from "../../ffi/interface.ts"
import { NO_OFFLOAD } from "../../src/device/device.ts"
import { linux } from "../../src/net/Settings.ts"
import type * as Tcp from "../../src/net/Tcp.ts"
import { setIpv6 } from "../../src/wire/addressBytes.ts"
import { parseAddress } from "../../src/wire/addressText.ts"
import { ACK, type Flow, finished, RST, SYN, segment } from "./handTcp.ts"
import { type KernelSocket, kernelCounter } from "./kernelSocket.ts"
import { kernelSuite } from "./namespace.ts"
import { octets, readExactly, sha256, string, text } from "./octets.ts"
import {
  ENDS,
  FAMILIES,
  type Family,
  type Peers,
  type PeersOptions,
  peersOver,
  type StackEnd,
  type StackPeer,
  withPeers,
} from "./peers.ts"
import { type Passing, sieved } from "./sieve.ts"
import { until } from "./wait.ts"

const PORT = 7

/** A counter of the stack's. */
const counted = (stack: StackPeer, name: string): number => stack.tcpCounters[name] ?? Number.NaN

/** What the listener on PORT holds: connections to accept, and half-open requests. */
const queues = (stack: StackPeer) => {
  const listener = stack.list().find(({ state, local }) => state === "LISTEN" && local.port === PORT)
  return { waiting: listener?.recvQ, requests: listener?.tcb._tag === "LISTEN" ? listener.tcb.requests : undefined }
}

/** Connections that the application leaves in the accept queue. */
const leaveWaiting = async ({ stack, kernel }: Peers, many: number): Promise<Array<KernelSocket>> => {
  const sockets: Array<KernelSocket> = []
  for (let n = 1; n <= many; n++) {
    sockets.push(await kernel.dial(PORT))
    await until("the connection waiting", () => queues(stack).waiting === n)
  }
  return sockets
}

/** Accepts as many connections as there are sockets; each says its own number, and gets it back. */
const everyoneServed = async (accept: () => Promise<StackEnd>, sockets: ReadonlyArray<KernelSocket>): Promise<void> => {
  const serving = sockets.map(async () => {
    const ours = await accept()
    for (let chunk = await ours.read(); chunk !== undefined; chunk = await ours.read()) await ours.write(chunk)
    ours.close()
  })
  const asking = sockets.map(async (socket, n) => {
    await socket.connected()
    const name = text(`number ${n}`)
    await socket.write(name)
    // Not before: a connection that found no room knows its cookie only in its first octet.
    expect(await readExactly(socket, name.length)).toEqual(name)
    socket.shutdown()
    expect(await socket.read()).toBeUndefined()
  })
  await Promise.all([...serving, ...asking])
}

for (const family of FAMILIES) {
  const withPeers = peersOver(family)
  kernelSuite(`An accept loop that pauses, over IPv${family}`, import.meta.path, (test) => {
    test("the queue is full: a further SYN is dropped, and the connection made once the loop goes on", async () => {
      await withPeers({}, async (peers) => {
        const { stack, kernel, barrier } = peers
        const listener = await stack.hear({ port: PORT, backlog: 2 })
        const sockets = await leaveWaiting(peers, 3)
        const fourth = kernel.begin(PORT)
        await barrier()
        expect(fourth.info.state).toBe("SYN-SENT")
        expect(queues(stack)).toEqual({ waiting: 3, requests: 0 })
        expect(counted(stack, "ListenOverflows")).toBe(1)
        expect(counted(stack, "ListenDrops")).toBe(1)
        await everyoneServed(listener.accept, [...sockets, fourth])
      })
    })

    test("the queue fills between SYN and ACK: the kernel's data waits, and arrives once the loop goes on", async () => {
      await withPeers({}, async (peers) => {
        const { stack, kernel, barrier } = peers
        const listener = await stack.hear({ port: PORT, backlog: 2 })
        const sockets = await leaveWaiting(peers, 2)
        // Both SYNs find room in the queue; the second ACK finds none.
        const late = [kernel.begin(PORT), kernel.begin(PORT)]
        await barrier()
        await barrier()
        expect(late.map(({ info }) => info.state)).toEqual(["ESTABLISHED", "ESTABLISHED"])
        expect(queues(stack)).toEqual({ waiting: 3, requests: 1 })
        expect(counted(stack, "ListenOverflows")).toBe(1)
        await everyoneServed(listener.accept, [...sockets, ...late])
      })
    })

    test("the same with tcpAbortOnOverflow: a RST, ECONNRESET at the kernel", async () => {
      await withPeers({ settings: { tcpAbortOnOverflow: true } }, async (peers) => {
        const { stack, kernel, barrier } = peers
        const listener = await stack.hear({ port: PORT, backlog: 2 })
        const sockets = await leaveWaiting(peers, 2)
        const inTime = kernel.begin(PORT)
        const late = kernel.begin(PORT)
        await barrier()
        await barrier()
        expect(await late.failure()).toBe("ECONNRESET")
        expect(queues(stack)).toEqual({ waiting: 3, requests: 0 })
        expect(counted(stack, "ListenOverflows")).toBe(1)
        await everyoneServed(listener.accept, [...sockets, inTime])
      })
    })

    test("the listener is closed instead: ECONNRESET for those who waited, ECONNREFUSED for who comes later", async () => {
      await withPeers({}, async (peers) => {
        const { stack, kernel } = peers
        const listener = await stack.hear({ port: PORT, backlog: 2 })
        const [first, second] = await leaveWaiting(peers, 2)
        listener.close()
        expect(await first?.failure()).toBe("ECONNRESET")
        expect(await second?.failure()).toBe("ECONNRESET")
        const later = kernel.begin(PORT)
        expect(await later.failure()).toBe("ECONNREFUSED")
      })
    })

    test("60 at once where 16 may wait: all are served", async () => {
      await withPeers({}, async ({ stack, kernel, barrier }) => {
        const listener = await stack.hear({ port: PORT, backlog: 16 })
        await barrier()
        const sockets = Array.from({ length: 60 }, () => kernel.begin(PORT))
        await everyoneServed(listener.accept, sockets)
        expect(counted(stack, "TCPReqQFullDoCookies")).toBeGreaterThan(0)
      })
    })
  })
}

/** An address of the link's that is nobody's. */
const NOBODY = { 4: "198.18.0.50", 6: "2001:db8:7::50" } as const
const IRS = 5_000_000
const MSS_OPTION = Uint8Array.of(2, 4, 1460 >> 8, 1460 & 255)

const macOctets = (mac: number): Uint8Array =>
  Uint8Array.from({ length: 6 }, (_, index) => Math.floor(mac / 256 ** (5 - index)) % 256)

const octetsOf = (host: string): Uint8Array => {
  const address = parseAddress(host)
  if (address === undefined) throw new Error(host)
  const out = new Uint8Array(16)
  setIpv6(out, 0, address)
  return address.family === 6 ? out : out.subarray(12)
}

/** From an address that is nobody's, so that no RST answers the SYN-ACK; to the stack, or to the kernel. */
const flowOfNobody = ({ device }: StackPeer, family: Family, sourcePort: number, to: "stack" | "kernel"): Flow => ({
  destinationMac: macOctets(to === "stack" ? device.mac : interfaceMac(device.name)),
  sourceMac: Uint8Array.of(2, 0, 0, 0, 0, 50),
  source: octetsOf(NOBODY[family]),
  destination: octetsOf(ENDS[family][to]),
  sourcePort,
  destinationPort: PORT,
  irs: 0,
})

/** The link, and somebody who puts frames of his own on it. */
const withIntruder = (
  family: Family,
  options: PeersOptions,
  body: (peers: Peers, intrude: (frames: ReadonlyArray<Uint8Array>) => Promise<void>) => Promise<void>,
): Promise<void> => {
  let frames: ReadonlyArray<Passing> = []
  const received = (batch: ReadonlyArray<Passing>) => {
    const own = frames
    frames = []
    return [...own, ...batch]
  }
  return withPeers({ ...options, family, through: (device) => sieved(device, { received }) }, (peers) =>
    body(peers, async (given) => {
      frames = given.map((bytes) => ({ bytes, checksumVouched: false, segmentSize: 0 }))
      await peers.barrier()
    }),
  )
}

const BACKLOG = 4
const LISTEN: Tcp.ListenOptions = { port: PORT, backlog: BACKLOG }
/** Linux compares before it counts the new one. */
const HALF_OPEN = BACKLOG + 1

/** SYNs that are never followed by anything: as many as the queue for half-open requests holds, or more. */
const synFlood = (
  stack: StackPeer,
  family: Family,
  many = HALF_OPEN,
  to: "stack" | "kernel" = "stack",
): ReadonlyArray<Uint8Array> =>
  Array.from({ length: many }, (_, n) =>
    finished(segment(flowOfNobody(stack, family, 1000 + n, to), { seq: IRS, ack: 0, flags: SYN, options: MSS_OPTION })),
  )

/** SYNs of one client, by their sequence numbers, and what is counted of them. */
const COUNTED_ALIKE: ReadonlyArray<
  readonly [
    what: string,
    seqs: ReadonlyArray<number>,
    names: ReadonlyArray<readonly [group: "Tcp" | "TcpExt", name: string]>,
  ]
> = [
  [
    "a SYN in the window of a request, which ends by a reset",
    [IRS, IRS + 1000],
    [
      ["Tcp", "OutRsts"],
      ["Tcp", "AttemptFails"],
      ["TcpExt", "EmbryonicRsts"],
    ],
  ],
  [
    "a SYN again, whose SYN-ACK is sent again",
    [IRS, IRS],
    [
      ["Tcp", "RetransSegs"],
      ["TcpExt", "TCPSynRetrans"],
    ],
  ],
]

/** Hands the kernel a frame as it is. */
const toKernel = ({ device }: StackPeer, frame: Uint8Array): void => {
  device.reserve(frame.length)?.set(frame)
  device.commit(frame.length, NO_OFFLOAD)
  device.flush()
}

/** What both ends believe to have agreed on. */
const agreement = (ours: StackEnd, theirs: KernelSocket) => {
  const { tcb } = ours.status
  if (!("link" in tcb)) throw new Error(`not synchronized: ${tcb._tag}`)
  const { timestamps, sack, scaling, sndScale, rcvScale } = tcb.link.agreed
  const { info } = theirs
  return {
    stack: { timestamps, sack, scaling, sndScale, rcvScale },
    kernel: {
      timestamps: info.timestamps,
      sack: info.sack,
      scaling: info.scaling,
      sndScale: info.rcvScale,
      rcvScale: info.sndScale,
    },
    peerMss: tcb.link.agreed.peerMss,
  }
}

/** A connection works, both ways, with more data than fits one window of its first size. */
const works = async (ours: StackEnd, theirs: KernelSocket): Promise<void> => {
  const bytes = octets(300_000)
  const [there, back] = await Promise.all([
    readExactly(ours, bytes.length),
    readExactly(theirs, bytes.length),
    theirs.write(bytes),
    ours.write(bytes),
  ])
  expect(sha256(there)).toBe(sha256(bytes))
  expect(sha256(back)).toBe(sha256(bytes))
}

for (const family of FAMILIES) {
  const withPeers = peersOver(family)
  kernelSuite(`A flood of SYNs, over IPv${family}`, import.meta.path, (test) => {
    test("the stack keeps as many requests as the kernel does with the same backlog, then sends cookies", async () => {
      await withIntruder(family, {}, async ({ stack, kernel }, intrude) => {
        await stack.hear(LISTEN)
        kernel.hear(PORT, BACKLOG)
        const flood = synFlood(stack, family, 3 * BACKLOG)
        await intrude(flood)
        const before = await kernelCounter("TcpExt", "SyncookiesSent")
        for (const frame of synFlood(stack, family, 3 * BACKLOG, "kernel")) toKernel(stack, frame)
        const ofKernel = (await kernelCounter("TcpExt", "SyncookiesSent")) - before
        expect(ofKernel).toBeGreaterThan(0)
        expect(counted(stack, "SyncookiesSent")).toBe(ofKernel)
        expect(queues(stack).requests).toBe(flood.length - ofKernel)
      })
    })

    for (const [what, seqs, names] of COUNTED_ALIKE) {
      test(`${what}: the stack counts what the kernel counts`, async () => {
        await withIntruder(family, {}, async ({ stack, kernel }, intrude) => {
          await stack.hear(LISTEN)
          kernel.hear(PORT, BACKLOG)
          const syns = (to: "stack" | "kernel") =>
            seqs.map((seq) => finished(segment(flowOfNobody(stack, family, 1000, to), { seq, ack: 0, flags: SYN })))
          const ofKernel = () => Promise.all(names.map(([group, name]) => kernelCounter(group, name)))
          await intrude(syns("stack"))
          const before = await ofKernel()
          for (const frame of syns("kernel")) toKernel(stack, frame)
          const after = await ofKernel()
          const grown = names.map(([, name], n) => [name, (after[n] ?? 0) - (before[n] ?? 0)])
          expect(names.map(([, name]) => [name, counted(stack, name)])).toEqual(grown)
          expect(grown.every(([, by]) => by === 1)).toBe(true)
        })
      })
    }

    test("tcpSyncookies 1: the kernel connects by a cookie, which keeps window scale, SACK and timestamps", async () => {
      await withIntruder(family, {}, async ({ stack, kernel }, intrude) => {
        const listener = await stack.hear(LISTEN)
        await intrude(synFlood(stack, family))
        expect(queues(stack)).toEqual({ waiting: 0, requests: HALF_OPEN })
        expect(counted(stack, "SyncookiesSent")).toBe(0)
        const [ours, theirs] = await Promise.all([listener.accept(), kernel.dial(PORT)])
        expect(counted(stack, "SyncookiesSent")).toBe(1)
        expect(counted(stack, "SyncookiesRecv")).toBe(1)
        expect(counted(stack, "TCPReqQFullDoCookies")).toBe(1)
        const agreed = agreement(ours, theirs)
        expect(agreed.stack).toEqual(agreed.kernel)
        expect(agreed.stack).toMatchObject({ timestamps: true, sack: true, scaling: true })
        expect(agreed.peerMss).toBe(family === 4 ? 1460 : 1440)
        await works(ours, theirs)
      })
    })

    test("tcpSyncookies 1: before the flood, none is sent", async () => {
      await withPeers({}, async ({ stack, fromKernel }) => {
        const { ours, theirs } = await fromKernel()
        await works(ours, theirs)
        expect(counted(stack, "SyncookiesSent")).toBe(0)
      })
    })

    test("tcpSyncookies 1: an ACK with a cookie that was never given is answered with a RST, and counted", async () => {
      await withIntruder(family, {}, async ({ stack, kernel }, intrude) => {
        const listener = await stack.hear(LISTEN)
        await intrude(synFlood(stack, family))
        const meeting = Promise.all([listener.accept(), kernel.dial(PORT)])
        const [ours, theirs] = await meeting
        await intrude([
          finished(segment(flowOfNobody(stack, family, 2000, "stack"), { seq: IRS + 1, ack: 12_345, flags: ACK })),
        ])
        expect(counted(stack, "SyncookiesFailed")).toBe(1)
        expect(queues(stack)).toEqual({ waiting: 0, requests: HALF_OPEN })
        await works(ours, theirs)
      })
    })

    test("tcpSyncookies 0: the kernel's SYN is dropped, and the connection made once requests have ended", async () => {
      await withIntruder(family, { settings: { tcpSyncookies: 0 } }, async ({ stack, kernel }, intrude) => {
        const listener = await stack.hear(LISTEN)
        await intrude(synFlood(stack, family))
        const theirs = kernel.begin(PORT)
        await intrude([])
        expect(theirs.info.state).toBe("SYN-SENT")
        expect(counted(stack, "TCPReqQFullDrop")).toBe(1)
        const resets = synFlood(stack, family).map((_, n) =>
          finished(segment(flowOfNobody(stack, family, 1000 + n, "stack"), { seq: IRS + 1, ack: 0, flags: RST })),
        )
        await intrude(resets)
        expect(queues(stack)).toEqual({ waiting: 0, requests: 0 })
        const [ours] = await Promise.all([listener.accept(), theirs.connected()])
        await works(ours, theirs)
      })
    })
  })
}

for (const family of FAMILIES) {
  const withPeers = peersOver(family)
  kernelSuite(`tcpSyncookies 2: every connection by a cookie, over IPv${family}`, import.meta.path, (test) => {
    const settings = { tcpSyncookies: 2 } as const
    /** Of a link of 1500 octets, and what a cookie keeps of 1400 (Linux's tables). */
    const [full, kept] = family === 4 ? [1460, 1300] : [1440, 1220]

    for (const timestamps of [true, false]) {
      const how = timestamps
        ? "with timestamps: all options are kept"
        : "without timestamps: the MSS is all that is kept"
      test(`a kernel ${how}`, async () => {
        await withPeers({ settings, kernelSettings: { tcp_timestamps: timestamps ? 1 : 0 } }, async (peers) => {
          const { ours, theirs } = await peers.fromKernel()
          const agreed = agreement(ours, theirs)
          expect(agreed.stack).toEqual(agreed.kernel)
          expect(agreed.stack).toMatchObject({ timestamps, sack: timestamps, scaling: timestamps })
          expect(agreed.peerMss).toBe(full)
          await works(ours, theirs)
          // The kernel, too, counts the queue as full where cookies are always sent.
          expect(counted(peers.stack, "TCPReqQFullDoCookies")).toBe(1)
          expect(counted(peers.stack, "SyncookiesSent")).toBe(1)
          expect(counted(peers.stack, "SyncookiesRecv")).toBe(1)
        })
      })
    }

    test("a kernel with an MSS that no cookie has: the next smaller one is taken", async () => {
      await withPeers({ settings }, async ({ fromKernel }) => {
        const { ours, theirs } = await fromKernel({}, { mss: 1400 })
        expect(agreement(ours, theirs).peerMss).toBe(kept)
        await works(ours, theirs)
      })
    })

    test("100 connections at once: all by cookies, each with its own data", async () => {
      await withPeers({ settings }, async ({ stack, kernel, barrier }) => {
        const listener = await stack.hear({ port: PORT })
        await barrier()
        const sockets = Array.from({ length: 100 }, () => kernel.begin(PORT))
        await everyoneServed(listener.accept, sockets)
        expect(counted(stack, "SyncookiesRecv")).toBe(101) // With the barrier's own.
      })
    })
  })
}

for (const family of FAMILIES) {
  const withPeers = peersOver(family)
  kernelSuite(`TCP_DEFER_ACCEPT, over IPv${family}`, import.meta.path, (test) => {
    test("a connection is accepted with its first data, and not before", async () => {
      await withPeers({}, async ({ stack, kernel, barrier }) => {
        const listener = await stack.hear({ port: PORT, deferAccept: "1 minute" })
        let accepted = false
        const accepting = listener.accept().then((ours) => {
          accepted = true
          return ours
        })
        const theirs = await kernel.dial(PORT)
        await barrier()
        expect(accepted).toBe(false)
        expect(queues(stack)).toEqual({ waiting: 0, requests: 1 })
        expect(counted(stack, "TCPDeferAcceptDrop")).toBe(1)
        await theirs.write(text("now"))
        expect(string(await readExactly(await accepting, 3))).toBe("now")
      })
    })

    test("data that never comes: the connection is accepted without once the time is over", async () => {
      const settings = { profile: { ...linux, initialRto: 20_000 } }
      await withPeers({ settings }, async ({ stack, kernel }) => {
        const listener = await stack.hear({ port: PORT, deferAccept: "50 millis" })
        const [ours, theirs] = await Promise.all([listener.accept(), kernel.dial(PORT)])
        expect(counted(stack, "TCPDeferAcceptDrop")).toBeGreaterThan(0)
        await works(ours, theirs)
      })
    })
  })
}
