import { describe, expect, test } from "bun:test"
import { Switch } from "../../../src/sim/network/switch.ts"
import type { MacAddress } from "../../../src/wire/address.ts"
import { BROADCAST_MAC, ETHERTYPE_ARP, writeEthernet } from "../../../src/wire/ethernet.ts"

const mac = (n: number): MacAddress => (0x02_00_00_00_00_00 + n) as MacAddress
const A = mac(1)
const B = mac(2)
const C = mac(3)
const GROUP = 0x01_00_5e_00_00_01 as MacAddress

const frame = (source: MacAddress, destination: MacAddress): Uint8Array => {
  const out = new Uint8Array(60)
  writeEthernet(out, 0, { source, destination, etherType: ETHERTYPE_ARP })
  return out
}

const MINUTE = 60_000_000

describe("a learning switch", () => {
  const cases = [
    // heard before: source, port, time    frame              by, at          leaves by
    ["an address never heard", [], frame(A, B), 0, 0, "every"],
    ["one heard on port 2", [[B, 2, 0]], frame(A, B), 0, 1, 2],
    [
      "one that has moved",
      [
        [B, 2, 0],
        [B, 3, 1],
      ],
      frame(A, B),
      0,
      2,
      3,
    ],
    ["one behind the port it came by", [[B, 2, 0]], frame(A, B), 2, 1, "none"],
    ["one not heard for 5 minutes", [[B, 2, 0]], frame(A, B), 0, 5 * MINUTE + 1, "every"],
    ["everybody", [[B, 2, 0]], frame(A, BROADCAST_MAC), 0, 1, "every"],
    ["a group", [], frame(A, GROUP), 0, 1, "every"],
    ["less than a header", [], new Uint8Array(13), 0, 1, "none"],
  ] as const
  for (const [name, heard, bytes, by, at, expected] of cases) {
    test(`${name}: ${expected}`, () => {
      const bridge = new Switch(8)
      for (const [source, port, time] of heard) bridge.route(frame(source, C), port, time)
      expect(bridge.route(bytes, by, at)).toBe(expected)
    })
  }

  test("more addresses than its table holds: the one heard longest ago is forgotten", () => {
    const bridge = new Switch(2)
    bridge.route(frame(A, BROADCAST_MAC), 1, 0)
    bridge.route(frame(B, BROADCAST_MAC), 2, 1)
    bridge.route(frame(A, BROADCAST_MAC), 1, 2)
    bridge.route(frame(C, BROADCAST_MAC), 3, 3)
    expect(bridge.known).toBe(2)
    expect(bridge.route(frame(C, B), 3, 4)).toBe("every")
    expect(bridge.route(frame(C, A), 3, 5)).toBe(1)
  })

  test("a group as a source: not learnt", () => {
    const bridge = new Switch(2)
    bridge.route(frame(GROUP, B), 1, 0)
    expect(bridge.known).toBe(0)
  })
})
