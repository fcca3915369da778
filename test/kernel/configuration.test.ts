import { expect } from "bun:test"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Cause, Effect, Exit, Option, Scope } from "effect"
import { interfaceMac } from "../../ffi/interface.ts"
import type { Device } from "../../src/device/device.ts"
import { openTap } from "../../src/device/tap.ts"
import * as Dhcp from "../../src/net/Dhcp.ts"
import * as Dns from "../../src/net/Dns.ts"
import * as Inspect from "../../src/net/Inspect.ts"
import { echo, serviceCounters } from "../../src/net/services.ts"
import * as Tcp from "../../src/net/Tcp.ts"
import { Stack, type StackOptions, type StackService } from "../../src/runtime/stack.ts"
import { ipv4, ipv6, type MacAddress } from "../../src/wire/address.ts"
import { formatAddress, formatMac } from "../../src/wire/addressText.ts"
import { type Child, netfold } from "../cli/child.ts"
import { type Dnsmasq, withDnsmasq } from "./dnsmasq.ts"
import { KernelListener, KernelSocket } from "./kernelSocket.ts"
import { kernelSuite } from "./namespace.ts"
import { readExactly, string, text } from "./octets.ts"
import { KERNEL, KERNEL6 } from "./peers.ts"
import { persistentTap } from "./persistentTap.ts"
import { needing, output, program } from "./programs.ts"
import { found, until } from "./wait.ts"

const KERNEL_ADDRESS = { address: ipv4(0xc6120001), prefixLength: 24 }
const KERNEL_ADDRESS6 = { address: ipv6(0x20010db8, 0x00070000, 0, 1), prefixLength: 64 }

const run = async <A, E>(effect: Effect.Effect<A, E>): Promise<A> => {
  const exit = await Effect.runPromiseExit(effect)
  if (Exit.isSuccess(exit)) return exit.value
  throw Option.getOrElse(Cause.failureOption(exit.cause), () => Cause.squash(exit.cause))
}

interface Place {
  readonly device: Device
  /** On the device, till the end of the test. */
  readonly stack: (options: Omit<Parameters<typeof on>[1], "device">) => Promise<StackService>
  readonly within: <A, E>(stack: StackService, effect: Effect.Effect<A, E, Stack | Scope.Scope>) => Promise<A>
  /** Ends the stack, and the interface with it. */
  readonly end: () => Promise<void>
}

type Interface = StackOptions["interfaces"][number]

const on = (
  device: Device,
  { nameServers, ...iface }: Partial<Interface> & Pick<StackOptions, "nameServers">,
): Effect.Effect<StackService, unknown, Scope.Scope> =>
  Stack.make({
    interfaces: [{ device, addresses: [], ...iface }],
    ...(nameServers === undefined ? {} : { nameServers }),
    settings: { ipUnprivilegedPortStart: 0 },
    closeGrace: "50 millis",
  })

/** A link to the kernel, which has these addresses on it, and no stack yet. */
const withLink = async (
  addresses: ReadonlyArray<typeof KERNEL_ADDRESS>,
  body: (place: Place) => Promise<void>,
): Promise<void> => {
  const scope = await run(Scope.make())
  const within: Place["within"] = (stack, effect) =>
    run(effect.pipe(Effect.provideService(Stack, stack), Scope.extend(scope)))
  const end = () => run(Scope.close(scope, Exit.void))
  try {
    const device = await run(openTap({ addresses }).pipe(Scope.extend(scope)))
    await body({ device, stack: (options) => run(on(device, options).pipe(Scope.extend(scope))), within, end })
  } finally {
    await end()
  }
}

/** Addresses of an interface of the kernel's, once none of them is tentative. */
const settled = async (name: string): Promise<void> => {
  for (;;) {
    const shown = await output("ip", "-6", "-o", "addr", "show", "dev", name)
    if (shown.includes("fe80") && !shown.includes("tentative")) return
    await Bun.sleep(50)
  }
}

