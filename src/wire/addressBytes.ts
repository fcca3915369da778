import { type IpAddress, ipv4, ipv6, type MacAddress } from "./address.ts"
import { getU16, getU32, setU16, setU32 } from "./bytes.ts"

/** Addresses in network order: 6, 4 and 16 octets. */
export const getMac = (bytes: Uint8Array, at: number): MacAddress =>
  (getU16(bytes, at) * 0x1_0000_0000 + getU32(bytes, at + 2)) as MacAddress

export const setMac = (out: Uint8Array, at: number, mac: MacAddress): void => {
  setU16(out, at, Math.floor(mac / 0x1_0000_0000))
  setU32(out, at + 2, mac >>> 0)
}

export const getIpv4 = (bytes: Uint8Array, at: number): IpAddress => ipv4(getU32(bytes, at))

export const setIpv4 = (out: Uint8Array, at: number, address: IpAddress): void => setU32(out, at, address.d)

export const getIpv6 = (bytes: Uint8Array, at: number): IpAddress =>
  ipv6(getU32(bytes, at), getU32(bytes, at + 4), getU32(bytes, at + 8), getU32(bytes, at + 12))

export const setIpv6 = (out: Uint8Array, at: number, address: IpAddress): void => {
  setU32(out, at, address.a)
  setU32(out, at + 4, address.b)
  setU32(out, at + 8, address.c)
  setU32(out, at + 12, address.d)
}
