import { type IpAddress, ipv6 } from "../../src/wire/address.ts"
import { getIpv4 } from "../../src/wire/addressBytes.ts"
import { getU8, getU16, getU32, setU16 } from "../../src/wire/bytes.ts"
import { finish, pseudoHeader, sum } from "../../src/wire/checksum.ts"
import type { Random } from "../properties/random.ts"

const ETHERNET = 14
const INTERESTING = [0, 1, 4, 5, 6, 0x0f, 0x10, 0x11, 0x20, 0x2b, 0x2c, 0x3a, 0x3b, 0x3c, 0x40, 0x45, 0x7f, 0x80, 0xff]

/** The frame bent in a few places, cut, lengthened, or crossed with another; most often with its sums made right again. */
export const mutated = (frame: Uint8Array, other: Uint8Array, random: Random): Uint8Array => {
  let out: Uint8Array = frame.slice()
  for (let bends = random.between(1, 4); bends > 0; bends--) {
    // The link header and the version stay whole more often than not, or all would end there.
    const from = random.chance(0.9) ? ETHERNET + 1 : 0
    if (from >= out.length) break
    const at = random.between(from, out.length - 1)
    switch (random.between(0, 3)) {
      case 0:
        out[at] = random.between(0, 255)
        break
      case 1:
        out[at] = getU8(out, at) ^ (1 << random.between(0, 7))
        break
      case 2:
        out[at] = INTERESTING[random.between(0, INTERESTING.length - 1)] ?? 0
        break
      default:
        if (at + 1 < out.length) setU16(out, at, random.between(-2, 2) & 0xffff)
        break
    }
  }
  const shape = random.next()
  if (shape < 0.1) out = out.slice(0, random.between(0, out.length))
  else if (shape < 0.15) out = joined(out, random.octets(random.between(1, 64)))
  else if (shape < 0.2) {
    const at = random.between(0, Math.min(out.length, other.length))
    out = joined(out.subarray(0, at), other.subarray(at))
  }
  if (random.chance(0.8)) mend(out)
  return out
}

const joined = (x: Uint8Array, y: Uint8Array): Uint8Array => {
  const out = new Uint8Array(x.length + y.length)
  out.set(x)
  out.set(y, x.length)
  return out
}

/** Puts the sums of a bent frame right, so that it gets further than the first check. */
export const mend = (frame: Uint8Array): void => {
  const version = getU8(frame, ETHERNET) >>> 4
  if (version === 4) mend4(frame)
  else if (version === 6) mend6(frame)
}

const mend4 = (frame: Uint8Array): void => {
  const headerLength = (getU8(frame, ETHERNET) & 15) * 4
  const at = ETHERNET + headerLength
  if (headerLength < 20 || at > frame.length) return
  setU16(frame, ETHERNET + 10, 0)
  setU16(frame, ETHERNET + 10, finish(sum(frame, ETHERNET, headerLength)))
  const length = Math.min(frame.length - at, Math.max(0, getU16(frame, ETHERNET + 2) - headerLength))
  transport(frame, at, length, getU8(frame, ETHERNET + 9), getIpv4(frame, 26), getIpv4(frame, 30))
}

const mend6 = (frame: Uint8Array): void => {
  const address = (at: number): IpAddress =>
    ipv6(getU32(frame, at), getU32(frame, at + 4), getU32(frame, at + 8), getU32(frame, at + 12))
  let next = getU8(frame, ETHERNET + 6)
  let at = ETHERNET + 40
  const end = Math.min(frame.length, at + getU16(frame, ETHERNET + 4))
  // Hop-by-hop, routing and destination options, as far as they go.
  while ((next === 0 || next === 43 || next === 60) && at + 8 <= end) {
    next = getU8(frame, at)
    at += (getU8(frame, at + 1) + 1) * 8
  }
  if (at < end) transport(frame, at, end - at, next, address(ETHERNET + 8), address(ETHERNET + 24))
}

const SUM_AT: Readonly<Record<number, number>> = { 1: 2, 6: 16, 17: 6, 58: 2 }

const transport = (
  frame: Uint8Array,
  at: number,
  length: number,
  protocol: number,
  source: IpAddress,
  destination: IpAddress,
): void => {
  const field = SUM_AT[protocol]
  if (field === undefined || field + 2 > length) return
  setU16(frame, at + field, 0)
  const pseudo = protocol === 1 ? 0 : pseudoHeader(source, destination, protocol, length)
  setU16(frame, at + field, finish(pseudo + sum(frame, at, length)))
}
