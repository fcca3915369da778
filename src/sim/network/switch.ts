import type { MacAddress } from "../../wire/address.ts"
import { isDrop } from "../../wire/drop.ts"
import { decodeEthernet, isGroupMac } from "../../wire/ethernet.ts"
import type { Micros } from "../../wire/time.ts"

/** IEEE 802.1D section 7.9.2: an address that has not been heard for so long may be elsewhere. */
const AGEING: Micros = 300_000_000
export const DEFAULT_TABLE = 1024

interface Learnt {
  readonly port: number
  readonly at: Micros
}

/** Which ports a frame leaves by: a learning bridge (IEEE 802.1D) whose table has a size. */
export class Switch {
  /** In the order in which the addresses were last heard. */
  private readonly table = new Map<MacAddress, Learnt>()

  constructor(private readonly tableSize: number) {}

  get known(): number {
    return this.table.size
  }

  /** The one port behind which the destination is; "every": all but the one it came by; "none": it is there already. */
  route(frame: Uint8Array, cameBy: number, now: Micros): number | "every" | "none" {
    const header = decodeEthernet(frame, 0, frame.length)
    if (isDrop(header)) return "none"
    this.learn(header.source, cameBy, now)
    if (isGroupMac(header.destination)) return "every"
    const learnt = this.table.get(header.destination)
    if (learnt === undefined || now - learnt.at > AGEING) return "every"
    return learnt.port === cameBy ? "none" : learnt.port
  }

  private learn(source: MacAddress, port: number, at: Micros): void {
    if (isGroupMac(source)) return
    this.table.delete(source)
    if (this.table.size >= this.tableSize) {
      const oldest = this.table.keys().next()
      if (oldest.done !== true) this.table.delete(oldest.value)
    }
    this.table.set(source, { port, at })
  }
}
