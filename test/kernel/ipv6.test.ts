import { expect } from "bun:test"
import { interfaceMac } from "../../ffi/interface.ts"
import type { AddressView } from "../../src/host/types.ts"
import { type IpAddress, ipv6, type MacAddress } from "../../src/wire/address.ts"
import { formatAddress, parseIpv6 } from "../../src/wire/addressText.ts"
import { ETHERNET_HEADER, ETHERTYPE_IPV6, writeEthernet } from "../../src/wire/ethernet.ts"
import { IPV6_HEADER, NEXT_HEADER_ICMPV6, writeIpv6 } from "../../src/wire/ipv6.ts"
import { ALL_NODES, multicastMac } from "../../src/wire/multicast.ts"
import { encodeNdp, NDP_HOP_LIMIT, type NdpMessage, ndpLength, type RouterAdvertisement } from "../../src/wire/ndp.ts"
import { kernelSuite } from "./namespace.ts"
import { hashAll, octets, readExactly, sha256, text } from "./octets.ts"
import { KERNEL, KERNEL6, STACK, STACK6, type StackPeer, withPeers } from "./peers.ts"
import * as posix from "./posix.ts"
import { needing, output, program } from "./programs.ts"
import { found, until } from "./wait.ts"

const MANY = octets(16 * 1_048_576)
const EXPECTED = { length: MANY.length, sha256: sha256(MANY) }

const linkLocalOf = (addresses: ReadonlyArray<AddressView>): AddressView | undefined =>
  addresses.find(({ origin }) => origin === "link-local")

/** Without its zone, which is the stack's own number. */
const plain = (address: IpAddress): string => formatAddress(ipv6(address.a, address.b, address.c, address.d))

/** The kernel's link-local address on an interface, once it may be used. */
const kernelsLinkLocal = async (name: string): Promise<string> => {
  for (;;) {
    const shown = await output("ip", "-6", "-o", "addr", "show", "dev", name, "scope", "link", "-tentative")
    const [, address] = /inet6 (fe80[^/]*)/.exec(shown) ?? []
    if (address !== undefined) return address
    await Bun.sleep(50)
  }
}

const ndpFrame = (
  message: NdpMessage,
  mac: MacAddress,
  source: IpAddress,
  destination: IpAddress,
  hopLimit = NDP_HOP_LIMIT,
): Uint8Array => {
  const length = ndpLength(message)
  const out = new Uint8Array(ETHERNET_HEADER + IPV6_HEADER + length)
  writeEthernet(out, 0, { destination: multicastMac(destination), source: mac, etherType: ETHERTYPE_IPV6 })
  writeIpv6(out, ETHERNET_HEADER, {
    source,
    destination,
    trafficClass: 0,
    flowLabel: 0,
    nextHeader: NEXT_HEADER_ICMPV6,
    hopLimit,
    payloadLength: length,
  })
  encodeNdp(out, ETHERNET_HEADER + IPV6_HEADER, message, source, destination)
  return out
}

const address = (written: string): IpAddress => {
  const parsed = parseIpv6(written)
  if (parsed === undefined) throw new Error(written)
  return parsed
}

/** Puts a router advertisement on the wire, as the kernel would if it were asked to by a daemon. */
const advertise = async (
  stack: StackPeer,
  fields: Partial<RouterAdvertisement>,
  hopLimit = NDP_HOP_LIMIT,
): Promise<string> => {
  const { name } = stack.device
  const router = await kernelsLinkLocal(name)
  const mac = interfaceMac(name) as MacAddress
  const ra: RouterAdvertisement = {
    _tag: "RouterAdvertisement",
    hopLimit: 64,
    managed: false,
    other: false,
    preference: "medium",
    lifetime: 1800,
    reachableTime: 0,
    retransTimer: 0,
    sourceMac: mac,
    mtu: 0,
    prefixes: [],
    resolvers: [],
    ...fields,
  }
  const fd = posix.packetSocket(name)
  try {
    posix.send(fd, ndpFrame(ra, mac, address(router), ALL_NODES, hopLimit))
  } finally {
    posix.close(fd)
  }
  return router
}

const PREFIX = {
  prefix: address("2001:db8:a::"),
  prefixLength: 64,
  onLink: true,
  autonomous: true,
  validLifetime: 7200,
  preferredLifetime: 3600,
}

