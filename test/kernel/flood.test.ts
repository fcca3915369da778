/**
 * hping3 floods the stack with SYNs over TAP while the kernel's own clients connect. The flood's
 * sources lie in 198.19.0.0/16, which leads nowhere: the kernel answers ARP for them and throws
 * away what comes, so that nobody resets the half-open requests. All of it is bounded in number and
 * in time, and stays in the namespace.
 */
import { expect } from "bun:test"
import { kernelSuite } from "./namespace.ts"
import { readExactly, text } from "./octets.ts"
import { type Peers, type PeersOptions, STACK, type StackPeer, withPeers } from "./peers.ts"
import { needing, output } from "./programs.ts"
import { until } from "./wait.ts"

const PORT = 8080
/** Sources, and SYNs of each: hping3 takes another source port for every one. */
const SOURCES = 8
const SYNS = 2500
/** Microseconds between SYNs of one source. */
const PAUSE = 300
const FLOOD_SECONDS = 15
const CLIENTS = 100
const IN_TIME = 3000
const CASE_MILLIS = 60_000

/** The stack under a flood, which is over when its promise is. */
const withFlood = (
  settings: PeersOptions["settings"],
  body: (peers: Peers, attack: () => Promise<void>) => Promise<void>,
): Promise<void> =>
  withPeers({ settings: { ...settings }, addresses: [`${STACK}/15`] }, async (peers) => {
    const { name } = peers.stack.device
    await sinkhole(name)
    try {
      await body(peers, async () => {
        await Promise.all(
          Array.from({ length: SOURCES }, (_, n) =>
            output(
              ...["timeout", String(FLOOD_SECONDS), "hping3", "-q", "-n", "-I", name, "-S", "-p", String(PORT)],
              ...["-a", `198.19.0.${n + 1}`, "-s", "1024", "-i", `u${PAUSE}`, "-c", String(SYNS), STACK],
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
          expect(counter(stack, "SyncookiesSent")).toBeGreaterThan(1000)
          if (mode === 2) expect(counter(stack, "SyncookiesRecv")).toBeGreaterThanOrEqual(CLIENTS)
          expect(counter(stack, "TCPReqQFullDrop")).toBe(0)
        })
      },
      CASE_MILLIS,
    )
  }

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
