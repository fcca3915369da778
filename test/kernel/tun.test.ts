import { expect } from "bun:test"
import { Effect, type Scope } from "effect"
import { interfaceAddress4, interfaceFlags, interfaceIndex, interfaceMtu } from "../../ffi/interface.ts"
import { close } from "../../ffi/libc.ts"
import { openTap as attach, setPersistent } from "../../ffi/tun.ts"
import type { Device } from "../../src/device/device.ts"
import { NO_OFFLOAD } from "../../src/device/device.ts"
import { checkedMac } from "../../src/device/mac.ts"
import { openTap, type TapError, type TapOptions } from "../../src/device/tap.ts"
import { ipv4 } from "../../src/wire/address.ts"
import { finish, sum } from "../../src/wire/checksum.ts"
import { kernelSuite } from "./namespace.ts"
import { hashAll, octets, sha256 } from "./octets.ts"
import { withPeers } from "./peers.ts"
import { needing, output, program } from "./programs.ts"

const IFF_POINTOPOINT = 0x10
const KERNEL = ipv4(0xc6120001)
const ADDRESSED: TapOptions = { layer: "ip", addresses: [{ address: KERNEL, prefixLength: 24 }] }

const scoped = <A, E>(effect: Effect.Effect<A, E, Scope.Scope>): Promise<A> => Effect.runPromise(Effect.scoped(effect))

const withTun = (options: TapOptions, body: (device: Device) => Promise<void>): Promise<void> =>
  scoped(Effect.flatMap(openTap(options), (device) => Effect.promise(() => body(device))))

const refusal = (options: TapOptions): Promise<TapError> => scoped(Effect.flip(openTap(options)))

const packetsOf = (device: Device): ReadonlyArray<Uint8Array> => {
  const packets: Array<Uint8Array> = []
  device.receive(({ bytes, offset, length }) => packets.push(bytes.slice(offset, offset + length)), 1000)
  return packets
}

kernelSuite("TUN device", import.meta.path, (test) => {
  test("is made, numbered, addressed and up, without a link layer, and gone with its scope", async () => {
    await withTun({ ...ADDRESSED, mtu: 1400 }, async (device) => {
      expect(device.name).toBe("tun0")
      expect(device.capabilities).toMatchObject({ layer: "ip", mtu: 1400 })
      expect(interfaceAddress4("tun0")).toEqual({ word: KERNEL.d, prefixLength: 24 })
      expect(interfaceFlags("tun0") & IFF_POINTOPOINT).toBe(IFF_POINTOPOINT)
      expect(interfaceMtu("tun0")).toBe(1400)
      expect(device.reserve(1400)).toBeDefined()
      device.commit(1401, NO_OFFLOAD)
      expect(device.reserve(1401)).toBeUndefined()
      expect(device.counters.txDropped).toBe(2)
    })
    expect(interfaceIndex("tun0")).toBeUndefined()
  })

  test("has no MAC addresses to give", async () => {
    const mac = checkedMac(0x02_00_00_00_00_01)
    for (const options of [{ mac }, { kernelMac: mac }]) {
      expect(await refusal({ ...ADDRESSED, ...options })).toMatchObject({
        _tag: "TapOptionInvalid",
        message: "tun%d: a TUN has no MAC addresses",
      })
    }
  })

  test("a persistent one is taken as it is, and only as a TUN", async () => {
    const tun = attach("nft0", false, { layer: "ip" })
    setPersistent(tun.fd, true)
    close(tun.fd)
    expect(await refusal({ name: "nft0" })).toMatchObject({ _tag: "TapExists" })
    await withTun({ name: "nft0", layer: "ip", existing: true }, async (device) => {
      expect(device.capabilities.layer).toBe("ip")
    })
    expect(interfaceIndex("nft0")).toBeDefined()
    await output("ip", "link", "del", "nft0")
  })

  for (const offload of [false, true]) {
    const how = offload ? ", with offload" : ""
    test(`TCP both ways${how}: the same SHA-256s`, async () => {
      const data = octets(4 << 20)
      const expected = { length: data.length, sha256: sha256(data) }
      await withPeers({ layer: "ip", offload }, async ({ fromKernel, fromStack, stack }) => {
        for (const meet of [fromKernel, fromStack]) {
          const { ours, theirs } = await meet()
          const [there, back] = await Promise.all([
            hashAll(theirs),
            hashAll(ours),
            ours.write(data).then(() => ours.shutdown()),
            theirs.write(data).then(() => theirs.shutdown()),
          ])
          expect([there, back]).toEqual([expected, expected])
        }
        expect(stack.tcpCounters["InCsumErrors"]).toBe(0)
      })
    })
  }

  needing(test, "ping")("answers the kernel's pings", async () => {
    await withPeers({ layer: "ip" }, async () => {
      const { status, stdout } = await program(["ping", "-c", "3", "-i", "0.2", "-W", "2", "198.18.0.2"])
      expect({ status, lost: /(\d+)% packet loss/.exec(stdout)?.[1] }).toEqual({ status: 0, lost: "0" })
    })
  })
})

/** Five datagrams in one send (udp(7), UDP_SEGMENT). */
const SEGMENTED = `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(17, 103, 1000)
s.sendto(bytes(i % 251 for i in range(4321)), ("198.18.0.2", 9))
`

kernelSuite("Datagrams that the kernel has not cut", import.meta.path, (test) => {
  for (const layer of ["ethernet", "ip"] as const) {
    needing(
      test,
      "python3",
      "ip",
    )(`are the same datagrams as those that it has cut (${layer})`, async () => {
      const probe = attach("nfu", true, { layer })
      const { datagramOffload } = probe
      close(probe.fd)
      const seen: Array<ReadonlyArray<{ readonly payload: string; readonly length: number; readonly sum: number }>> = []
      for (const offload of [true, false]) {
        await withTun({ ...ADDRESSED, layer, offload }, async (device) => {
          if (layer === "ethernet") {
            const lladdr = (device.mac.toString(16).padStart(12, "0").match(/../g) ?? []).join(":")
            await output("ip", "neigh", "replace", "198.18.0.2", "lladdr", lladdr, "dev", device.name)
          }
          await output("python3", "-c", SEGMENTED)
          const start = layer === "ethernet" ? 14 : 0
          const packets = packetsOf(device)
          // One read for the five of them, where the kernel knows how.
          expect(packets.length - device.counters.rxPackets).toBe(offload && datagramOffload ? 4 : 0)
          const datagrams = packets.filter((packet) => packet[start + 9] === 17 && packet[start + 23] === 9)
          seen.push(
            datagrams.map((packet) => ({
              payload: packet.subarray(start + 28).toHex(),
              length: ((packet[start + 2] ?? 0) << 8) | (packet[start + 3] ?? 0),
              // Of a header whose checksum is right: zero.
              sum: finish(sum(packet, start, 20)),
            })),
          )
        })
      }
      const [uncut, cut] = seen
      expect(cut?.map(({ length }) => length)).toEqual([1028, 1028, 1028, 1028, 349])
      expect(cut?.every((datagram) => datagram.sum === 0)).toBe(true)
      expect(uncut).toEqual(cut)
    })
  }
})
