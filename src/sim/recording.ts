import { bytesToHex, hexToBytes } from "@noble/hashes/utils.js"
import { makeHost } from "../host/host.ts"
import type { HostApi, HostConfig } from "../host/types.ts"
import { configProblem, isConfig } from "./recordedConfig.ts"
import { type Recorded, recorded } from "./replay.ts"

/**
 * A recording as text: a line of JSON that says what it is and how the host was configured, then one
 * line for each call. Octets are {"$octets": hex}, what JSON has no number for is {"$number": name}, and an
 * argument that was left out is {"$undefined": true}, which JSON would make null.
 */
export interface Recording {
  readonly config: HostConfig
  readonly steps: ReadonlyArray<Recorded>
}

const FORMAT = "netfold recording"
const VERSION = 1

/** Records one host: give `makeHost` to whoever makes it. */
export class Recorder {
  private readonly lines: Array<string> = []

  readonly makeHost = (config: HostConfig): HostApi => {
    this.lines.push(toLine({ format: FORMAT, version: VERSION, config }))
    return recorded(makeHost(config), (step) => this.lines.push(toLine(step)))
  }

  text(): string {
    return `${this.lines.join("\n")}\n`
  }
}

/** A string: what is wrong with the text. */
export const readRecording = (text: string): Recording | string => {
  const [first = "", ...rest] = text.split("\n").filter((line) => line !== "")
  const head = fromLine(first)
  if (!isRecord(head) || head["format"] !== FORMAT) return "this is no recording of a host"
  if (head["version"] !== VERSION) return `its version is ${String(head["version"])}, and not ${VERSION}`
  const config = head["config"]
  if (!isConfig(config)) return `line 1: ${configProblem(config)}`
  const steps: Array<Recorded> = []
  for (const [index, line] of rest.entries()) {
    const step = fromLine(line)
    if (!isStep(step)) return `line ${index + 2}: no call of a host`
    steps.push(step)
  }
  return { config, steps }
}

/** A method of a host or of its datagram sockets; one that it does not have, `replay` throws at. */
const CALL = /^(?:(?:udp|echo)\.)?([a-z][A-Za-z]*)$/

const isCall = (name: unknown): boolean => {
  const method = typeof name === "string" ? CALL.exec(name)?.[1] : undefined
  // What every object has is no call.
  return method !== undefined && !(method in {})
}

const isStep = (step: unknown): step is Recorded => {
  if (!isRecord(step)) return false
  switch (step["call"]) {
    case "frame":
      return (
        typeof step["interface"] === "number" &&
        step["bytes"] instanceof Uint8Array &&
        typeof step["vouched"] === "boolean" &&
        typeof step["now"] === "number"
      )
    case "take":
      return Array.isArray(step["effects"]) && step["effects"].every((effect) => typeof effect === "string")
    default:
      return isCall(step["call"]) && Array.isArray(step["arguments"]) && typeof step["result"] === "string"
  }
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const toLine = (value: unknown): string =>
  JSON.stringify(value, (_, part: unknown) => {
    if (Array.isArray(part)) return part.map((each: unknown) => (each === undefined ? { $undefined: true } : each))
    if (part instanceof Uint8Array) return { $octets: bytesToHex(part) }
    return typeof part === "number" && !Number.isFinite(part) ? { $number: String(part) } : part
  })

/** Undefined: no JSON. */
const fromLine = (line: string): unknown => {
  try {
    return JSON.parse(line, (_, part: unknown) => {
      if (!isRecord(part)) return part
      // A place in an array that the reviver empties reads as undefined.
      if (part["$undefined"] === true) return undefined
      if (typeof part["$octets"] === "string") return hexToBytes(part["$octets"])
      return typeof part["$number"] === "string" ? Number(part["$number"]) : part
    })
  } catch {
    return undefined
  }
}
