import type { Device, Offload, ReceivedFrame } from "../../src/device/device.ts"

/** A frame that is on its way: the test's own copy. */
export interface Passing {
  readonly bytes: Uint8Array
  readonly checksumVouched: boolean
  readonly segmentSize: number
}

export interface Sieve {
  /** What a batch from the kernel becomes: frames left out, doubled, or in another order. */
  readonly received?: (batch: ReadonlyArray<Passing>) => ReadonlyArray<Passing>
  /** Whether a frame of the stack's is let through. */
  readonly sent?: (frame: Uint8Array) => boolean
}

/** A device behind a sieve, which may change its mind at any time. */
export const sieved = (device: Device, sieve: Sieve): Device => {
  let reserved: Uint8Array | undefined
  const commit = (length: number, offload: Offload): void => {
    if (sieve.sent?.(reserved?.subarray(0, length) ?? new Uint8Array(0)) !== false) device.commit(length, offload)
  }
  const receive = (visit: (frame: ReceivedFrame) => void, budget: number): number => {
    const batch: Array<Passing> = []
    const n = device.receive(({ bytes, offset, length, checksumVouched, segmentSize }) => {
      batch.push({ bytes: bytes.slice(offset, offset + length), checksumVouched, segmentSize })
    }, budget)
    for (const { bytes, ...rest } of sieve.received?.(batch) ?? batch) {
      visit({ bytes, offset: 0, length: bytes.length, ...rest })
    }
    return n
  }
  return {
    name: device.name,
    mac: device.mac,
    capabilities: device.capabilities,
    counters: device.counters,
    receive,
    reserve: (length) => {
      reserved = device.reserve(length)
      return reserved
    },
    commit,
    flush: () => device.flush(),
    wake: (onReady) => device.wake(onReady),
    failure: () => device.failure(),
    close: () => device.close(),
  }
}
