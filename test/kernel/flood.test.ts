/**
 * hping3 floods the stack with SYNs over TAP while the kernel's own clients connect. The flood's
 * sources lie in 198.19.0.0/16, which leads nowhere: the kernel answers ARP for them and throws
 * away what comes, so that nobody resets the half-open requests. All of it is bounded in number and
 * in time, and stays in the namespace.
 */
import { expect } from "bun:test"
import type { KernelSocket } from "./kernelSocket.ts"
import { kernelSuite } from "./namespace.ts"
import { readExactly, text } from "./octets.ts"
import { type Peers, type PeersOptions, STACK, type StackEnd, type StackPeer, withPeers } from "./peers.ts"
import { SocketError } from "./posix.ts"
import { needing, output } from "./programs.ts"
import { until } from "./wait.ts"

const PORT = 8080
/** Sources, and SYNs of each: hping3 takes another source port for every one. */
const SOURCES = 8
const SYNS = 2500
/** Microseconds between SYNs of one source. */
const PAUSE = 300
const FLOOD_SECONDS = 15
/**
 * A weaker flood, beside which the speed of a transfer is measured, and for how long at a time. From one program: each
 * hping3 listens to all that passes on the interface, and so takes its part of every frame of the transfer.
 */
const BESIDE: Flood = { sources: 1, syns: 3200, pause: 250 }
const WINDOW = 300
const PAIRS = 5
const ATTEMPTS = 4
const MEBI = 1 << 20
const CLIENTS = 100
const IN_TIME = 3000
const CASE_MILLIS = 60_000

interface Flood {
  readonly sources: number
  /** Of each source. */
  readonly syns: number
  readonly pause: number
}

const WHOLE: Flood = { sources: SOURCES, syns: SYNS, pause: PAUSE }

/** The stack under floods; each is over when its promise is. */
const withFlood = (
  settings: PeersOptions["settings"],
  body: (peers: Peers, attack: (flood?: Flood) => Promise<void>) => Promise<void>,
): Promise<void> =>
  withPeers({ settings: { ...settings }, addresses: [`${STACK}/15`] }, async (peers) => {
    const { name } = peers.stack.device
    await sinkhole(name)
    try {
      await body(peers, async ({ sources, syns, pause } = WHOLE) => {
        await Promise.all(
          Array.from({ length: sources }, (_, n) =>
            output(
              ...["timeout", String(FLOOD_SECONDS), "hping3", "-q", "-n", "-I", name, "-S", "-p", String(PORT)],
              ...["-a", `198.19.0.${n + 1}`, "-s", "1024", "-i", `u${pause}`, "-c", String(syns), STACK],
            ).catch(() => ""),
          ),
        )
      })
    } finally {
      await output("ip", "link", "del", "sink0")
    }
  })

/** Where 198.19.0.0/16 ends: an interface that nobody reads, for which the kernel answers ARP on `name`. */
const sinkhole = async (name: string): Promise<void> => {
  await output("ip", "tuntap", "add", "dev", "sink0", "mode", "tap")
  await output("ip", "address", "add", "198.19.255.254/16", "dev", "sink0")
  await output("ip", "link", "set", "dev", "sink0", "arp", "off", "up")
  const sysctls = {
    "net/ipv4/ip_forward": 1,
    [`net/ipv4/conf/${name}/proxy_arp`]: 1,
    [`net/ipv4/neigh/${name}/proxy_delay`]: 0,
    [`net/ipv4/conf/${name}/send_redirects`]: 0,
  }
  for (const [path, value] of Object.entries(sysctls)) await Bun.write(`/proc/sys/${path}`, String(value))
}

/** A transfer as fast as it will go, read by the kernel. */
class Transfer {
  received = 0

  constructor(
    private readonly from: StackEnd,
    private readonly to: KernelSocket,
  ) {}

  /** Until its connection ends; gives how that was for the reader. */
  async run(): Promise<string> {
    const chunk = new Uint8Array(65_536)
    const writing = (async () => {
      for (;;) await this.from.write(chunk)
    })().catch(() => {})
    const reading = (async () => {
      for (let bytes = await this.to.read(); bytes !== undefined; bytes = await this.to.read()) {
        this.received += bytes.length
      }
      return "end"
    })()
    const end = await reading.catch((cause: unknown) => (cause instanceof SocketError ? cause.code : String(cause)))
    await writing
    return end
  }

  /** Octets a second, from now on for a while. */
  async speed(): Promise<number> {
    const [before, began] = [this.received, performance.now()]
    await Bun.sleep(WINDOW)
    return ((this.received - before) * 1000) / (performance.now() - began)
  }
}

const median = (values: ReadonlyArray<number>): number => values.toSorted((x, y) => x - y)[values.length >> 1] ?? 0

const settled = (): number => {
  Bun.gc(true)
  return process.memoryUsage.rss()
}

