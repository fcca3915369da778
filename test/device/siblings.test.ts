import { describe, expect, test } from "bun:test"
import { type Device, NO_OFFLOAD } from "../../src/device/device.ts"
import { memoryPair } from "../../src/device/memory.ts"
import { ALL, concernOf, OWN, type PassedFrame, type SiblingChannel, sibling } from "../../src/device/siblings.ts"
import { shares } from "../../src/net/Workers.ts"

const ETHERNET = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1]
const PEER = [192, 0, 2, 1]
const OURS = [192, 0, 2, 2]
const arp = (operation: number, sender: ReadonlyArray<number> = PEER, target: ReadonlyArray<number> = OURS) => [
  ...[...ETHERNET, 0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, operation],
  ...[...ETHERNET.slice(6), ...sender, 0, 0, 0, 0, 0, 0, ...target],
]
const ipv4 = (protocol: number, transport: ReadonlyArray<number>, fragment = 0) => [
  ...[...ETHERNET, 0x08, 0x00],
  ...[0x45, 0, 0, 20 + transport.length, 0, 0, fragment >> 8, fragment & 255, 64, protocol, 0, 0],
  ...[192, 0, 2, 1, 192, 0, 2, 2],
  ...transport,
]
const ipv6 = (next: number, transport: ReadonlyArray<number>, source = 1) => [
  ...[...ETHERNET, 0x86, 0xdd, 0x60, 0, 0, 0, 0, transport.length, next, 64],
  ...[...new Array(16).fill(source), ...new Array(16).fill(1), ...transport],
]
/** Hop-by-Hop Options with a Router Alert (RFC 2711), and what follows. */
const alerted = (next: number, transport: ReadonlyArray<number>) => [next, 0, 5, 2, 0, 0, 1, 0, ...transport]
/** A Fragment header at an offset, in octets. */
const fragment = (next: number, offset: number, transport: ReadonlyArray<number>) => [
  ...[next, 0, offset >> 8, (offset & 0xf8) | 1, 0, 0, 0, 7],
  ...transport,
]
const tcp = (port: number) => [0, 7, port >> 8, port & 255, ...new Array(16).fill(0)]
const icmp = (type: number) => [type, 0, 0, 0, 0, 0, 0, 0]

describe("whom a frame concerns", () => {
  const cases: ReadonlyArray<readonly [string, ReadonlyArray<number>, number]> = [
    ["an ARP request: whoever has it answers", arp(1), OWN],
    ["an ARP reply: all stacks have the same neighbours", arp(2), ALL],
    ["an ARP probe: all may be asking for the same address", arp(1, [0, 0, 0, 0]), ALL],
    ["an ARP announcement: all may have the address", arp(1, OURS, OURS), ALL],
    ["TCP: its destination port", ipv4(6, tcp(40_000)), 40_000],
    ["TCP over IPv6", ipv6(6, tcp(443)), 443],
    ["a later fragment has no port", ipv4(6, tcp(40_000), 100), OWN],
    ["the first fragment stays with the later ones", ipv4(17, tcp(40_000), 0x2000), OWN],
    ["IPv6: the same", ipv6(44, fragment(17, 0, tcp(40_000))), OWN],
    ["a later fragment of IPv6", ipv6(44, fragment(17, 1448, tcp(40_000))), OWN],
    ["TCP behind destination options", ipv6(60, alerted(6, tcp(443))), 443],
    ["UDP", ipv4(17, tcp(40_000)), 40_000],
    ["an echo request", ipv4(1, icmp(8)), OWN],
    ["an echo reply: who has asked is not to be seen", ipv4(1, icmp(0)), ALL],
    ["an IGMP query: all have groups of their own", ipv4(2, icmp(0x11)), ALL],
    ["ICMP unreachable: its connection may be anybody's", ipv4(1, icmp(3)), ALL],
    ["time exceeded", ipv4(1, icmp(11)), ALL],
    ["ICMPv6 packet too big", ipv6(58, icmp(2)), ALL],
    ["ICMPv6 echo request", ipv6(58, icmp(128)), OWN],
    ["a neighbour solicitation", ipv6(58, icmp(135)), OWN],
    ["a neighbour solicitation from nobody: all may be asking for the same address", ipv6(58, icmp(135), 0), ALL],
    ["a neighbour advertisement", ipv6(58, icmp(136)), ALL],
    ["a router solicitation", ipv6(58, icmp(133)), OWN],
    ["a router advertisement", ipv6(58, icmp(134)), ALL],
    ["a redirect", ipv6(58, icmp(137)), ALL],
    ["an ICMPv6 echo reply", ipv6(58, icmp(129)), ALL],
    ["ICMPv6 unreachable", ipv6(58, icmp(1)), ALL],
    ["an MLD query, behind its Router Alert", ipv6(0, alerted(58, icmp(130))), ALL],
    ["another host's MLD report", ipv6(0, alerted(58, icmp(143))), OWN],
    ["an extension header that goes beyond the end", ipv6(0, [58, 9, 5, 2, 0, 0, 1, 0]), OWN],
    ["extension headers without an end", ipv6(60, Array.from({ length: 9 }, () => alerted(60, [])).flat()), OWN],
    ["an EtherType that nobody knows", [...ETHERNET, 0x88, 0xb5, 0, 0], OWN],
    ["cut off before the ports", ipv4(6, [0, 7]), OWN],
    ["nothing", [], OWN],
  ]
  test.each([...cases])("%s", (_name, octets, concern) => {
    const bytes = Uint8Array.of(9, 9, ...octets)
    expect(concernOf(bytes, 2, octets.length, "ethernet")).toBe(concern)
    // The same without a link header.
    if (octets[12] === 0x08 && octets[13] === 0x06) return
    if (octets[12] === 0x88 || octets.length === 0) return
    expect(concernOf(bytes, 16, octets.length - 14, "ip")).toBe(concern)
  })
})