/** What the kernel has found wrong with ICMPv6 and IPv6 of ours. */
const kernelTroubles = async () => {
  const lines = (await Bun.file("/proc/net/snmp6").text()).split("\n").map((line) => line.split(/\s+/))
  const value = (name: string): number => Number(lines.find(([key]) => key === name)?.[1] ?? Number.NaN)
  return {
    headers: value("Ip6InHdrErrors"),
    icmp: value("Icmp6InErrors"),
    checksums: value("Icmp6InCsumErrors"),
    tcp: value("Ip6InTruncatedPkts"),
  }
}
const NO_TROUBLES = { headers: 0, icmp: 0, checksums: 0, tcp: 0 }

kernelSuite("Neighbour Discovery with the kernel", import.meta.path, (test) => {
  const withIp = needing(test, "ip")
  const withPing = needing(test, "ip", "ping")

  withPing("ping of the global and of the link-local address, many sizes: all come back", async () => {
    await withPeers({ family: 6 }, async ({ stack }) => {
      const linkLocal = linkLocalOf(stack.network.addresses())
      expect(linkLocal?.state).toBe("preferred")
      if (linkLocal === undefined) return
      // The kernel's own link-local address must have become usable, to be the source.
      await kernelsLinkLocal(stack.device.name)
      for (const host of [STACK6, `${plain(linkLocal.address)}%${stack.device.name}`]) {
        for (const size of [0, 1, 56, 1451, 1452]) {
          const shown = await output("ping", "-6", "-n", "-c", "1", "-W", "20", "-p", "a5c3", "-s", `${size}`, host)
          expect(shown).toContain("1 packets transmitted, 1 received, 0% packet loss")
          expect(shown).not.toContain("wrong data")
        }
      }
      expect(await kernelTroubles()).toEqual(NO_TROUBLES)
    })
  })

  withIp("the kernel resolves the stack, and forgets it: asked again, it is told again", async () => {
    await withPeers({ family: 6 }, async ({ stack, fromKernel }) => {
      const { ours, theirs } = await fromKernel()
      const { name } = stack.device
      expect(await output("ip", "-6", "neigh", "show", STACK6, "dev", name)).toMatch(
        /lladdr .* (REACHABLE|DELAY|STALE)/,
      )
      await output("ip", "-6", "neigh", "flush", "dev", name)
      await theirs.write(text("again"))
      expect(await readExactly(ours, 5)).toEqual(text("again"))
      const kernel = stack.network.neighbours().find((each) => formatAddress(each.address) === KERNEL6)
      expect(kernel?.mac).toBe(interfaceMac(name) as MacAddress)
    })
  })

  withIp("the kernel probes a stale entry: the stack answers to its solicitation alone", async () => {
    await withPeers({ family: 6 }, async ({ stack, fromKernel }) => {
      const { ours, theirs } = await fromKernel()
      const { name } = stack.device
      await output("ip", "-6", "neigh", "change", STACK6, "dev", name, "nud", "probe")
      await until("the entry being reachable", () => {
        const shown = Bun.spawnSync(["ip", "-6", "neigh", "show", STACK6, "dev", name]).stdout.toString()
        return shown.includes("REACHABLE")
      })
      await ours.write(text("there"))
      expect(await readExactly(theirs, 5)).toEqual(text("there"))
    })
  })

  withIp("an address that the kernel has: the stack detects it and does not use it", async () => {
    const addresses = [`${STACK}/24`, `${KERNEL6}/64`]
    await withPeers({ family: 6, addresses, network: { dadTransmits: 1 } }, async ({ stack }) => {
      const states = () => stack.network.addresses().map((each) => `${plain(each.address)} ${each.state}`)
      await until("the duplicate being found", () => states().includes(`${KERNEL6} duplicated`))
    })
  })

  withIp("an address that the stack has: the kernel detects it and does not use it", async () => {
    await withPeers({ family: 6 }, async ({ stack }) => {
      const { name } = stack.device
      await output("ip", "-6", "addr", "add", `${STACK6}/64`, "dev", name)
      await until("the kernel's detection", () => {
        const shown = Bun.spawnSync(["ip", "-6", "addr", "show", "dev", name]).stdout.toString()
        return shown.includes("dadfailed")
      })
    })
  })

  withIp("nobody's address: unreachable for the stack as for the kernel", async () => {
    await withPeers({ family: 6 }, async ({ stack }) => {
      const failure = await stack.dial(7, { host: "2001:db8:7::99" }).catch((cause: unknown) => cause)
      expect(failure).toMatchObject({ _tag: "HostUnreachable", endpoint: "[2001:db8:7::99]:7" })
    })
  })
})