const counter = ({ tcpCounters }: StackPeer, name: string): number => tcpCounters[name] ?? 0

kernelSuite("a SYN flood by hping3", import.meta.path, (test) => {
  const withTools = needing(test, "hping3", "ip", "timeout")

  for (const [name, mode] of [
    ["with cookies when needed", 1],
    ["with cookies always", 2],
  ] as const) {
    withTools(
      `${name}: 99 of 100 clients of the kernel are served within 3 s, an established connection goes on`,
      async () => {
        await withFlood({ tcpSyncookies: mode }, async ({ stack, kernel }, attack) => {
          await stack.echo({ port: PORT, backlog: 64, noDelay: true })
          const old = await kernel.dial(PORT)
          const memory = settled()
          let peak = memory
          const looking = setInterval(() => {
            peak = Math.max(peak, process.memoryUsage.rss())
          }, 20).unref()
          let over = false
          const flood = attack().then(() => {
            over = true
          })
          await until("the first cookie", () => counter(stack, "SyncookiesSent") > 0 || over)
          let inTime = 0
          for (let n = 0; n < CLIENTS; n += 5) {
            const waits = await Promise.all(
              Array.from({ length: 5 }, async () => {
                const began = performance.now()
                const client = await kernel.dial(PORT)
                await client.write(text("hi"))
                await readExactly(client, 2)
                client.abort()
                return performance.now() - began
              }),
            )
            inTime += waits.filter((wait) => wait <= IN_TIME).length
            await old.write(text("still here"))
            expect(await readExactly(old, 10)).toEqual(text("still here"))
          }
          expect(inTime).toBeGreaterThanOrEqual(99)
          await flood
          clearInterval(looking)
          expect(peak - memory).toBeLessThanOrEqual(64 * MEBI)
          expect(counter(stack, "SyncookiesSent")).toBeGreaterThan(1000)
          if (mode === 2) expect(counter(stack, "SyncookiesRecv")).toBeGreaterThanOrEqual(CLIENTS)
          expect(counter(stack, "TCPReqQFullDrop")).toBe(0)
        })
      },
      CASE_MILLIS,
    )
  }

  // Both speeds by turns in windows of a third of a second, and their medians: what else the machine does meets both.
  withTools(
    "with cookies: an established transfer keeps at least half of its speed",
    async () => {
      await withFlood({ tcpSyncookies: 1 }, async ({ stack, fromKernel }, attack) => {
        await stack.echo({ port: PORT, backlog: 64, noDelay: true })
        const { ours, theirs } = await fromKernel()
        const transfer = new Transfer(ours, theirs)
        const running = transfer.run()
        await until("the first octets", () => transfer.received > 0)
        const kept: Array<number> = []
        while (kept.length < ATTEMPTS && (kept.at(-1) ?? 0) < 0.5) {
          const quiet: Array<number> = []
          const flooded: Array<number> = []
          while (flooded.length < PAIRS) {
            const alone = await transfer.speed()
            let over = false
            const flood = attack(BESIDE).then(() => {
              over = true
            })
            const before = counter(stack, "SyncookiesSent")
            await until("cookies", () => counter(stack, "SyncookiesSent") > before || over)
            const beside = await transfer.speed()
            // One that was over before its time shows nothing.
            if (!over) {
              quiet.push(alone)
              flooded.push(beside)
            }
            await flood
          }
          kept.push(median(flooded) / median(quiet))
        }
        expect(Math.max(...kept), `of the speed, in each attempt: ${kept}`).toBeGreaterThanOrEqual(0.5)
        expect(counter(stack, "SyncookiesSent")).toBeGreaterThan(1000)
        ours.abort()
        expect(await running).toBe("ECONNRESET")
      })
    },
    CASE_MILLIS,
  )

  withTools(
    "without cookies: the queue fills, clients stay outside, and the counters say why",
    async () => {
      await withFlood({ tcpSyncookies: 0 }, async ({ stack, kernel }, attack) => {
        await stack.echo({ port: PORT, backlog: 16, noDelay: true })
        const old = await kernel.dial(PORT)
        const flood = attack()
        await until("a full queue", () => counter(stack, "TCPReqQFullDrop") > 0)
        const clients = Array.from({ length: 10 }, () => kernel.begin(PORT))
        await flood
        const outside = clients.filter(({ info }) => info.state === "SYN-SENT").length
        expect(outside).toBeGreaterThanOrEqual(9)
        expect(counter(stack, "ListenDrops")).toBeGreaterThan(1000)
        expect(counter(stack, "ListenDrops")).toBe(counter(stack, "TCPReqQFullDrop"))
        expect(counter(stack, "SyncookiesSent")).toBe(0)
        await old.write(text("still here"))
        expect(await readExactly(old, 10)).toEqual(text("still here"))
      })
    },
    CASE_MILLIS,
  )
})