const leaseOf = ({ within }: Place, stack: StackService) => within(stack, Effect.timeout(Dhcp.leased(), "20 seconds"))

kernelSuite("DHCP with dnsmasq", import.meta.path, (every) => {
  const test = needing(every, "dnsmasq")
  const RANGE = "--dhcp-range=198.18.0.50,198.18.0.99,255.255.255.0,2m"

  test("a lease: address, route, name server, domain and name; the kernel is reached, and given the address back", async () => {
    await withLink([KERNEL_ADDRESS], async (place) => {
      const options = [RANGE, "--domain=lab.example", "--dhcp-option=option:mtu,1400", "--port=0"]
      const servers = `--dhcp-option=option:dns-server,${KERNEL},198.18.0.3`
      await withDnsmasq(place.device.name, [...options, servers], async (dnsmasq) => {
        const stack = await place.stack({ dhcp: { hostName: "folded" } })
        const lease = await leaseOf(place, stack)
        const address = formatAddress(lease.address)
        expect(lease).toMatchObject({ prefixLength: 24, domainName: "lab.example", mtu: 1400 })
        expect(formatAddress(lease.server)).toBe(KERNEL)
        expect(stack.nameServers().map(formatAddress)).toEqual([KERNEL, "198.18.0.3"])
        expect(dnsmasq.leases()).toHaveLength(1)
        expect(dnsmasq.leases()[0]).toMatch(new RegExp(`^\\d+ ${formatMac(place.device.mac)} ${address} folded `))

        const [shown] = await run(Inspect.interfaces(stack))
        expect(shown?.addresses).toMatchObject([{ address, prefixLength: 24, origin: "dynamic", scope: "global" }])
        expect(shown?.addresses[0]?.valid).toBeWithin(60, 121)
        expect(await run(Inspect.routes(stack))).toMatchObject([
          { prefixLength: 0, via: KERNEL, protocol: "dhcp" },
          { prefix: "198.18.0.0", prefixLength: 24, protocol: "kernel", source: address },
        ])

        const listener = await place.within(stack, Tcp.listen({ port: 7 }))
        listener.onConnection(echo(serviceCounters()))
        const socket = await KernelSocket.begin({ host: address, port: 7 }).connected()
        await socket.write(text("hello"))
        expect(string(await readExactly(socket, 5))).toBe("hello")
        socket.close()

        await place.end()
        await dnsmasq.said(new RegExp(`DHCPRELEASE\\(${place.device.name}\\) ${address} `))
        await until("the lease is gone", () => dnsmasq.leases().length === 0)
      })
    })
  })

  test("T1 of three seconds: renewed, to the server alone, and the address stays", async () => {
    await withLink([KERNEL_ADDRESS], async (place) => {
      const options = [RANGE, "--dhcp-option=option:T1,3", "--dhcp-option=option:T2,60", "--port=0"]
      await withDnsmasq(place.device.name, options, async (dnsmasq) => {
        const stack = await place.stack({ dhcp: true })
        const first = await leaseOf(place, stack)
        const address = formatAddress(first.address)
        await dnsmasq.said(new RegExp(`DHCPACK\\(${place.device.name}\\) ${address} `), 2)
        const renewed = await found("a longer lease", () => {
          const [view] = stack.network.leases()
          return view?.state === "BOUND" && (view.lease?.expiresAt ?? 0) > first.expiresAt ? view.lease : undefined
        })
        expect(formatAddress(renewed.address)).toBe(address)
        expect(stack.network.addresses()).toMatchObject([{ state: "preferred", validUntil: renewed.expiresAt }])
        // RFC 2131 section 4.3.2: RENEWING is no discovery over again.
        expect(dnsmasq.log().filter((line) => line.includes("DHCPDISCOVER("))).toHaveLength(1)
      })
    })
  })
})