kernelSuite("addresses from router advertisements, with the kernel", import.meta.path, (test) => {
  const withIp = needing(test, "ip", "ping")

  withIp("a prefix and a router: an address of its own, and a way out through the kernel", async () => {
    const options = { family: 6, addresses: [`${STACK}/24`], network: { ipv6: "auto" } } as const
    await withPeers(options, async ({ stack, kernel }) => {
      const { name } = stack.device
      await until("the link-local address", () => linkLocalOf(stack.network.addresses())?.state === "preferred")
      const resolver = { address: address("2001:db8:a::53"), lifetime: 600 }
      const router = await advertise(stack, { prefixes: [PREFIX], resolvers: [resolver], mtu: 1400 })
      const made = await found("the address", () =>
        stack.network.addresses().find(({ origin, state }) => origin === "autoconf" && state === "preferred"),
      )
      expect(plain(made.address)).toStartWith("2001:db8:a:0:")
      expect(made.validUntil - made.preferredUntil).toBe(3600 * 1_000_000)
      expect(stack.network.resolvers().map(formatAddress)).toEqual(["2001:db8:a::53"])
      const routes = stack.network.routes().filter(({ origin }) => origin === "advertised")
      expect(routes.map(({ via, prefixLength }) => [via === undefined ? "" : plain(via), prefixLength])).toEqual([
        ["", 64],
        [router, 0],
      ])
      // Another network's address, which only the default router leads to.
      await output("ip", "-6", "addr", "add", "2001:db8:b::1/128", "dev", "lo")
      await output("ip", "-6", "route", "add", "2001:db8:a::/64", "dev", name)
      const listener = kernel.hearOn("2001:db8:b::1")
      const [theirs, ours] = await Promise.all([
        listener.accept(),
        stack.dial(listener.port, { host: "2001:db8:b::1" }),
      ])
      expect(theirs.remote.host).toBe(plain(made.address))
      await ours.write(text("through the router"))
      expect(await readExactly(theirs, 18)).toEqual(text("through the router"))
      // RFC 4861 section 4.6.4: the link carries less for IPv6, and the peer is told.
      expect(theirs.info.sndMss).toBe(1400 - 60 - 12)
      expect(await output("ping", "-6", "-n", "-c", "1", "-W", "20", plain(made.address))).toContain("1 received")
    })
  })

  withIp("an advertisement that came through a router (hop limit 254): not believed", async () => {
    const options = { family: 6, addresses: [`${STACK}/24`], network: { ipv6: "auto" } } as const
    await withPeers(options, async ({ stack, barrier }) => {
      await until("the link-local address", () => linkLocalOf(stack.network.addresses())?.state === "preferred")
      await advertise(stack, { prefixes: [PREFIX] }, 254)
      await barrier()
      expect(stack.counters.drops.get("ndp:bad-hop-limit")).toBe(1)
      expect(stack.network.addresses().filter(({ origin }) => origin === "autoconf")).toEqual([])
    })
  })
})

for (const offload of [false, true]) {
  kernelSuite(`TCP over IPv6, 16 MiB, offload ${offload ? "on" : "off"}`, import.meta.path, (test) => {
    test("from the kernel to the stack: the same SHA-256", async () => {
      await withPeers({ family: 6, offload }, async ({ stack, fromKernel }) => {
        const { ours, theirs } = await fromKernel()
        const [arrived] = await Promise.all([hashAll(ours), theirs.write(MANY).then(() => theirs.shutdown())])
        expect(arrived).toEqual(EXPECTED)
        expect(stack.tcpCounters["InCsumErrors"]).toBe(0)
        expect(await kernelTroubles()).toEqual(NO_TROUBLES)
      })
    })

    test("from the stack to the kernel: the same SHA-256, MSS 1440 less timestamps", async () => {
      await withPeers({ family: 6, offload }, async ({ fromStack }) => {
        const { ours, theirs } = await fromStack()
        expect(theirs.info.sndMss).toBe(1428)
        const [arrived] = await Promise.all([hashAll(theirs), ours.write(MANY).then(() => ours.shutdown())])
        expect(arrived).toEqual(EXPECTED)
        expect(await kernelTroubles()).toEqual(NO_TROUBLES)
      })
    })

    test("both ways at once: the same SHA-256s", async () => {
      await withPeers({ family: 6, offload }, async ({ fromStack }) => {
        const { ours, theirs } = await fromStack()
        const [there, back] = await Promise.all([
          hashAll(theirs),
          hashAll(ours),
          ours.write(MANY).then(() => ours.shutdown()),
          theirs.write(MANY).then(() => theirs.shutdown()),
        ])
        expect(there).toEqual(EXPECTED)
        expect(back).toEqual(EXPECTED)
      })
    })
  })
}

