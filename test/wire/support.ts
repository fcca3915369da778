import fc from "fast-check"
import { type IpAddress, ipv4, ipv6, type MacAddress } from "../../src/wire/address.ts"
import { parseAddress, parseMac } from "../../src/wire/addressText.ts"
import { NO_OPTIONS, type Segment, type TcpOptions } from "../../src/wire/tcpSegment.ts"

export const hex = (text: string): Uint8Array =>
  Uint8Array.from(text.replaceAll(/\s/g, "").match(/../g) ?? [], (pair) => Number.parseInt(pair, 16))

export const toHex = (bytes: Uint8Array): string => [...bytes].map((b) => b.toString(16).padStart(2, "0")).join("")

/** The frame at an odd place of a larger buffer, so that no codec may count from 0. */
export const displaced = (bytes: Uint8Array, by = 3): { bytes: Uint8Array; offset: number; length: number } => {
  const larger = new Uint8Array(bytes.length + by + 5).fill(0xa5)
  larger.set(bytes, by)
  return { bytes: larger, offset: by, length: bytes.length }
}

/** What an encoder wrote, at an odd place; fails when it wrote outside. */
export const written = (encode: (out: Uint8Array, offset: number) => number, capacity = 70_000): Uint8Array => {
  const out = new Uint8Array(capacity).fill(0xa5)
  const length = encode(out, 3)
  const outside = [...out.subarray(0, 3), ...out.subarray(3 + length, 3 + length + 64)]
  if (outside.some((octet) => octet !== 0xa5)) throw new Error("wrote outside of what it reported")
  return out.slice(3, 3 + length)
}

export const ip = (text: string): IpAddress => {
  const address = parseAddress(text)
  if (address === undefined) throw new Error(`not an address: ${text}`)
  return address
}

export const mac = (text: string): MacAddress => {
  const address = parseMac(text)
  if (address === undefined) throw new Error(`not an address: ${text}`)
  return address
}

export const u8 = fc.integer({ min: 0, max: 0xff })
export const u16 = fc.integer({ min: 0, max: 0xffff })
export const u32 = fc.integer({ min: 0, max: 0xffff_ffff })
export const anyMac = fc.integer({ min: 0, max: 0xffff_ffff_ffff }).map((n) => n as MacAddress)
export const anyIpv4 = u32.map(ipv4)
/** Zeros often, for the sake of "::". */
const word = fc.oneof(u32, fc.constant(0), fc.constantFrom(1, 0xffff, 0x10000, 0xffff0000))
export const anyIpv6 = fc.tuple(word, word, word, word).map(([a, b, c, d]) => ipv6(a, b, c, d))
export const octets = (maxLength: number, minLength = 0) => fc.uint8Array({ minLength, maxLength })

export const options = (some: Partial<TcpOptions>): TcpOptions => ({ ...NO_OPTIONS, ...some })
export const segment = (some: Partial<Segment>): Segment => ({
  seq: 0,
  ack: 0,
  flags: 0,
  wnd: 0,
  up: 0,
  options: NO_OPTIONS,
  payload: new Uint8Array(0),
  ...some,
})

/** `valid` cut short, or with some octets overwritten. */
export const damaged = (valid: ReadonlyArray<Uint8Array>): fc.Arbitrary<Uint8Array> =>
  fc
    .record({
      bytes: fc.constantFrom(...valid),
      keep: fc.double({ min: 0, max: 1, noNaN: true }),
      writes: fc.array(fc.tuple(fc.nat(), u8), { maxLength: 6 }),
    })
    .map(({ bytes, keep, writes }) => {
      const out = bytes.slice(0, Math.ceil(bytes.length * keep))
      for (const [at, value] of writes) if (out.length > 0) out[at % out.length] = value
      return out
    })

/**
 * Frames that Linux 6.x sent into a TAP device without offload: checksums, option order and all
 * are its own.
 */
export const LINUX = {
  synIpv4: hex(`020000000002 020000000001 0800
    4500003cebbe40004006b4d5c6120701c6120702
    e8720007c75412f700000000a002faf038af0000020405b40402080a9a6a1d05000000000103030a`),
  synIpv6: hex(`020000000002 020000000001 86dd
    600404010028064020010db800070000000000000000000120010db8000700000000000000000002
    c2e00007cf05bec900000000a002fd209da90000020405a00402080abed2423a000000000103030a`),
  synWithoutTimestamps: hex(`020000000002 020000000001 0800
    450000348a35400040061667c6120701c6120702
    e874000706bc870d000000008002faf063b00000020405b4010104020103030a`),
  udpIpv4: hex(`020000000002 020000000001 0800
    450000233ac44000401165dec6120701c6120702
    c9680007000fe5ff6e6574666f6c64`),
  udpIpv6: hex(`020000000002 020000000001 86dd
    600aa71d000f114020010db800070000000000000000000120010db8000700000000000000000002
    89c10007000f644c6e6574666f6c64`),
  ping: hex(`020000000002 020000000001 0800
    45000025218240004001 7f2e c6120701c6120702
    0800c7f51bf90001000102030405060708`),
  arpRequest: hex(`ffffffffffff 020000000001 0806
    0001080006040001020000000001c6120701000000000000c612074d`),
  portUnreachable: hex(`020000000002 020000000001 0800
    45c0003a218300004001be58c6120701c6120702
    0303754800000000
    4500001e000100004011e0a6c6120702c61207010fa00fa1000a00006869`),
} as const
