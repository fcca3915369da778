import { readFileSync } from "node:fs"
import type { InterfaceAddress } from "../host/types.ts"
import { type IpAddress, inPrefix, ipv4, ipv6, networkOf, sameAddress } from "../wire/address.ts"
import { formatAddress, formatCidr } from "../wire/addressText.ts"

/** The addresses of a link's two ends as they were asked for; none of the stack's: the default ones. */
export interface Ends {
  readonly addresses: ReadonlyArray<InterfaceAddress>
  readonly kernelAddresses: ReadonlyArray<IpAddress>
}

/** What the network itself tells the stack, in place of addresses given here. */
export interface FromNetwork {
  /** IPv4, by DHCP. */
  readonly dhcp: boolean
  /** IPv6, by router advertisements. */
  readonly slaac: boolean
}

/** One of each IP version, of networks that nobody routes (RFC 2544, RFC 3849). */
const DEFAULT: ReadonlyArray<InterfaceAddress> = [
  { address: ipv4(0xc6120002), prefixLength: 24 },
  { address: ipv6(0x20010db8, 0, 0, 2), prefixLength: 64 },
]

/** For people: "198.18.0.2/24 and 2001:db8::2/64". */
export const DEFAULT_TEXT = DEFAULT.map(({ address, prefixLength }) =>
  formatCidr({ address, length: prefixLength }),
).join(" and ")

/** The stack's own: those given, where the network does not tell; without any, and an isolated network, the default ones. */
export const stackAddresses = (
  { addresses }: Pick<Ends, "addresses">,
  { dhcp, slaac }: FromNetwork,
): ReadonlyArray<InterfaceAddress> => {
  if (addresses.length === 0) return dhcp || slaac ? [] : DEFAULT
  return addresses.filter(({ address }) => !(address.family === 4 ? dhcp : slaac))
}

/**
 * The kernel's, on an interface that is made here: one in each of the stack's networks, the first of it where
 * none was given.
 */
export const kernelAddresses = (ends: Ends, hasIpv6 = kernelHasIpv6()): ReadonlyArray<InterfaceAddress> => {
  // What nobody has asked for is left out where the kernel could not have it.
  const stack =
    ends.addresses.length > 0 ? ends.addresses : DEFAULT.filter(({ address: { family } }) => family === 4 || hasIpv6)
  const found: Array<InterfaceAddress> = []
  for (const own of stack) {
    const address = kernelsIn(own, ends.kernelAddresses)
    if (!found.some((other) => sameAddress(other.address, address))) found.push({ ...own, address })
  }
  return found
}

/** The kernel's address in a network of the stack's. */
const kernelsIn = ({ address, prefixLength }: InterfaceAddress, given: ReadonlyArray<IpAddress>): IpAddress =>
  given.find((one) => one.family === address.family && inPrefix(one, address, prefixLength)) ??
  given.find(({ family }) => family === address.family) ??
  firstBeside(address, prefixLength)

/** The first address of the network that is not the stack's own. */
const firstBeside = (address: IpAddress, prefixLength: number): IpAddress => {
  const network = networkOf(address, prefixLength)
  // A network of two has no address that stands for itself (RFC 3021, RFC 6164).
  const first = prefixLength >= (address.family === 4 ? 31 : 127) ? network : next(network)
  return sameAddress(first, address) ? next(first) : first
}

const next = (address: IpAddress): IpAddress => ({ ...address, d: (address.d + 1) >>> 0 })

const DISABLED = "/proc/sys/net/ipv6/conf/default/disable_ipv6"

/** Whether an interface that is made here would have IPv6. */
const kernelHasIpv6 = (): boolean => {
  try {
    return readFileSync(DISABLED, "latin1").trim() === "0"
  } catch {
    return false
  }
}

/** "198.18.0.2 and 2001:db8::2" */
export const listed = (addresses: ReadonlyArray<InterfaceAddress>): string =>
  addresses.map(({ address }) => formatAddress(address)).join(" and ")

/** The options again, for a process that is started with the same ones. */
export const endsArguments = ({ addresses, kernelAddresses }: Ends): ReadonlyArray<string> => [
  ...addresses.map(({ address, prefixLength }) => `--address=${formatCidr({ address, length: prefixLength })}`),
  ...kernelAddresses.map((address) => `--kernel-address=${formatAddress(address)}`),
]
