import { expect } from "bun:test"
import { interfaceMac } from "../../ffi/interface.ts"
import { formatMac } from "../../src/wire/addressText.ts"
import { kernelSuite } from "./namespace.ts"
import { octets, readExactly, text } from "./octets.ts"
import { STACK, withPeers } from "./peers.ts"
import * as posix from "./posix.ts"
import { needing, output, program, withSysctls } from "./programs.ts"
import { found, reasonOf } from "./wait.ts"

const NOBODY = "198.18.0.99"
const PING_SIZES = [0, 1, 56, 57, 1471, 1472]

kernelSuite("ARP with the kernel", import.meta.path, (test) => {
  const withIp = needing(test, "ip")

  test("the kernel's first packet: its request is answered, and the connection made", async () => {
    await withPeers({}, async ({ stack, fromKernel }) => {
      const { ours, theirs } = await fromKernel()
      const table = await Bun.file("/proc/net/arp").text()
      const entry = table.split("\n").find((line) => line.startsWith(`${STACK} `))
      expect(entry).toContain(` ${formatMac(stack.device.mac)} `)
      await ours.write(text("made"))
      expect(await readExactly(theirs, 4)).toEqual(text("made"))
    })
  })

  test("the stack's first packet: it asks, and connects to whom the kernel says", async () => {
    await withPeers({}, async ({ stack, fromStack }) => {
      const { ours, theirs } = await fromStack()
      await theirs.write(text("made"))
      expect(await readExactly(ours, 4)).toEqual(text("made"))
      expect(stack.device.mac).not.toBe(interfaceMac(stack.device.name))
    })
  })

  withIp("the kernel forgets the stack's address: asked again, it is told again", async () => {
    await withPeers({}, async ({ stack, fromKernel }) => {
      const { ours, theirs } = await fromKernel()
      await output("ip", "neigh", "flush", "dev", stack.device.name)
      await theirs.write(text("again"))
      expect(await readExactly(ours, 5)).toEqual(text("again"))
    })
  })

  withIp("the kernel changes its Ethernet address and says so: the connection goes on", async () => {
    await withPeers({ kernelSettings: { "conf.all.arp_notify": 1 } }, async ({ stack, fromKernel, barrier }) => {
      const { ours, theirs } = await fromKernel()
      const before = interfaceMac(stack.device.name)
      await output("ip", "link", "set", stack.device.name, "address", "02:00:00:00:aa:bb")
      expect(interfaceMac(stack.device.name)).not.toBe(before)
      await barrier()
      await ours.write(text("still there"))
      expect(await readExactly(theirs, 11)).toEqual(text("still there"))
      expect(stack.tcpCounters["RetransSegs"]).toBe(0)
    })
  })

  test("an address that is nobody's: the kernel finds no host there, and the stack neither", async () => {
    await withPeers({}, async ({ stack, kernel }) => {
      await withSysctls({ [`net.ipv4.neigh.${stack.device.name}.retrans_time_ms`]: 20 }, async () => {
        const [theirs, ours] = await Promise.all([
          reasonOf(kernel.dial(7, { host: NOBODY })),
          reasonOf(stack.dial(7, { host: NOBODY })),
        ])
        expect(theirs).toMatchObject({ code: "EHOSTUNREACH" })
        expect(ours).toMatchObject({ _tag: "HostUnreachable", endpoint: `${NOBODY}:7` })
      })
    })
  })
})

kernelSuite("ICMP with the kernel", import.meta.path, (test) => {
  const withPing = needing(test, "ping")

  for (const offload of [false, true]) {
    withPing(`ping of ${PING_SIZES.join(", ")} octets, offload ${offload ? "on" : "off"}: all come back`, async () => {
      await withPeers({ offload }, async () => {
        for (const size of PING_SIZES) {
          // ping itself compares what comes back with the pattern that it sent. It waits for the first answer
          // as long as it is told to, for all others only a little longer than for the one before.
          const shown = await output("ping", "-n", "-c", "1", "-W", "20", "-p", "a5c3", "-s", `${size}`, STACK)
          expect(shown).toContain("1 packets transmitted, 1 received, 0% packet loss")
          expect(shown).not.toContain("wrong data")
        }
      })
    })
  }

  withPing("ping of a packet as large as the interface takes, 9000 octets", async () => {
    await withPeers({ mtu: 9000 }, async () => {
      const shown = await output("ping", "-n", "-c", "1", "-W", "20", "-M", "do", "-s", "8972", STACK)
      expect(shown).toContain("1 received")
    })
  })

  withPing("ping of the broadcast address: silence", async () => {
    await withPeers({}, async ({ barrier }) => {
      const { status, stdout } = await program(["ping", "-n", "-b", "-c", "1", "-W", "0.2", "198.18.0.255"])
      expect(status).toBe(1)
      expect(stdout).toContain("0 received")
      await barrier()
    })
  })

  test("UDP to a port where nobody listens, as traceroute sends it: port unreachable", async () => {
    await withPeers({}, async () => {
      for (const [hop, size] of [0, 32, 1472].entries()) {
        const fd = posix.udpSocket()
        try {
          posix.setOption(fd, posix.IPPROTO_IP, posix.IP_TTL, hop + 1)
          posix.connect(fd, { host: STACK, port: 33_434 + hop })
          posix.send(fd, octets(size))
          expect(await errorOf(fd)).toBe("ECONNREFUSED")
        } finally {
          posix.close(fd)
        }
      }
    })
  })

  test("a protocol that nobody speaks: protocol unreachable", async () => {
    await withPeers({}, async () => {
      const fd = posix.rawSocket(253) // RFC 3692's, for experiments.
      try {
        posix.connect(fd, { host: STACK, port: 0 })
        posix.send(fd, octets(64))
        expect(await errorOf(fd)).toBe("ENOPROTOOPT")
      } finally {
        posix.close(fd)
      }
    })
  })
})

/** The code of the error that an ICMP message leaves at a socket. */
const errorOf = async (fd: number): Promise<string> => (await found("an ICMP error", () => posix.socketError(fd))).code
