import { describe, expect, test } from "bun:test"
import type { HostRefusal, SocketId } from "../../src/host/types.ts"
import { defaultSocketOptions } from "../../src/tcp/tcb.ts"
import { type IpAddress, ipv4, UNSPECIFIED4 } from "../../src/wire/address.ts"
import { B, C, isRefusal, Pair, SECOND } from "./lab.ts"

const options = defaultSocketOptions

const errno = (result: SocketId | HostRefusal): string => (isRefusal(result) ? result.errno : "none")

const listen = (pair: Pair, address: IpAddress, port: number | "every", more = {}) =>
  pair.b.host.listen({ address, port, backlog: 1, options: { ...options, ...more } }, pair.now)

const connect = (pair: Pair, address: IpAddress, port: number, local: { address?: IpAddress; port?: number } = {}) =>
  pair.a.host.connect({ remote: { address, port }, local, options }, pair.now)

describe("a call that cannot be carried out", () => {
  const calls: ReadonlyArray<readonly [string, string, (pair: Pair) => SocketId | HostRefusal]> = [
    ["listen on another host's address", "EADDRNOTAVAIL", (p) => listen(p, C, 7)],
    ["listen on a port below 0", "EINVAL", (p) => listen(p, B, -1)],
    ["listen on a port above 65535", "EINVAL", (p) => listen(p, B, 65_536)],
    ["listen on half a port", "EINVAL", (p) => listen(p, B, 7.5)],
    ["connect to port 0", "EADDRNOTAVAIL", (p) => connect(p, B, 0)],
    ["connect to a network without a route", "ENETUNREACH", (p) => connect(p, ipv4(0x08080808), 7)],
    ["connect to 0.0.0.0", "ENETUNREACH", (p) => connect(p, UNSPECIFIED4, 7)],
    ["connect from another host's address", "EADDRNOTAVAIL", (p) => connect(p, B, 7, { address: C })],
    ["connect from a port above 65535", "EINVAL", (p) => connect(p, B, 7, { port: 65_536 })],
  ]

  test.each(calls)("%s: %s, and nothing is left behind", (_, expected, call) => {
    const pair = new Pair()
    expect(errno(call(pair))).toBe(expected)
    expect([...pair.a.host.sockets(), ...pair.b.host.sockets()]).toEqual([])
    pair.settle()
    expect(pair.a.device.counters.txPackets).toBe(0)
  })

  test("listen on a privileged port: EACCES, where ipUnprivilegedPortStart says so", () => {
    const pair = new Pair({}, { settings: { ipUnprivilegedPortStart: 1024 } })
    expect(errno(listen(pair, B, 1023))).toBe("EACCES")
    expect(errno(listen(pair, B, 1024))).toBe("none")
  })

  test("listen on a foreign address with ipNonlocalBind: taken", () => {
    const pair = new Pair({}, { settings: { ipNonlocalBind: true } })
    expect(errno(listen(pair, C, 7))).toBe("none")
  })

  const clashes: ReadonlyArray<readonly [string, string, IpAddress, IpAddress]> = [
    ["the same address", "EADDRINUSE", B, B],
    ["any address, after one", "EADDRINUSE", B, UNSPECIFIED4],
    ["one address, after any", "EADDRINUSE", UNSPECIFIED4, B],
  ]
  test.each(clashes)("listen twice on a port of %s: %s", (_, expected, first, second) => {
    const pair = new Pair()
    expect(errno(listen(pair, first, 7))).toBe("none")
    expect(errno(listen(pair, second, 7))).toBe(expected)
    expect(errno(listen(pair, second, 8))).toBe("none")
  })

  test("connect to the same peer from the same port: refused, EADDRINUSE or EADDRNOTAVAIL", () => {
    const pair = new Pair()
    pair.b.listen(7)
    expect(errno(connect(pair, B, 7, { port: 1000 }))).toBe("none")
    expect(["EADDRINUSE", "EADDRNOTAVAIL"]).toContain(errno(connect(pair, B, 7, { port: 1000 })))
  })

  test("any call with an id that is nobody's: EBADF, or nothing", () => {
    const { a, now } = new Pair()
    const ghost = 4711 as SocketId
    expect(a.host.read(ghost, 1, now)).toMatchObject({ errno: "EBADF" })
    expect(a.host.write(ghost, new Uint8Array(1), now)).toMatchObject({ errno: "EBADF" })
    expect(a.host.shutdown(ghost, now)).toMatchObject({ errno: "EBADF" })
    expect(a.host.setOptions(ghost, { noDelay: true }, now)).toMatchObject({ errno: "EBADF" })
    expect(a.host.accept(ghost)).toBeUndefined()
    expect(a.host.status(ghost)).toBeUndefined()
    expect(a.host.room(ghost)).toBe(0)
    a.host.close(ghost, now)
    a.host.abort(ghost, now)
  })

  test("reading, writing or half-closing a listener: refused", () => {
    const pair = new Pair()
    const listener = pair.b.listen(7)
    expect(isRefusal(pair.b.host.read(listener, 1, pair.now))).toBe(true)
    expect(isRefusal(pair.b.host.write(listener, new Uint8Array(1), pair.now))).toBe(true)
    expect(isRefusal(pair.b.host.shutdown(listener, pair.now))).toBe(true)
  })
})