test("ranges of ports are equal, together all, and none twice", () => {
  expect(shares([32768, 60999], 1)).toEqual([[32768, 60999]])
  expect(shares([100, 109], 3)).toEqual([
    [100, 102],
    [103, 105],
    [106, 109],
  ])
})

/** As many siblings as there are ranges, each at one end of a wire; the other ends send to them. */
const family = (portRanges: ReadonlyArray<readonly [number, number]>) => {
  const listeners: Array<(frame: PassedFrame) => void> = []
  const posted: Array<PassedFrame> = []
  return {
    posted,
    members: portRanges.map((_, index) => {
      const [far, near] = memoryPair()
      const channel: SiblingChannel = {
        post: (frame) => {
          posted.push(frame)
          for (const [other, listener] of listeners.entries()) if (other !== index) listener(frame)
        },
        listen: (onFrame) => {
          listeners[index] = onFrame
        },
      }
      return { far, near, device: sibling(near, { index, portRanges, channel }) }
    }),
  }
}

const send = (device: Device, octets: ReadonlyArray<number>): void => {
  device.reserve(octets.length)?.set(octets)
  device.commit(octets.length, NO_OFFLOAD)
  device.flush()
}
const receive = (device: Device, budget = 100): ReadonlyArray<ReadonlyArray<number>> => {
  const frames: Array<ReadonlyArray<number>> = []
  device.receive(({ bytes, offset, length }) => frames.push([...bytes.subarray(offset, offset + length)]), budget)
  return frames
}
const RANGES = [
  [1000, 1999],
  [2000, 2999],
  [3000, 3999],
] as const

describe("siblings", () => {
  test("keep what is theirs: listeners' ports, and their own range", () => {
    const { members, posted } = family(RANGES)
    const [first] = members
    if (first === undefined) return expect.unreachable()
    for (const port of [7, 80, 1500]) send(first.far, ipv4(6, tcp(port)))
    expect(receive(first.device)).toHaveLength(3)
    expect(posted).toEqual([])
  })

  test("hand a segment to whoever opened its connection, and to nobody else", () => {
    const { members } = family(RANGES)
    const [first, second, third] = members
    if (first === undefined || second === undefined || third === undefined) return expect.unreachable()
    const frame = ipv4(6, tcp(3100))
    send(first.far, frame)
    expect(receive(first.device)).toEqual([])
    expect(receive(second.device)).toEqual([])
    expect(receive(third.device)).toEqual([frame])
  })

  test("all learn of neighbours and routers, and are all asked for their groups", () => {
    const { members } = family(RANGES)
    const [first] = members
    if (first === undefined) return expect.unreachable()
    const frames = [arp(2), ipv6(58, icmp(136)), ipv6(58, icmp(134)), ipv6(0, alerted(58, icmp(130)))]
    for (const frame of frames) send(first.far, frame)
    for (const { device } of members) expect(receive(device)).toEqual(frames)
  })

  test("what was passed on keeps to the budget, and comes before the device's own frames", () => {
    const { members } = family(RANGES)
    const [first, second] = members
    if (first === undefined || second === undefined) return expect.unreachable()
    for (let n = 0; n < 4; n++) send(first.far, ipv4(6, tcp(2000 + n)))
    receive(first.device)
    send(second.far, ipv4(6, tcp(80)))
    expect(receive(second.device, 3)).toHaveLength(3)
    expect(receive(second.device, 3)).toEqual([ipv4(6, tcp(2003)), ipv4(6, tcp(80))])
  })

  test("a frame that is passed on wakes its receiver", async () => {
    const { members } = family(RANGES)
    const [first, second] = members
    if (first === undefined || second === undefined) return expect.unreachable()
    let woken = 0
    second.device.wake(() => woken++)
    send(first.far, ipv4(6, tcp(2500)))
    receive(first.device)
    expect(woken).toBe(1)
    // One that came while nobody waited is not forgotten.
    send(first.far, ipv4(6, tcp(2500)))
    receive(first.device)
    await new Promise<void>((resolve) => second.device.wake(resolve))
    expect(receive(second.device)).toHaveLength(2)
  })

  test("a receiver that does not read loses what is more than its queue, and counts it", () => {
    const { members } = family(RANGES)
    const [first, second] = members
    if (first === undefined || second === undefined) return expect.unreachable()
    for (let n = 0; n < 1100; n++) {
      send(first.far, ipv4(6, tcp(2500)))
      receive(first.device)
    }
    expect(second.device.counters.rxDropped).toBe(1100 - 1024)
    expect(receive(second.device, 2000)).toHaveLength(1024)
  })

  test("closing one ends its view, and leaves the device to whoever opened it", () => {
    const { members } = family(RANGES)
    const [first] = members
    if (first === undefined) return expect.unreachable()
    first.device.close()
    send(first.far, arp(1))
    expect(receive(first.device)).toEqual([])
    expect(first.device.reserve(60)).toBeUndefined()
    expect(receive(first.near)).toEqual([arp(1)])
  })
})