/** After a DECLINE a client waits for ten seconds (RFC 2131 section 3.1). */
kernelSuite(
  "DHCP with dnsmasq, and an address that is taken",
  import.meta.path,
  (every) => {
    const test = needing(every, "dnsmasq")

    test("an address of the pool that somebody has: declined, and another taken", async () => {
      const second = { address: ipv4(0xc6120032), prefixLength: 24 }
      await withLink([KERNEL_ADDRESS, second], async (place) => {
        // Without its own look at whether the address is free, the server offers what is taken.
        const options = ["--dhcp-range=198.18.0.50,198.18.0.51,255.255.255.0,2m", "--no-ping", "--port=0"]
        const pinned = `--dhcp-host=${formatMac(place.device.mac)},198.18.0.50`
        await withDnsmasq(place.device.name, [...options, pinned], async (dnsmasq) => {
          const stack = await place.stack({ dhcp: true, arpProbe: true })
          await dnsmasq.said(new RegExp(`DHCPDECLINE\\(${place.device.name}\\) 198.18.0.50`))
          await until("another address is ours", () =>
            stack.network
              .addresses()
              .some(({ address, state }) => state === "preferred" && formatAddress(address) === "198.18.0.51"),
          )
        })
      })
    }, 60_000)
  },
  { apart: true },
)

const LONG = Array.from({ length: 100 }, (_, n) => `198.18.1.${n + 1}`)
const NAMES = [
  "--local=/test/",
  `--host-record=both.test,${KERNEL},${KERNEL6}`,
  `--host-record=four.test,${KERNEL}`,
  "--cname=alias.test,both.test",
  // Nobody has this address of the link.
  `--host-record=half.test,${KERNEL},2001:db8:7::dead`,
  ...LONG.map((address) => `--host-record=long.test,${address}`),
  "--no-round-robin",
]

kernelSuite("DNS with dnsmasq", import.meta.path, (every) => {
  const test = needing(every, "dnsmasq")

  const withNames = (body: (place: Place, stack: StackService, dnsmasq: Dnsmasq) => Promise<void>): Promise<void> =>
    withLink([KERNEL_ADDRESS, KERNEL_ADDRESS6], async (place) => {
      await settled(place.device.name)
      await withDnsmasq(place.device.name, NAMES, async (dnsmasq) => {
        const addresses = ["198.18.0.2/24", "2001:db8:7::2/64"]
        const stack = await place.stack({ addresses, dadTransmits: 0, nameServers: [KERNEL] })
        await body(place, stack, dnsmasq)
      })
    })

  test("A, AAAA, an alias: addresses, asked for once while they last", async () => {
    await withNames(async ({ within }, stack, dnsmasq) => {
      const asked = async (name: string, type: Dns.RecordType) =>
        (await within(stack, Dns.resolve(name, type))).map(formatAddress)
      expect(await asked("both.test", "A")).toEqual([KERNEL])
      expect(await asked("both.test", "AAAA")).toEqual([KERNEL6])
      expect(await asked("alias.test", "A")).toEqual([KERNEL])
      expect(await asked("ALIAS.test.", "AAAA")).toEqual([KERNEL6])
      expect((await within(stack, Dns.lookup("both.test"))).map(formatAddress)).toEqual([KERNEL6, KERNEL])
      expect(dnsmasq.log().some((line) => line.includes("query[A] both.test from 198.18.0.2"))).toBe(true)
    })
  })

  test("no such name, and a name without such an address: HostNotFound, which says which", async () => {
    await withNames(async ({ within }, stack) => {
      const refused = (name: string, type: Dns.RecordType) => within(stack, Effect.flip(Dns.resolve(name, type)))
      expect(await refused("none.test", "A")).toMatchObject({ _tag: "HostNotFound", why: "RFC1035-4.1.1:NXDOMAIN" })
      expect(await refused("four.test", "AAAA")).toMatchObject({ _tag: "HostNotFound", why: "RFC2308-2.2:NODATA" })
    })
  })

  test(`${LONG.length} addresses do not fit a datagram: asked by TCP, all there`, async () => {
    await withNames(async ({ within }, stack) => {
      const before = stack.tcpCounters["ActiveOpens"] ?? 0
      const found = (await within(stack, Dns.resolve("long.test", "A"))).map(formatAddress)
      expect([...found].sort()).toEqual([...LONG].sort())
      expect(stack.tcpCounters["ActiveOpens"]).toBe(before + 1)
    })
  })

  test("connect by name: over IPv6 where both answer", async () => {
    await withNames(async ({ within }, stack) => {
      const listener = new KernelListener(KERNEL6)
      try {
        const connection = await within(stack, Tcp.connect({ host: "alias.test", port: listener.port }))
        expect(formatAddress(connection.remote.address)).toBe(KERNEL6)
      } finally {
        listener.close()
      }
    })
  })

  test("connect by name: over IPv4 where IPv6 is silent, before IPv6 has failed", async () => {
    await withNames(async ({ within }, stack) => {
      const listener = new KernelListener(KERNEL)
      try {
        const before = performance.now()
        const connection = await within(stack, Tcp.connect({ host: "half.test", port: listener.port }))
        expect(formatAddress(connection.remote.address)).toBe(KERNEL)
        const waited = performance.now() - before
        // RFC 8305 section 5: IPv6 has its head start, to the millisecond that clocks are apart.
        expect(waited).toBeGreaterThanOrEqual(249)
        // A neighbour that does not answer is given up after three seconds (RFC 4861 section 10).
        expect(waited).toBeLessThan(2500)
      } finally {
        listener.close()
      }
    })
  })
})

