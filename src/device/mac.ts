import type { MacAddress } from "../wire/address.ts"

const LOCALLY_ADMINISTERED = 0x02
const MAC_LIMIT = 2 ** 48

/** A number known to be 48 bits. */
export const checkedMac = (value: number): MacAddress => {
  if (!Number.isInteger(value) || value < 0 || value >= MAC_LIMIT) throw new RangeError(`no MAC address: ${value}`)
  return value as MacAddress
}

/** 02 and five random octets: locally administered (IEEE 802 section 8.4), unicast. */
export const randomMac = (): MacAddress => {
  const octets = crypto.getRandomValues(new Uint8Array(5))
  return checkedMac(octets.reduce((mac, octet) => mac * 256 + octet, LOCALLY_ADMINISTERED))
}

/** The lowest bit of the first octet (IEEE 802). */
export const isGroupMac = (mac: MacAddress): boolean => Math.floor(mac / 2 ** 40) % 2 === 1
