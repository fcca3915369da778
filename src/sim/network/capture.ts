import { LINKTYPE_ETHERNET, MICROSECONDS } from "../../wire/pcapng.ts"
import { enhancedPacket, interfaceDescription, sectionHeader } from "../../wire/pcapngWriter.ts"
import type { Observer } from "./log.ts"

/**
 * What an interface of a host sees, as blocks of a pcapng file; time begins at 1970. The comment of a
 * packet that leaves is the rule that sent it.
 */
export const capture = (host: string, port: number, write: (block: Uint8Array) => void): Observer => {
  write(sectionHeader("netfold"))
  write(
    interfaceDescription({
      linkType: LINKTYPE_ETHERNET,
      snapLength: 0,
      name: `${host}.eth${port}`,
      resolution: MICROSECONDS,
    }),
  )
  return (event) => {
    if (event._tag !== "Sent" && event._tag !== "Arrived") return
    if (event.host !== host || event.interface !== port) return
    write(
      enhancedPacket({
        interfaceId: 0,
        timestamp: BigInt(event.at),
        direction: event._tag === "Sent" ? "outbound" : "inbound",
        originalLength: event.bytes.length,
        data: event.bytes,
        comment: event._tag === "Sent" ? event.why : undefined,
      }),
    )
  }
}