kernelSuite("SLAAC with dnsmasq's router advertisements", import.meta.path, (every) => {
  const test = needing(every, "dnsmasq")

  test("an address of the prefix, a default route, a name server; a name is resolved over them", async () => {
    await withLink([KERNEL_ADDRESS6], async (place) => {
      const { name } = place.device
      await settled(name)
      const range = "--dhcp-range=2001:db8:7::,ra-only,64,1h"
      await withDnsmasq(name, ["--enable-ra", range, ...NAMES], async (dnsmasq) => {
        const stack = await place.stack({ ipv6: "auto" })
        const mine = await found("an address of the prefix", () =>
          stack.network.addresses().find(({ origin, state }) => origin === "autoconf" && state === "preferred"),
        )
        expect(formatAddress(mine.address)).toStartWith("2001:db8:7:")
        await dnsmasq.said(new RegExp(`RTR-SOLICIT\\(${name}\\)`))

        const [shown] = await run(Inspect.interfaces(stack))
        const row = shown?.addresses.find(({ origin }) => origin === "autoconf")
        expect(row).toMatchObject({ family: 6, prefixLength: 64, scope: "global", state: "preferred" })
        expect(row?.valid).toBeWithin(3500, 3601)
        const routes = await run(Inspect.routes(stack))
        expect(routes.find(({ prefixLength }) => prefixLength === 0)).toMatchObject({ family: 6, protocol: "ra" })
        expect(routes.find(({ prefixLength }) => prefixLength === 64)).toMatchObject({
          prefix: "2001:db8:7::",
          protocol: "ra",
        })

        // RFC 8106 section 5.1: dnsmasq names itself by its link-local address, which means something on this link only.
        expect(stack.nameServers().map(formatAddress)).toEqual([expect.stringMatching(/^fe80::.*%1$/)])
        const found6 = await place.within(stack, Dns.lookup("both.test"))
        expect(found6.map(formatAddress)).toEqual([KERNEL6])
        const listener = new KernelListener(KERNEL6)
        try {
          const connection = await place.within(stack, Tcp.connect({ host: "both.test", port: listener.port }))
          expect(formatAddress(connection.local.address)).toBe(formatAddress(mine.address))
        } finally {
          listener.close()
        }
      })
    })
  })
})

/** What udhcpc tells its script is written down, and the address set as it says. */
const SCRIPT = `#!/bin/sh
echo "$1 $ip $mask $router $dns $domain $lease $serverid" >> "$NETFOLD_REPORT"
case "$1" in
  bound) ip addr add "$ip/$mask" dev "$interface" ;;
  deconfig) ip addr flush dev "$interface" ;;
esac
`

