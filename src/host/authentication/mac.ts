import { cmac } from "@noble/ciphers/aes.js"
import { hmac } from "@noble/hashes/hmac.js"
import { md5, sha1 } from "@noble/hashes/legacy.js"
import type { AoAlgorithm, AoKey } from "../../tcp/authentication/keys.ts"
import { aoHead, md5Head, type Octets, payloadOf } from "../../tcp/authentication/octets.ts"
import type { Seq } from "../../tcp/seq.ts"
import type { Endpoint } from "../../wire/address.ts"
import { setIpv4, setIpv6 } from "../../wire/addressBytes.ts"
import { setU16, setU32 } from "../../wire/bytes.ts"

/** RFC 2385 section 2.0. */
export const md5Digest = (octets: Octets, key: Uint8Array): Uint8Array =>
  md5.create().update(md5Head(octets)).update(payloadOf(octets)).update(key).digest()

/** RFC 5925 section 5.1 and RFC 5926 section 3.2: the whole MAC, to be cut to the length on the wire. */
export const aoMac = (
  octets: Octets,
  ao: number,
  sne: number,
  coverOptions: boolean,
  algorithm: AoAlgorithm,
  trafficKey: Uint8Array,
): Uint8Array => {
  const mac = algorithm === "sha1" ? hmac.create(sha1, trafficKey) : cmac.create(trafficKey)
  return mac
    .update(aoHead(octets, ao, sne, coverOptions))
    .update(payloadOf(octets))
    .digest()
}

/** Who speaks to whom: a traffic key is for one direction (RFC 5925 section 5.2). */
export interface Direction {
  readonly source: Endpoint
  readonly destination: Endpoint
  readonly sourceIsn: Seq
  /** 0 for a SYN, which does not know it. */
  readonly destinationIsn: Seq
}

/** RFC 5926 section 3.1: one round of the key derivation function is all that either algorithm needs. */
export const trafficKeyOf = ({ algorithm, key }: AoKey, direction: Direction): Uint8Array =>
  algorithm === "sha1" ? hmac(sha1, key, kdfInput(direction, 160)) : cmac(kdfInput(direction, 128), aesKey(key))

/** RFC 5926 section 3.1.1.2: a master key that is no AES key is made one. */
const aesKey = (key: Uint8Array): Uint8Array => (key.length === AES_KEY ? key : cmac(key, new Uint8Array(AES_KEY)))

const AES_KEY = 16
const LABEL = Uint8Array.from("TCP-AO", (character) => character.charCodeAt(0))

/** i || Label || Context || Output_Length (RFC 5926 section 3.1.1). */
const kdfInput = ({ source, destination, sourceIsn, destinationIsn }: Direction, bits: number): Uint8Array => {
  const [address, set] = source.address.family === 4 ? ([4, setIpv4] as const) : ([16, setIpv6] as const)
  const ports = 1 + LABEL.length + 2 * address
  const input = new Uint8Array(ports + 4 + 8 + 2)
  input[0] = 1
  input.set(LABEL, 1)
  set(input, ports - 2 * address, source.address)
  set(input, ports - address, destination.address)
  setU16(input, ports, source.port)
  setU16(input, ports + 2, destination.port)
  setU32(input, ports + 4, sourceIsn)
  setU32(input, ports + 8, destinationIsn)
  setU16(input, ports + 12, bits)
  return input
}

/** Whether the first octets of `digest` stand in `bytes` at `at`; takes as long whatever they are. */
export const matches = (digest: Uint8Array, length: number, bytes: Uint8Array, at: number): boolean => {
  let difference = 0
  for (let i = 0; i < length; i++) difference |= (digest[i] ?? 0) ^ (bytes[at + i] ?? 0)
  return difference === 0
}
