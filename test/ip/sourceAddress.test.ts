import { describe, expect, test } from "bun:test"
import { type Candidate, orderDestinations, selectSource } from "../../src/ip/sourceAddress.ts"
import { type IpAddress, UNSPECIFIED6 } from "../../src/wire/address.ts"
import { formatAddress, parseAddress } from "../../src/wire/addressText.ts"

const ip = (text: string): IpAddress => parseAddress(text) ?? UNSPECIFIED6

/** "2001:db8::1" or "2001:db8::1 deprecated" or "2001:db8::1 on 1". */
const candidate = (text: string): Candidate => {
  const [address = "", ...rest] = text.split(" ")
  return {
    address: ip(address),
    prefixLength: address.includes(".") ? 24 : 64,
    deprecated: rest.includes("deprecated"),
    interface: rest.includes("on") ? Number(rest.at(-1)) : 0,
  }
}

describe("the source for a destination (RFC 6724 section 5)", () => {
  test.each<[string, string, ReadonlyArray<string>, string]>([
    ["rule 1, the same", "2001:db8::1", ["2001:db8::2", "2001:db8::1 deprecated"], "2001:db8::1"],
    ["rule 2, example", "2001:db8:1::1", ["2001:db8:3::1", "fe80::1"], "2001:db8:3::1"],
    ["rule 2, example: site scope", "ff05::1", ["2001:db8:3::1", "fe80::1"], "2001:db8:3::1"],
    ["rule 2, link-local", "fe80::9", ["2001:db8:3::1", "fe80::1"], "fe80::1"],
    ["rule 2, a group of the link", "ff02::5", ["2001:db8:3::1", "fe80::1"], "fe80::1"],
    ["rule 2 before rule 3", "fe80::9", ["2001:db8::1", "fe80::1 deprecated"], "fe80::1"],
    ["rule 3, example", "2001:db8:1::1", ["2001:db8:1::2 deprecated", "2001:db8:3::1"], "2001:db8:3::1"],
    ["rule 5", "2001:db8:9::1", ["2001:db8::1 on 1", "2001:db8:8::1"], "2001:db8:8::1"],
    ["rule 6, example: 6to4", "2002:c633:6401::1", ["2001:db8:1::2", "2002:c633:6401::d5e3"], "2002:c633:6401::d5e3"],
    ["rule 6: unique local", "fd00::9", ["2001:db8:1::2", "fd11::1"], "fd11::1"],
    ["rule 8, example", "2001:db8:1::1", ["2001:db8:1::2", "2001:db8:3::2"], "2001:db8:1::2"],
    ["rule 8, the first of equals", "2001:db8:1::1", ["2001:db8:1::5", "2001:db8:1::2"], "2001:db8:1::5"],
    ["the other version has none", "2001:db8::1", ["198.18.0.1"], "none"],
  ])("%s: %s from %p is %s", (_, destination, candidates, source) => {
    const chosen = selectSource(candidates.map(candidate), ip(destination), 0)
    expect(chosen === undefined ? "none" : formatAddress(chosen)).toBe(source)
  })
})

describe("the order of destinations (RFC 6724 section 6)", () => {
  const order = (pairs: ReadonlyArray<readonly [string, string | undefined]>) =>
    orderDestinations(
      pairs.map(([address, source]) => ({
        address: ip(address),
        source: source === undefined ? undefined : candidate(source),
      })),
    ).map(({ address }) => formatAddress(address))

  test.each<[string, ReadonlyArray<readonly [string, string | undefined]>, ReadonlyArray<string>]>([
    [
      "rule 1, what cannot be reached comes last",
      [
        ["2001:db8:1::1", undefined],
        ["198.51.100.121", "198.51.100.117"],
      ],
      ["198.51.100.121", "2001:db8:1::1"],
    ],
    [
      "rule 2, example: matching scope",
      [
        ["2001:db8:1::1", "fe80::1"],
        ["198.51.100.121", "198.51.100.117"],
      ],
      ["198.51.100.121", "2001:db8:1::1"],
    ],
    [
      "rule 6, example: IPv6 before IPv4",
      [
        ["198.51.100.121", "198.51.100.117"],
        ["2001:db8:1::1", "2001:db8:1::2"],
      ],
      ["2001:db8:1::1", "198.51.100.121"],
    ],
    [
      "rule 5, example: matching label",
      [
        ["2002:c633:6401::1", "2002:c633:6401::2"],
        ["2001:db8:1::1", "2002:c633:6401::2"],
      ],
      ["2002:c633:6401::1", "2001:db8:1::1"],
    ],
    [
      "rule 3: a source that is not deprecated",
      [
        ["2001:db8:1::1", "2001:db8:1::2 deprecated"],
        ["198.51.100.121", "198.51.100.117"],
      ],
      ["198.51.100.121", "2001:db8:1::1"],
    ],
    [
      "rule 8, example: smaller scope",
      [
        ["2001:db8:1::1", "2001:db8:1::2"],
        ["fe80::1", "fe80::2"],
      ],
      ["fe80::1", "2001:db8:1::1"],
    ],
    [
      "rule 9: the longest common prefix",
      [
        ["2001:db8:3ffe::1", "2001:db8:1::2"],
        ["2001:db8:1::1", "2001:db8:1::2"],
      ],
      ["2001:db8:1::1", "2001:db8:3ffe::1"],
    ],
    [
      "rule 9 ends with the source's prefix (section 2.2): its hosts are as near as each other",
      [
        ["198.51.100.200", "198.51.100.1"],
        ["198.51.100.2", "198.51.100.1"],
      ],
      ["198.51.100.200", "198.51.100.2"],
    ],
    [
      "rule 10: else as given",
      [
        ["198.51.100.9", "198.51.100.1"],
        ["198.51.100.8", "198.51.100.1"],
      ],
      ["198.51.100.9", "198.51.100.8"],
    ],
  ])("%s", (_, pairs, expected) => {
    expect(order(pairs)).toEqual([...expected])
  })
})
