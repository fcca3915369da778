import { type Pinned, pinned } from "./memory.ts"

/**
 * struct ifreq (linux/if.h) on 64-bit machines: a name, then a union of which each request uses one member.
 * Numbers are in the machine's order, which is little-endian wherever Bun runs; addresses in network order.
 */
export const IFREQ_SIZE = 40
/** With the NUL that ends it. */
export const IFNAMSIZ = 16
const UNION = IFNAMSIZ

const AF_INET = 2
/** linux/if_arp.h */
const ARPHRD_ETHER = 1

/** A zeroed ifreq about the interface `name`, which must have passed `nameProblem`. */
export const ifreq = (name: string): Pinned => {
  const request = pinned(IFREQ_SIZE)
  new TextEncoder().encodeInto(name, request.bytes.subarray(0, IFNAMSIZ - 1))
  return request
}

/** ifr_name. */
export const nameOf = (request: Pinned): string => {
  const end = request.bytes.indexOf(0)
  return new TextDecoder().decode(request.bytes.subarray(0, Math.min(end, IFNAMSIZ)))
}

/** ifr_flags. */
export const flagsOf = (request: Pinned): number => request.view.getUint16(UNION, true)
export const setFlags = (request: Pinned, flags: number): void => request.view.setUint16(UNION, flags, true)

/** ifr_mtu and ifr_ifindex: an int each. */
export const intOf = (request: Pinned): number => request.view.getInt32(UNION, true)
export const setInt = (request: Pinned, value: number): void => request.view.setInt32(UNION, value, true)

/** ifr_addr and ifr_netmask as a sockaddr_in: the address is one number, most significant octet first. */
export const ipv4Of = (request: Pinned): number => request.view.getUint32(UNION + 4, false)
export const setIpv4 = (request: Pinned, word: number): void => {
  request.view.setUint16(UNION, AF_INET, true)
  request.view.setUint32(UNION + 4, word, false)
}

/** ifr_hwaddr: 48 bits as one number, most significant octet first. */
export const macOf = (request: Pinned): number =>
  request.view.getUint16(UNION + 2, false) * 2 ** 32 + request.view.getUint32(UNION + 4, false)
export const setMac = (request: Pinned, mac: number): void => {
  request.view.setUint16(UNION, ARPHRD_ETHER, true)
  request.view.setUint16(UNION + 2, Math.floor(mac / 2 ** 32), false)
  request.view.setUint32(UNION + 4, mac >>> 0, false)
}

/**
 * What is wrong with an interface name, or undefined. The kernel's rule (dev_valid_name), with `%d` allowed
 * once: it asks the kernel to put the first free number there.
 */
export const nameProblem = (name: string): string | undefined => {
  const octets = new TextEncoder().encode(name).length
  if (octets === 0) return "is empty"
  if (octets >= IFNAMSIZ) return `is ${octets} octets long, and an interface name has at most ${IFNAMSIZ - 1}`
  if (name === "." || name === "..") return "is not a name"
  if (/[\s/:\0]/.test(name)) return "has a blank, a slash or a colon in it"
  if (name.replace("%d", "").includes("%")) return "has a % other than one %d in it"
  return undefined
}
