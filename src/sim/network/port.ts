import type { Transmitter } from "../../host/encode.ts"
import type { MacAddress } from "../../wire/address.ts"

/** One interface of a simulated host: whole frames, summed, each in memory of its own. */
export class Port implements Transmitter {
  readonly capabilities = { layer: "ethernet", checksumOffload: false, segmentationOffload: 0 } as const
  private reserved: Uint8Array | undefined
  /** The rule behind what is being sent. */
  why = ""

  constructor(
    readonly mac: MacAddress,
    private readonly send: (bytes: Uint8Array, why: string) => void,
  ) {}

  reserve(length: number): Uint8Array {
    this.reserved = new Uint8Array(length)
    return this.reserved
  }

  commit(length: number): void {
    const { reserved } = this
    if (reserved === undefined) return
    this.reserved = undefined
    this.send(reserved.length === length ? reserved : reserved.subarray(0, length), this.why)
  }
}

const LOCAL = 0x02_00_00_00_00_00
const PORTS = 0x100

/** Locally administered (IEEE 802 section 8.4): the host's number, then the interface's. */
export const portMac = (host: number, port: number): MacAddress => (LOCAL + host * PORTS + port + 1) as MacAddress
