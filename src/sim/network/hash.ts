import { sha256 } from "@noble/hashes/sha2.js"
import { bytesToHex } from "@noble/hashes/utils.js"
import { setU32 } from "../../wire/bytes.ts"
import type { LogEvent, Observer } from "./log.ts"

const TAGS: Readonly<Record<LogEvent["_tag"], number>> = {
  Sent: 1,
  Arrived: 2,
  Lost: 3,
  Marked: 4,
  Happened: 5,
  Thrown: 6,
}

/** SHA-256 (FIPS 180-4) of what it is given piece by piece. */
export interface Digest {
  readonly update: (bytes: Uint8Array) => unknown
  /** Of the octets so far; more may follow. */
  readonly hex: () => string
}

/** In TypeScript, for the rooms that know nothing faster. */
export const portableDigest = (): Digest => {
  const hash = sha256.create()
  return { update: (bytes) => hash.update(bytes), hex: () => bytesToHex(hash.clone().digest()) }
}

/** Different texts of events whose octets are remembered: hosts times reasons. */
const MOST_TEXTS = 4096

/** Tag, time in two words, a number, the lengths of text and octets. */
const HEAD = 24
const CHUNK = 1 << 16

/**
 * SHA-256 over the whole log. An event is six words, big-endian: its tag, the time (high, low), the
 * interface or socket, the lengths of the text and of the octets; then the text (UTF-8: where and why,
 * a space between) and the octets.
 */
export class LogHash {
  private readonly buffer = new Uint8Array(CHUNK)
  private readonly encoder = new TextEncoder()
  private readonly texts = new Map<string, Uint8Array>()
  private filled = 0
  events = 0

  constructor(private readonly hash: Digest = portableDigest()) {}

  readonly observe: Observer = (event) => {
    this.events++
    const words = this.octetsOf(wordsOf(event))
    const octets = "bytes" in event ? event.bytes : undefined
    const length = HEAD + words.length + (octets?.length ?? 0)
    if (this.filled + length > CHUNK) this.drain()
    const { buffer, filled: at } = this
    setU32(buffer, at, TAGS[event._tag])
    setU32(buffer, at + 4, Math.floor(event.at / 2 ** 32))
    setU32(buffer, at + 8, event.at >>> 0)
    setU32(buffer, at + 12, numberOf(event))
    setU32(buffer, at + 16, words.length)
    setU32(buffer, at + 20, octets?.length ?? 0)
    buffer.set(words, at + HEAD)
    // The largest frame, 64 KiB of an IP packet and its link header, does not fit: it goes by itself.
    if (length > CHUNK) {
      this.hash.update(buffer.subarray(0, HEAD + words.length))
      if (octets !== undefined) this.hash.update(octets)
      return
    }
    if (octets !== undefined) buffer.set(octets, at + HEAD + words.length)
    this.filled += length
  }

  /** Of the events so far. */
  digest(): string {
    this.drain()
    return this.hash.hex()
  }

  private octetsOf(text: string): Uint8Array {
    const known = this.texts.get(text)
    if (known !== undefined) return known
    if (this.texts.size >= MOST_TEXTS) this.texts.clear()
    const octets = this.encoder.encode(text)
    this.texts.set(text, octets)
    return octets
  }

  private drain(): void {
    this.hash.update(this.buffer.subarray(0, this.filled))
    this.filled = 0
  }
}

const wordsOf = (event: LogEvent): string => {
  switch (event._tag) {
    case "Sent":
    case "Thrown":
      return `${event.host} ${event.why}`
    case "Arrived":
      return event.host
    case "Lost":
      return `${event.from} ${event.to} ${event.why}`
    case "Marked":
      return `${event.from} ${event.to}`
    case "Happened":
      return `${event.host} ${event.event}`
  }
}

const numberOf = (event: LogEvent): number => {
  switch (event._tag) {
    case "Sent":
    case "Arrived":
      return event.interface
    case "Happened":
      return event.socket
    case "Lost":
    case "Marked":
    case "Thrown":
      return 0
  }
}
