import { pinned } from "../../ffi/memory.ts"
import { type Device, NO_OFFLOAD } from "../../src/device/device.ts"
import type { MacAddress } from "../../src/wire/address.ts"
import { writeEthernet } from "../../src/wire/ethernet.ts"
import type { Case } from "../measure.ts"

/** IEEE 802 local experimental EtherType: a kernel receives it and has nobody to give it to. */
export const EXPERIMENTAL = 0x88b5
/** Frames of one timed stretch; a TAP's queue holds 1000, a netmap ring 1023 slots. */
export const FRAMES = 256
/** Frame sizes and the MTU of the device that carries them. */
export const SIZES = [
  [64, 1500],
  [576, 1500],
  [1514, 1500],
  [9014, 9000],
  [65535, 65521],
] as const
/** Frames between two flushes, for the sizes that most frames have. */
export const BATCHES = [1, 16] as const
/** Stretches over which garbage is measured: an octet a frame would show, and the least object has sixteen. */
const GARBAGE_RUNS = 64

export const frameFor = (destination: number, source: number, length: number): Uint8Array => {
  const frame = pinned(length).bytes.fill(0x61)
  writeEthernet(frame, 0, {
    destination: destination as MacAddress,
    source: source as MacAddress,
    etherType: EXPERIMENTAL,
  })
  return frame
}

/** Transmits `count` frames, flushed after every `batch`; throws when some were refused. */
export const transmit = (device: Device, frame: Uint8Array, count: number, batch: number): void => {
  const before = device.counters.txPackets
  for (let sent = 0; sent < count; sent++) {
    device.reserve(frame.length)?.set(frame)
    device.commit(frame.length, NO_OFFLOAD)
    if ((sent + 1) % batch === 0) device.flush()
  }
  device.flush()
  if (device.counters.txPackets - before !== count) throw new Error(`${device.name}: frames were refused`)
}

let octets = 0
const look = (frame: { readonly length: number }): void => {
  octets += frame.length
}

/** Looks for a frame so often before it is taken for lost: on a busy machine, a kernel may answer a little later. */
const PATIENCE = 100_000

/** Receives `count` frames of `length` octets or more by `batch`; throws when they do not come, or not whole. */
export const receive = (device: Device, count: number, batch: number, length: number): number => {
  octets = 0
  let frames = 0
  for (let tries = 0; frames < count && tries < PATIENCE; tries++) frames += device.receive(look, batch)
  if (frames < count || octets < frames * length) {
    throw new Error(`${device.name}: ${frames} of ${count} frames of ${length} octets came, with ${octets} octets`)
  }
  return frames
}

/** Throws away what waits. */
export const drain = (device: Device): void => {
  while (device.receive(look, FRAMES) > 0);
}

const named = (line: string, what: string, length: number, batch: number): string =>
  `${line}: ${what} ${length} octets${batch === FRAMES ? "" : `, ${batch} at once`}`

/** What every row of the table is made of: full batches are the plot's points. */
export const row = (
  line: string,
  chart: string,
  length: number,
  batch: number,
): Pick<Case, "name" | "per" | "octets" | "garbage" | "point"> => ({
  name: named(line, chart, length, batch),
  per: "frame",
  octets: length,
  // Longer ones take the same way.
  garbage: batch === FRAMES && length <= 1514 && chart !== "round trip" ? GARBAGE_RUNS : false,
  ...(batch === FRAMES ? { point: { chart, line, at: length } } : {}),
})

/** Batches for a size: all of them where frames are of the sizes that most are. */
export const batchesFor = (length: number): ReadonlyArray<number> =>
  length === 64 || length === 1514 ? [...BATCHES, FRAMES] : [FRAMES]
