import type { MacAddress } from "../wire/address.ts"
import type { Offload } from "../wire/offload.ts"

export { NO_OFFLOAD, type Offload } from "../wire/offload.ts"

/** What a device can take off the stack's hands. Data, never a branch on the device's kind. */
export interface Capabilities {
  /** Largest IP packet that fits one frame, octets. */
  readonly mtu: number
  /** Frames begin with an Ethernet header, or with the IP header (TUN). */
  readonly layer: "ethernet" | "ip"
  /** The device fills in TCP and UDP checksums that are left partial, and vouches for those it delivers. */
  readonly checksumOffload: boolean
  /** Largest TCP payload that it cuts into segments itself; 0: it takes whole frames only. */
  readonly segmentationOffload: number
  /** It cuts joined UDP datagrams too (USO); left out: no. */
  readonly datagramOffload?: boolean
  /** Whoever gets the frames may hold full TCP segments back for more of the flow, but not those with PSH. Default false. */
  readonly gathers?: boolean
  /** Received frames stay valid until the next `receive`, not only inside their visit; datagrams that the device has taken apart do not. */
  readonly framesStay: boolean
}

/** A received frame: a window on device memory, valid only inside the visit (see `framesStay`). The object is reused. */
export interface ReceivedFrame {
  bytes: Uint8Array
  offset: number
  length: number
  /** The transport checksum is right by contract with the device, whatever the field says. */
  checksumVouched: boolean
  /** Payload octets of each segment where the device joined several into this frame, else 0. */
  segmentSize: number
}

/** Counters that every device keeps, in frames and octets. */
export interface DeviceCounters {
  rxPackets: number
  rxBytes: number
  rxDropped: number
  txPackets: number
  txBytes: number
  txDropped: number
}

/**
 * A network device. All of it is synchronous and never blocks: opening one is the business of
 * a scoped Effect (see each device's module), waiting is `wake`.
 *
 * Order of calls: any number of `receive` and of `reserve`/`commit` pairs, then `flush`.
 * After `close` every call is a no-op: `receive` yields nothing, `reserve` gives undefined.
 */
export interface Device {
  /** As the system calls it: `tap0`, `vale0:a`, `memory`. */
  readonly name: string
  readonly mac: MacAddress
  readonly capabilities: Capabilities
  readonly counters: DeviceCounters
  /** The last `receive` ended because its memory was full: more frames may wait. Default false. */
  readonly full?: boolean
  /** Visits up to `budget` frames that are waiting and returns how many there were. */
  receive(visit: (frame: ReceivedFrame) => void, budget: number): number
  /** Transmit memory of at least `length` octets, or undefined when there is no room (the frame is to be dropped; it has been counted). */
  reserve(length: number): Uint8Array | undefined
  /** Sends the first `length` octets of the memory last reserved. */
  commit(length: number, offload: Offload): void
  /** Ends a batch: everything committed is now with the device. */
  flush(): void
  /**
   * Calls `onReady` once, as soon as a frame is waiting (at once, asynchronously, if one is) or
   * the device has failed. Costs no CPU until then.
   */
  wake(onReady: () => void): void
  /** Why the device ended by itself (interface removed, ...), once it has. */
  failure(): DeviceFailure | undefined
  close(): void
}

export interface DeviceFailure {
  readonly device: string
  /** POSIX errno name. */
  readonly errno: string
  readonly message: string
}

export const noCounters = (): DeviceCounters => ({
  rxPackets: 0,
  rxBytes: 0,
  rxDropped: 0,
  txPackets: 0,
  txBytes: 0,
  txDropped: 0,
})
