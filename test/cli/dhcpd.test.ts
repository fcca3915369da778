import { describe, expect, test } from "bun:test"
import { changesBetween } from "../../src/cli/dhcpd.ts"
import type { DhcpBinding } from "../../src/net/Dhcp.ts"
import { ipv4, type MacAddress } from "../../src/wire/address.ts"

const binding = (last: number, fields: Partial<DhcpBinding> = {}): DhcpBinding => ({
  address: ipv4(0xc6120000 + last),
  client: `client ${last}`,
  mac: last as MacAddress,
  hostName: undefined,
  state: "bound",
  expiresAt: 100,
  ...fields,
})

describe("what has happened to bindings", () => {
  test.each<[string, ReadonlyArray<DhcpBinding>, ReadonlyArray<DhcpBinding>, ReadonlyArray<readonly [string, number]>]>(
    [
      ["nothing", [binding(1)], [binding(1)], []],
      ["an offer", [], [binding(1, { state: "offered" })], [["offered", 1]]],
      ["an offer that is taken", [binding(1, { state: "offered" })], [binding(1)], [["bound", 1]]],
      ["a renewal", [binding(1)], [binding(1, { expiresAt: 200 })], [["renewed", 1]]],
      [
        "an offer held for longer",
        [binding(1, { state: "offered" })],
        [binding(1, { state: "offered", expiresAt: 200 })],
        [],
      ],
      ["an address declined", [binding(1)], [binding(1, { state: "declined", client: "" })], [["declined", 1]]],
      ["an address given back, beside another", [binding(1), binding(2)], [binding(2)], [["released", 1]]],
      ["an address that goes to somebody else", [binding(1)], [binding(1, { client: "other" })], [["bound", 1]]],
    ],
  )("%s", (_, before, after, expected) => {
    const seen = changesBetween(before, after).map(([event, { mac }]): readonly [string, number] => [event, mac])
    expect(seen).toEqual([...expected])
  })
})