/** To the stack's echo, when the kernel has the address. */
const connectedFrom = async (device: string, address: string): Promise<KernelSocket> => {
  while (!(await output("ip", "-4", "-o", "addr", "show", "dev", device)).includes(`${address}/24`)) await Bun.sleep(20)
  return KernelSocket.begin({ host: "198.18.0.1", port: 7 }).connected()
}

kernelSuite("netfold's DHCP server and the kernel's side as its client", import.meta.path, (every) => {
  const test = needing(every, "udhcpc")

  test("udhcpc: an address that works, renewed and given back on its signals", async () => {
    const directory = mkdtempSync(join(tmpdir(), "netfold-udhcpc-"))
    const report = join(directory, "report")
    const script = join(directory, "script")
    writeFileSync(report, "")
    writeFileSync(script, SCRIPT, { mode: 0o755 })
    const told = (): ReadonlyArray<string> => readFileSync(report, "utf8").split("\n").filter(Boolean)
    await withLink([], async (place) => {
      const stack = await place.stack({ addresses: ["198.18.0.1/24"] })
      const server = await place.within(
        stack,
        Dhcp.server({
          first: "198.18.0.50",
          last: "198.18.0.60",
          nameServers: ["198.18.0.3"],
          domainName: "lab.example",
          leaseSeconds: 600,
        }),
      )
      const bindings = () => Effect.runSync(server.bindings)
      const listener = await place.within(stack, Tcp.listen({ port: 7 }))
      listener.onConnection(echo(serviceCounters()))
      const client = Bun.spawn(
        ["udhcpc", "-f", "-R", "-i", place.device.name, "-s", script, "-x", "hostname:kernel", "-t", "20", "-T", "1"],
        { env: { ...process.env, NETFOLD_REPORT: report }, stdin: "ignore", stdout: "ignore", stderr: "ignore" },
      )
      try {
        const bound = await found("the client has a lease", () => told().find((line) => line.startsWith("bound ")))
        expect(bound).toBe("bound 198.18.0.50 24 198.18.0.1 198.18.0.3 lab.example 600 198.18.0.1")
        expect(bindings()).toMatchObject([{ state: "bound", hostName: "kernel" }])

        const socket = await connectedFrom(place.device.name, "198.18.0.50")
        await socket.write(text("hello"))
        expect(string(await readExactly(socket, 5))).toBe("hello")
        socket.close()

        const [before] = bindings()
        client.kill("SIGUSR1")
        await until("the client has renewed", () => told().some((line) => line.startsWith("renew 198.18.0.50 ")))
        expect(bindings()[0]?.expiresAt).toBeGreaterThan(before?.expiresAt ?? 0)
      } finally {
        client.kill("SIGTERM")
        await client.exited
      }
      await until("the address is given back", () => bindings().length === 0)
    })
    rmSync(directory, { recursive: true })
  })
})

/** Runs a command of netfold's for the length of `body`. */
const withCommand = async (words: ReadonlyArray<string>, body: (command: Child) => Promise<void>): Promise<void> => {
  const directory = mkdtempSync(join(tmpdir(), "netfold-control-"))
  const command = netfold(words, { env: { NETFOLD_RUNTIME_DIR: directory } })
  try {
    await body(command)
  } finally {
    command.kill("SIGTERM")
    await command.ended
    rmSync(directory, { recursive: true })
  }
}

