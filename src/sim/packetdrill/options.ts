import type { Numbered, OptionSpec, SackSpec } from "./ast.ts"

/** Kinds of TCP options, as the runner writes and reads them: apart from the stack's own codec, to check it. */
const EOL = 0
const NOP = 1
const MSS = 2
const WSCALE = 3
const SACK_OK = 4
const SACK = 5
const TIMESTAMPS = 8
const MD5 = 19
const MD5_DIGEST = 16
const FAST_OPEN = 34
const EXPERIMENT = 254
/** RFC 7413 section 4.1.1: the experimental form's magic. */
const FAST_OPEN_MAGIC = [0xf9, 0x89]

/** Turns the numbers of an option into wire numbers. */
export interface Numbering {
  readonly sack: (edge: Numbered) => number
  readonly val: (val: Numbered) => number
  readonly ecr: (ecr: Numbered) => number
  readonly cookie: (cookie: Uint8Array) => Uint8Array
}

/** Options in the order given, padded with EOL to whole words, as packetdrill does. */
export const encodeOptions = (options: ReadonlyArray<OptionSpec>, numbering: Numbering): Uint8Array => {
  const octets = options.flatMap((option) => encodeOption(option, numbering))
  while (octets.length % 4 !== 0) octets.push(EOL)
  return Uint8Array.from(octets)
}

const encodeOption = (option: OptionSpec, numbering: Numbering): ReadonlyArray<number> => {
  switch (option._tag) {
    case "nop":
      return [NOP]
    case "eol":
      return [EOL]
    case "mss":
      return [MSS, 4, option.value >>> 8, option.value & 0xff]
    case "wscale":
      return [WSCALE, 3, option.shift]
    case "sackOK":
      return [SACK_OK, 2]
    case "sack": {
      const edges = option.blocks.flatMap(({ left, right }) => [left, right].flatMap((e) => word(numbering.sack(e))))
      return [SACK, 2 + edges.length, ...edges]
    }
    case "ts":
      return [TIMESTAMPS, 10, ...word(numbering.val(option.val)), ...word(numbering.ecr(option.ecr))]
    case "fastOpen": {
      const cookie = option.cookie === "any" ? [] : [...numbering.cookie(option.cookie)]
      return option.experimental
        ? [EXPERIMENT, 4 + cookie.length, ...FAST_OPEN_MAGIC, ...cookie]
        : [FAST_OPEN, 2 + cookie.length, ...cookie]
    }
    case "md5": {
      // The right one is put in when the segment is whole.
      const digest = typeof option.digest === "string" ? new Uint8Array(MD5_DIGEST) : option.digest
      return [MD5, 2 + digest.length, ...digest]
    }
    case "raw":
      return [option.kind, 2 + option.data.length, ...option.data]
  }
}

const word = (value: number): ReadonlyArray<number> => [
  (value >>> 24) & 0xff,
  (value >>> 16) & 0xff,
  (value >>> 8) & 0xff,
  value & 0xff,
]

/** Every option of a header in wire order, padding included; what has a wrong length is "raw". */
export const decodeOptions = (bytes: Uint8Array): ReadonlyArray<OptionSpec> => {
  const options: Array<OptionSpec> = []
  for (let at = 0; at < bytes.length; ) {
    const kind = bytes[at] ?? EOL
    if (kind === EOL || kind === NOP) {
      options.push({ _tag: kind === EOL ? "eol" : "nop" })
      at++
      continue
    }
    const length = bytes[at + 1] ?? 0
    if (length < 2 || at + length > bytes.length) {
      options.push({ _tag: "raw", kind, data: bytes.slice(at + 1) })
      break
    }
    options.push(decodeOption(kind, bytes.slice(at + 2, at + length)))
    at += length
  }
  return options
}

const decodeOption = (kind: number, data: Uint8Array): OptionSpec => {
  const { length } = data
  if (kind === MSS && length === 2) return { _tag: "mss", value: (data[0] ?? 0) * 256 + (data[1] ?? 0) }
  if (kind === WSCALE && length === 1) return { _tag: "wscale", shift: data[0] ?? 0 }
  if (kind === SACK_OK && length === 0) return { _tag: "sackOK" }
  if (kind === SACK && length % 8 === 0) return { _tag: "sack", blocks: decodeBlocks(data) }
  if (kind === TIMESTAMPS && length === 8) return { _tag: "ts", val: numberAt(data, 0), ecr: numberAt(data, 4) }
  if (kind === MD5 && length === MD5_DIGEST) return { _tag: "md5", digest: data }
  if (kind === FAST_OPEN) return { _tag: "fastOpen", experimental: false, cookie: data }
  if (kind === EXPERIMENT && data[0] === FAST_OPEN_MAGIC[0] && data[1] === FAST_OPEN_MAGIC[1]) {
    return { _tag: "fastOpen", experimental: true, cookie: data.slice(2) }
  }
  return { _tag: "raw", kind, data }
}

const decodeBlocks = (data: Uint8Array): ReadonlyArray<SackSpec> => {
  const blocks: Array<SackSpec> = []
  for (let at = 0; at < data.length; at += 8) blocks.push({ left: numberAt(data, at), right: numberAt(data, at + 4) })
  return blocks
}

const numberAt = (data: Uint8Array, at: number): Numbered => ({
  kind: "absolute",
  value: new DataView(data.buffer, data.byteOffset, data.length).getUint32(at),
})

/** As scripts write it. */
export const formatOptions = (options: ReadonlyArray<OptionSpec> | "any"): string => {
  if (options === "any") return "<...>"
  return options.length === 0 ? "" : `<${options.map(formatOption).join(",")}>`
}

const formatOption = (option: OptionSpec): string => {
  switch (option._tag) {
    case "nop":
    case "eol":
    case "sackOK":
      return option._tag
    case "mss":
      return `mss ${option.value}`
    case "wscale":
      return `wscale ${option.shift}`
    case "sack":
      return ["sack", ...option.blocks.map((b) => `${formatNumbered(b.left)}:${formatNumbered(b.right)}`)].join(" ")
    case "ts":
      return `TS val ${formatNumbered(option.val)} ecr ${formatNumbered(option.ecr)}`
    case "fastOpen":
      return `${option.experimental ? "FOEXP" : "FO"} ${option.cookie === "any" ? "..." : option.cookie.toHex()}`.trim()
    case "md5":
      return `md5 ${typeof option.digest !== "string" ? option.digest.toHex() : option.digest === "any" ? "..." : "valid"}`
    case "raw":
      return `kind ${option.kind} ${option.data.toHex()}`.trim()
  }
}

/** As scripts write it. */
export const formatNumbered = ({ kind, value }: Numbered): string =>
  kind === "any" ? "..." : kind === "absolute" ? `!${value}` : String(value)
