import type { Micros } from "./time.ts"

/** Quantities as people write them, `tc`'s way: "100mbit", "40ms", "1%", "64KiB". undefined: it is none. */

const read = (text: string, units: Readonly<Record<string, number>>): number | undefined => {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z%/]*)$/i.exec(text.trim())
  const unit = units[(match?.[2] ?? "?").toLowerCase()]
  return match === null || unit === undefined ? undefined : Number(match[1]) * unit
}

const K = 1000
const KI = 1024

const RATES = {
  bit: 1,
  kbit: K,
  mbit: K ** 2,
  gbit: K ** 3,
  "bit/s": 1,
  "kbit/s": K,
  "mbit/s": K ** 2,
  "gbit/s": K ** 3,
}
const TIMES = { us: 1, ms: K, s: K ** 2, m: 60 * K ** 2, min: 60 * K ** 2, h: 3600 * K ** 2, d: 86_400 * K ** 2 }
const SIZES = {
  "": 1,
  b: 1,
  k: KI,
  kb: K,
  kib: KI,
  m: KI ** 2,
  mb: K ** 2,
  mib: KI ** 2,
  g: KI ** 3,
  gb: K ** 3,
  gib: KI ** 3,
}
const SHARES = { "": 1, "%": 0.01 }

/** Bits per second. */
export const parseRate = (text: string): number | undefined => read(text, RATES)

export const parseDuration = (text: string): Micros | undefined => {
  if (text.trim() === "0") return 0
  const micros = read(text, TIMES)
  return micros === undefined ? undefined : Math.round(micros)
}

/** Octets. */
export const parseSize = (text: string): number | undefined => {
  const octets = read(text, SIZES)
  return octets === undefined ? undefined : Math.round(octets)
}

/** A probability: "1%" or "0.01". */
export const parseShare = (text: string): number | undefined => {
  const share = read(text, SHARES)
  return share === undefined || share > 1 ? undefined : share
}

const scaled = (value: number, step: number, units: ReadonlyArray<string>): string => {
  let rest = value
  let unit = 0
  while (rest >= step && unit < units.length - 1) {
    rest /= step
    unit++
  }
  return `${Number(rest.toPrecision(4))} ${units[unit]}`
}

export const formatRate = (bitsPerSecond: number): string =>
  scaled(bitsPerSecond, K, ["bit/s", "kbit/s", "Mbit/s", "Gbit/s"])

export const formatDuration = (micros: Micros): string => scaled(micros, K, ["us", "ms", "s"])

export const formatSize = (octets: number): string => scaled(octets, K, ["B", "kB", "MB", "GB"])