kernelSuite("netfold's commands for configuration", import.meta.path, (every) => {
  const test = needing(every, "dnsmasq")

  test("serve --dhcp --host-name --slaac: says its addresses, serves there", async () => {
    const name = "nf-dhcp"
    const words = ["--device", `tap:${name}`, "--dhcp", "--host-name", "folded", "--slaac"]
    await withCommand(["serve", ...words], async (command) => {
      await command.line(/message=start.* address=dhcp/)
      await settled(name)
      const ranges = ["198.18.0.50,198.18.0.50,255.255.255.0,2m", "2001:db8::,ra-only,64,1h"]
      await withDnsmasq(
        name,
        [...ranges.map((range) => `--dhcp-range=${range}`), "--enable-ra", "--port=0"],
        async (dnsmasq) => {
          const advertised = await command.line(/message=advertised/)
          const [, address = ""] = /address=(2001:db8::[0-9a-f:]+|2001:db8:0:[0-9a-f:]+)\/64/.exec(advertised) ?? []
          const over6 = await KernelSocket.begin({ host: address, port: 7 }).connected()
          await over6.write(text("hello"))
          expect(string(await readExactly(over6, 5))).toBe("hello")
          over6.close()
          const line = await command.line(/message=lease/)
          expect(line).toContain("address=198.18.0.50/24")
          expect(line).toContain(`server=${KERNEL}`)
          expect(dnsmasq.leases()[0]).toContain(" 198.18.0.50 folded ")
          const socket = await KernelSocket.begin({ host: "198.18.0.50", port: 7 }).connected()
          await socket.write(text("hello"))
          expect(string(await readExactly(socket, 5))).toBe("hello")
          socket.close()
        },
      )
    })
  }, 60_000)

  needing(every, "udhcpc")(
    "dhcpd: gives an address of its range, and says to whom",
    async () => {
      const words = ["--device", "tap:nf-dhcpd", "--address", "198.18.0.1/24", "--range", "198.18.0.70-198.18.0.71"]
      await withCommand(["dhcpd", ...words, "--dns", "198.18.0.3", "--lease", "120", "--json"], async (command) => {
        await command.line(/"start"/)
        const client = ["udhcpc", "-f", "-q", "-n", "-i", "nf-dhcpd", "-s", "/bin/true", "-x", "hostname:kernel"]
        const { status, stderr } = await program(client)
        expect(status).toBe(0)
        expect(stderr).toMatch(/lease of 198\.18\.0\.7[01] obtained(?: from 198\.18\.0\.1)?, lease time 120/)
        const { message, annotations } = JSON.parse(await command.line(/"bound"/))
        expect({ message, ...annotations }).toMatchObject({
          message: "bound",
          address: expect.stringMatching(/^198\.18\.0\.7[01]$/),
          mac: formatMac((interfaceMac("nf-dhcpd") ?? 0) as MacAddress),
          hostName: "kernel",
        })
      })
    },
    60_000,
  )

  test("ping by name: resolved by --dns, shown with its address; without a server one line says what is missing", async () => {
    const tap = persistentTap("nf-ping", { word: KERNEL_ADDRESS.address.d, prefixLength: 24 })
    try {
      await withDnsmasq("nf-ping", NAMES, async () => {
        const words = ["ping", "--device", "tap:nf-ping", "-c", "1"]
        const { status, stdout } = await netfold([...words, "--dns", KERNEL, "four.test"]).ended
        expect(stdout).toStartWith(`PING four.test (${KERNEL}) 56(84) bytes of data.\n`)
        expect(stdout).toContain("1 packets transmitted, 1 received")
        expect(status).toBe(0)
        expect(await netfold([...words, "four.test"]).ended).toMatchObject({
          status: 2,
          stderr: 'netfold: "four.test" is a name: give a name server, as --dns 198.18.0.1\n',
        })
        // A name of both versions: the one that is asked for.
        const by4 = await netfold([...words, "-4", "--dns", KERNEL, "both.test"]).ended
        expect(by4).toMatchObject({ status: 0, stdout: expect.stringContaining(`PING both.test (${KERNEL}) 56(84)`) })
        const by6 = await netfold([...words, "-6", "-W0.1", "--dns", KERNEL, "both.test"]).ended
        expect(by6.stdout).toStartWith(`PING both.test(${KERNEL6}) 56 data bytes\n`)
        const unknown = await netfold([...words, "--dns", KERNEL, "none.test"]).ended
        expect(unknown).toMatchObject({ status: 2, stderr: expect.stringContaining("none.test") })
      })
    } finally {
      tap.remove()
    }
  }, 60_000)
})