kernelSuite("both IP versions with the kernel", import.meta.path, (test) => {
  test("a listener of all addresses: the kernel connects by either version", async () => {
    await withPeers({ family: 6 }, async ({ stack, kernel }) => {
      const listener = await stack.hear()
      for (const host of [STACK6, STACK]) {
        const [ours, theirs] = await Promise.all([listener.accept(), kernel.dial(listener.port, { host })])
        expect(formatAddress(ours.status.local.address)).toBe(host)
        await theirs.write(text(host))
        expect(await readExactly(ours, host.length)).toEqual(text(host))
      }
    })
  })

  test("a listener of :: with ipv6Only: by IPv4 refused", async () => {
    await withPeers({ family: 6 }, async ({ stack, kernel }) => {
      const { port } = await stack.hear({ host: "::", ipv6Only: true })
      const failure = await kernel.dial(port, { host: STACK }).catch((cause: unknown) => cause)
      expect(failure).toMatchObject({ code: "ECONNREFUSED" })
      expect((await kernel.dial(port, { host: STACK6 })).remote).toEqual({ host: STACK6, port })
    })
  })

  needing(test, "ip")("by link-local addresses, with the interface's name as the zone", async () => {
    await withPeers({ family: 6 }, async ({ stack, kernel }) => {
      const { name } = stack.device
      const theirAddress = `${await kernelsLinkLocal(name)}%${name}`
      const listener = kernel.hearOn(theirAddress)
      const [theirs, ours] = await Promise.all([listener.accept(), stack.dial(listener.port, { host: theirAddress })])
      await ours.write(text("near"))
      expect(await readExactly(theirs, 4)).toEqual(text("near"))
    })
  })

  test("UDP to a port where nobody listens, and a protocol that nobody speaks: told so by ICMPv6", async () => {
    await withPeers({ family: 6 }, async () => {
      const udp = posix.udpSocket(6)
      const raw = posix.rawSocket(253, 6)
      try {
        posix.connect(udp, { host: STACK6, port: 33_434 })
        posix.send(udp, octets(32))
        expect((await found("an error", () => posix.socketError(udp))).code).toBe("ECONNREFUSED")
        posix.connect(raw, { host: STACK6, port: 0 })
        posix.send(raw, octets(64))
        expect((await found("an error", () => posix.socketError(raw))).code).toBe("EPROTO")
      } finally {
        posix.close(udp)
        posix.close(raw)
      }
    })
  })

  test("a stack that connects to a port of the kernel's where nobody listens: refused, by either version", async () => {
    await withPeers({ family: 6 }, async ({ stack }) => {
      for (const host of [KERNEL6, KERNEL]) {
        const failure = await stack.dial(9, { host }).catch((cause: unknown) => cause)
        expect(failure).toMatchObject({ _tag: "ConnectionRefused" })
      }
    })
  })
})

kernelSuite("extension headers with the kernel", import.meta.path, (test) => {
  needing(test, "python3")("destination options before an echo request: it is answered", async () => {
    await withPeers({ family: 6 }, async () => {
      const script = `
import socket, struct
s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
s.settimeout(20)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_DSTOPTS, bytes([0, 0, 1, 4, 0, 0, 0, 0]))
s.sendto(struct.pack("!BBHHH", 128, 0, 0, 77, 1) + b"options", ("${STACK6}", 0))
while True:
    data = s.recv(2000)
    if data[0] == 129: break
print(struct.unpack("!HH", data[4:8]), data[8:].decode())
`
      const { stdout, stderr } = await program(["python3", "-c", script])
      expect({ stdout, stderr }).toEqual({ stdout: "(77, 1) options\n", stderr: "" })
    })
  })
})