describe("an ephemeral port", () => {
  const portsOf = (pair: Pair, n: number, port = 7): ReadonlyArray<number> =>
    Array.from({ length: n }, () => pair.a.host.status(pair.a.connect(B, port))?.local.port ?? 0)

  test("is one of ipLocalPortRange, and no two to one peer are the same", () => {
    const ports = portsOf(new Pair(), 500)
    expect(new Set(ports).size).toBe(500)
    expect(Math.min(...ports)).toBeGreaterThanOrEqual(32_768)
    expect(Math.max(...ports)).toBeLessThanOrEqual(60_999)
  })

  test("does not begin where it began for another secret (RFC 6056)", () => {
    const first = portsOf(new Pair({ secret: 1 }), 1)
    const second = portsOf(new Pair({ secret: 3 }), 1)
    expect(first).not.toEqual(second)
  })

  test("all of the range taken: EADDRNOTAVAIL; towards another port of the peer there are more", () => {
    const pair = new Pair({ settings: { ipLocalPortRange: [40_000, 40_009] } })
    expect(new Set(portsOf(pair, 10)).size).toBe(10)
    expect(errno(connect(pair, B, 7))).toBe("EADDRNOTAVAIL")
    expect(new Set(portsOf(pair, 10, 8)).size).toBe(10)
  })

  test("one is freed: it is found", () => {
    const pair = new Pair({ settings: { ipLocalPortRange: [40_000, 40_009] } })
    const sockets = Array.from({ length: 10 }, () => pair.a.connect(B, 7))
    const freed = pair.a.host.status(sockets[4] as SocketId)?.local.port
    pair.a.abort(sockets[4] as SocketId)
    pair.settle()
    expect(portsOf(pair, 1)).toEqual([freed ?? 0])
  })

  test("of a listener: a free one, another each time, until none is left", () => {
    const pair = new Pair({}, { settings: { ipLocalPortRange: [40_000, 40_004] } })
    const ports = Array.from({ length: 5 }, () => pair.b.host.status(pair.b.listen(0))?.local.port)
    expect(new Set(ports)).toEqual(new Set([40_000, 40_001, 40_002, 40_003, 40_004]))
    expect(errno(listen(pair, UNSPECIFIED4, 0))).toBe("EADDRINUSE")
  })

  test("of a listener begins anywhere, and elsewhere for another secret (RFC 6056 section 3.3.1)", () => {
    const bound = (secret: number) => {
      const pair = new Pair({}, { secret })
      return Array.from({ length: 20 }, () => pair.b.host.status(pair.b.listen(0))?.local.port ?? 0)
    }
    const ports = bound(5)
    const steps = ports.slice(1).map((port, index) => port - (ports[index] ?? 0))
    expect(new Set(steps).size).toBeGreaterThan(15)
    expect(Math.min(...steps.map(Math.abs))).toBeGreaterThan(1)
    expect(bound(5)).toEqual(ports)
    expect(bound(6).filter((port) => ports.includes(port)).length).toBeLessThan(3)
  })

  test("held by a listener: not chosen for a connection", () => {
    const pair = new Pair({ settings: { ipLocalPortRange: [40_000, 40_001] } })
    pair.a.listen(40_000)
    expect(portsOf(pair, 1)).toEqual([40_001])
    expect(errno(connect(pair, B, 7))).toBe("EADDRNOTAVAIL")
  })
})

describe("events", () => {
  test("many segments in one batch: one `readable`; the next batch: another", () => {
    const pair = new Pair()
    const { client, server } = pair.open(7, { noDelay: true })
    for (let i = 0; i < 5; i++) {
      pair.a.write(client, "x")
      pair.a.host.flush(pair.now)
    }
    pair.settle()
    expect(pair.b.heard(server)).toEqual(["readable"])
    pair.a.write(client, "x")
    pair.settle()
    expect(pair.b.heard(server)).toEqual(["readable"])
  })

  test("the end of data is `readable` too", () => {
    const pair = new Pair()
    const { client, server } = pair.open()
    pair.a.shutdown(client)
    pair.settle()
    expect(pair.b.heard(server)).toEqual(["readable"])
    expect(pair.b.readEnd(server)).toBe("end")
  })

  test("`closed` comes once, and status says why", () => {
    const pair = new Pair()
    const { client, server } = pair.open()
    pair.a.abort(client)
    pair.wait(10 * SECOND)
    expect(pair.b.heard(server).filter((event) => event === "closed")).toEqual(["closed"])
    expect(pair.b.host.status(server)?.closed).toEqual({
      reason: "ConnectionReset",
      why: "RFC9293-3.10.7.4:RST-at-RCV.NXT",
    })
  })

  test("after close and after abort: nothing more is heard of the socket", () => {
    const pair = new Pair()
    const one = pair.open(7)
    const two = pair.open(8)
    pair.a.heard(one.client)
    pair.a.heard(two.client)
    pair.a.close(one.client)
    pair.a.abort(two.client)
    pair.settle()
    pair.b.close(one.server)
    pair.wait(100 * SECOND)
    expect([pair.a.heard(one.client), pair.a.heard(two.client)]).toEqual([[], []])
  })

  test("a connection that times out: `closed`, ConnectionTimedOut after 123 s of SYNs", () => {
    const pair = new Pair()
    pair.open(9)
    pair.b.device.close()
    const client = pair.a.connect(B, 7)
    // Nobody answers ARP either: the neighbour is known for as long as it was heard.
    pair.wait(200 * SECOND)
    expect(pair.a.heard(client)).toEqual(["closed"])
    expect(["ConnectionTimedOut", "HostUnreachable"]).toContain(pair.a.reason(client) ?? "")
  })
})
