import * as dns from "dns-packet"
import type { IpAddress } from "../../wire/address.ts"
import { parseAddress } from "../../wire/addressText.ts"

/** What is asked for: addresses of one family. */
export type RecordType = "A" | "AAAA"

/** What a server said about a name. Times in seconds. */
export type Answer =
  | { readonly _tag: "Addresses"; readonly addresses: ReadonlyArray<IpAddress>; readonly ttl: number }
  /** The name stands for another one, about which the message says nothing. */
  | { readonly _tag: "Alias"; readonly name: string; readonly ttl: number }
  /** There is no such name, or it has no such addresses; for how long that may be believed (RFC 2308 section 5). */
  | { readonly _tag: "Nothing"; readonly name: boolean; readonly ttl: number }
  /** The answer did not fit: ask by TCP (RFC 1035 section 4.2.1). */
  | { readonly _tag: "Truncated" }
  /** The server cannot or will not say: ask another. */
  | { readonly _tag: "Failed"; readonly why: string }

/** Octets that we take in one datagram (RFC 6891 section 6.2.5, DNS flag day 2020). */
const UDP_PAYLOAD = 1232
/** RFC 2308 section 5: no more than three hours; a minute where there is no SOA. */
const LONGEST_NOTHING = 10_800
const NOTHING_TTL = 60
/** RFC 1034 section 5.2.2: aliases within one message. */
const MOST_ALIASES = 8

export const question = (id: number, name: string, type: RecordType): Uint8Array =>
  dns.encode({
    type: "query",
    id,
    flags: dns.RECURSION_DESIRED,
    questions: [{ type, name, class: "IN" }],
    additionals: [
      {
        type: "OPT",
        name: ".",
        udpPayloadSize: UDP_PAYLOAD,
        extendedRcode: 0,
        ednsVersion: 0,
        flags: 0,
        flag_do: false,
        options: [],
      },
    ],
  })

/** Undefined: not an answer to this question, and to be passed over (RFC 5452 section 9.1). */
export const read = (bytes: Uint8Array, id: number, name: string, type: RecordType): Answer | undefined => {
  const message = decoded(bytes)
  if (message === undefined || message.type !== "response" || message.id !== id) return undefined
  const asked = message.questions?.[0]
  if (asked === undefined || asked.type !== type || !sameName(asked.name, name)) return undefined
  if (message.flag_tc) return { _tag: "Truncated" }
  const nameError = message.rcode === "NXDOMAIN"
  if (message.rcode !== "NOERROR" && !nameError) return { _tag: "Failed", why: `RFC1035-4.1.1:${message.rcode}` }
  return followed(message, name, type, nameError)
}

type Message = dns.DecodedPacket & { readonly rcode: string }

const decoded = (bytes: Uint8Array): Message | undefined => {
  try {
    const packet = dns.decode(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))
    // The library fills it in; its types leave it out.
    return "rcode" in packet && typeof packet.rcode === "string" ? { ...packet, rcode: packet.rcode } : undefined
  } catch {
    return undefined
  }
}

/** Along the aliases that the message itself resolves, to the addresses at their end. */
const followed = (message: Message, asked: string, type: RecordType, nameError: boolean): Answer => {
  const answers = message.answers ?? []
  let name = asked
  let ttl = Number.POSITIVE_INFINITY
  for (let hops = 0; hops < MOST_ALIASES; hops++) {
    const found: Array<IpAddress> = []
    for (const record of answers) {
      if (record.type !== type || !sameName(record.name, name)) continue
      const address = parseAddress(record.data)
      if (address === undefined) continue
      found.push(address)
      ttl = Math.min(ttl, record.ttl ?? 0)
    }
    if (found.length > 0) return { _tag: "Addresses", addresses: found, ttl }
    const alias = answers.find((record) => record.type === "CNAME" && sameName(record.name, name))
    if (alias?.type !== "CNAME") break
    name = alias.data
    ttl = Math.min(ttl, alias.ttl ?? 0)
  }
  return nameError || sameName(name, asked) || saysNothing(message)
    ? { _tag: "Nothing", name: nameError, ttl: Math.min(ttl, nothingTtl(message)) }
    : { _tag: "Alias", name, ttl }
}

/** An SOA and no addresses: the end of the aliases is known to have none. */
const saysNothing = (message: Message): boolean => (message.authorities ?? []).some(({ type }) => type === "SOA")

const nothingTtl = (message: Message): number => {
  for (const record of message.authorities ?? []) {
    if (record.type === "SOA") return Math.min(record.ttl ?? 0, record.data.minimum ?? 0, LONGEST_NOTHING)
  }
  return NOTHING_TTL
}

const sameName = (x: string, y: string): boolean => bareName(x) === bareName(y)

/** Case does not count, nor does the root's dot (RFC 1035 section 2.3.3). */
export const bareName = (name: string): string => name.toLowerCase().replace(/\.$/, "")
