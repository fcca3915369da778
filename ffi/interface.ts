import { check, Errno } from "./errno.ts"
import { flagsOf, ifreq, intOf, ipv4Of, macOf, setFlags, setInt, setIpv4, setMac } from "./ifreq.ts"
import { AF_INET, close, ioctl, SOCK_CLOEXEC, SOCK_DGRAM, socket } from "./libc.ts"
import type { Pinned } from "./memory.ts"

// linux/sockios.h
const SIOCGIFFLAGS = 0x8913
const SIOCSIFFLAGS = 0x8914
const SIOCGIFADDR = 0x8915
const SIOCSIFADDR = 0x8916
const SIOCGIFNETMASK = 0x891b
const SIOCSIFNETMASK = 0x891c
const SIOCGIFMTU = 0x8921
const SIOCSIFMTU = 0x8922
const SIOCSIFHWADDR = 0x8924
const SIOCGIFHWADDR = 0x8927
const SIOCGIFINDEX = 0x8933
const SIOCGIFTXQLEN = 0x8942
const SIOCSIFTXQLEN = 0x8943

/** linux/if.h */
export const IFF_UP = 0x1

/**
 * Interfaces of the kernel, in the network namespace of the calling thread, by ioctl on a throw-away
 * socket. Every function throws SystemError: ENODEV for a name that does not exist, EPERM without
 * CAP_NET_ADMIN for those that change something.
 */
const onInterface = (call: string, request: number, argument: Pinned): Pinned => {
  const fd = check("socket", socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0))
  const result = ioctl(fd, request, argument)
  close(fd)
  check(call, result)
  return argument
}

/** The interface's index, or undefined when there is no such interface. */
export const interfaceIndex = (name: string): number | undefined => {
  const fd = check("socket", socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0))
  const request = ifreq(name)
  const result = ioctl(fd, SIOCGIFINDEX, request)
  close(fd)
  if (result === -Errno.ENODEV) return undefined
  check("SIOCGIFINDEX", result)
  return intOf(request)
}

/** IFF_* bits. */
export const interfaceFlags = (name: string): number => flagsOf(onInterface("SIOCGIFFLAGS", SIOCGIFFLAGS, ifreq(name)))

/** Administratively up; already up is fine. */
export const bringUp = (name: string): void => {
  const request = ifreq(name)
  setFlags(request, interfaceFlags(name) | IFF_UP)
  onInterface("SIOCSIFFLAGS", SIOCSIFFLAGS, request)
}

/** Octets of IP packet that one frame holds. */
export const interfaceMtu = (name: string): number => intOf(onInterface("SIOCGIFMTU", SIOCGIFMTU, ifreq(name)))

export const setInterfaceMtu = (name: string, mtu: number): void => {
  const request = ifreq(name)
  setInt(request, mtu)
  onInterface("SIOCSIFMTU", SIOCSIFMTU, request)
}

/** Packets that wait for the device at most; of a TAP, that wait to be read. */
export const interfaceQueueLength = (name: string): number =>
  intOf(onInterface("SIOCGIFTXQLEN", SIOCGIFTXQLEN, ifreq(name)))

export const setInterfaceQueueLength = (name: string, packets: number): void => {
  const request = ifreq(name)
  setInt(request, packets)
  onInterface("SIOCSIFTXQLEN", SIOCSIFTXQLEN, request)
}

/** The kernel's own Ethernet address on the interface, 48 bits as one number. */
export const interfaceMac = (name: string): number => macOf(onInterface("SIOCGIFHWADDR", SIOCGIFHWADDR, ifreq(name)))

export const setInterfaceMac = (name: string, mac: number): void => {
  const request = ifreq(name)
  setMac(request, mac)
  onInterface("SIOCSIFHWADDR", SIOCSIFHWADDR, request)
}

export interface InterfaceAddress4 {
  /** Most significant octet first, as one number. */
  readonly word: number
  readonly prefixLength: number
}

/** The interface's first IPv4 address. Throws EADDRNOTAVAIL when it has none. */
export const interfaceAddress4 = (name: string): InterfaceAddress4 => {
  const word = ipv4Of(onInterface("SIOCGIFADDR", SIOCGIFADDR, ifreq(name)))
  const mask = ipv4Of(onInterface("SIOCGIFNETMASK", SIOCGIFNETMASK, ifreq(name)))
  return { word, prefixLength: Math.clz32(~mask) }
}

/** Gives the interface its first IPv4 address; the kernel adds the route to the prefix once it is up. */
export const setInterfaceAddress4 = (name: string, { word, prefixLength }: InterfaceAddress4): void => {
  const address = ifreq(name)
  setIpv4(address, word)
  onInterface("SIOCSIFADDR", SIOCSIFADDR, address)
  const mask = ifreq(name)
  setIpv4(mask, prefixLength === 0 ? 0 : (-1 << (32 - prefixLength)) >>> 0)
  onInterface("SIOCSIFNETMASK", SIOCSIFNETMASK, mask)
}
