import { describe, expect, test } from "bun:test"
import { type Ends, endsArguments, kernelAddresses, stackAddresses } from "../../src/cli/ends.ts"
import type { InterfaceAddress } from "../../src/host/types.ts"
import { formatCidr, parseAddress, parseCidr } from "../../src/wire/addressText.ts"

const cidr = (text: string): InterfaceAddress => {
  const parsed = parseCidr(text)
  if (parsed === undefined) throw new Error(text)
  return { address: parsed.address, prefixLength: parsed.length }
}

const ends = (stack: ReadonlyArray<string>, kernel: ReadonlyArray<string> = []): Ends => ({
  addresses: stack.map(cidr),
  kernelAddresses: kernel.flatMap((text) => parseAddress(text) ?? []),
})

const texts = (addresses: ReadonlyArray<InterfaceAddress>): ReadonlyArray<string> =>
  addresses.map(({ address, prefixLength }) => formatCidr({ address, length: prefixLength }))

describe("the stack's addresses", () => {
  test.each<[string, ReadonlyArray<string>, boolean, boolean, ReadonlyArray<string>]>([
    ["nothing", [], false, false, ["198.18.0.2/24", "2001:db8::2/64"]],
    ["one of IPv4", ["10.0.0.2/24"], false, false, ["10.0.0.2/24"]],
    ["one of each", ["10.0.0.2/24", "2001:db8:9::2/64"], false, false, ["10.0.0.2/24", "2001:db8:9::2/64"]],
    ["--dhcp", [], true, false, []],
    ["--slaac", [], false, true, []],
    ["--dhcp and one of each", ["10.0.0.2/24", "2001:db8:9::2/64"], true, false, ["2001:db8:9::2/64"]],
    ["--slaac and one of each", ["10.0.0.2/24", "2001:db8:9::2/64"], false, true, ["10.0.0.2/24"]],
  ])("%s", (_, given, dhcp, slaac, expected) => {
    expect(texts(stackAddresses(ends(given), { dhcp, slaac }))).toEqual([...expected])
  })
})

describe("the kernel's addresses on an interface that is made for the stack", () => {
  test.each<[string, ReadonlyArray<string>, ReadonlyArray<string>, ReadonlyArray<string>]>([
    ["nothing given: the first of each default network", [], [], ["198.18.0.1/24", "2001:db8::1/64"]],
    ["another network of the stack's: its first", ["10.1.2.130/25"], [], ["10.1.2.129/25"]],
    [
      "the stack has the first: the second",
      ["10.1.2.1/24", "2001:db8:9::1/64"],
      [],
      ["10.1.2.2/24", "2001:db8:9::2/64"],
    ],
    ["a network of two: the other one", ["10.1.2.3/31", "2001:db8::/127"], [], ["10.1.2.2/31", "2001:db8::1/127"]],
    ["one given: that one, of the other version the first", [], ["198.18.0.9"], ["198.18.0.9/24", "2001:db8::1/64"]],
    [
      "given in any order: each in its network",
      ["10.0.0.2/24", "10.0.1.2/24"],
      ["10.0.1.7", "10.0.0.7"],
      ["10.0.0.7/24", "10.0.1.7/24"],
    ],
    ["in no network of the stack's: as it was given", ["10.0.0.2/24"], ["10.9.9.9"], ["10.9.9.9/24"]],
    ["two of the stack's in one network: one of the kernel's", ["10.0.0.2/24", "10.0.0.3/24"], [], ["10.0.0.1/24"]],
  ])("%s", (_, stack, kernel, expected) => {
    expect(texts(kernelAddresses(ends(stack, kernel), true))).toEqual([...expected])
  })

  test("a kernel without IPv6: none that nobody asked for", () => {
    expect(texts(kernelAddresses(ends([]), false))).toEqual(["198.18.0.1/24"])
    expect(texts(kernelAddresses(ends(["2001:db8:9::2/64"]), false))).toEqual(["2001:db8:9::1/64"])
  })
})

test("the options again: what was given, and nothing where nothing was", () => {
  expect(endsArguments(ends(["10.0.0.2/24", "2001:db8:9::2/64"], ["10.0.0.1"]))).toEqual([
    "--address=10.0.0.2/24",
    "--address=2001:db8:9::2/64",
    "--kernel-address=10.0.0.1",
  ])
  expect(endsArguments(ends([]))).toEqual([])
})
