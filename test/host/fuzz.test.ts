import { describe, expect, test } from "bun:test"
import { ARP_REPLY, ARP_REQUEST } from "../../src/wire/arp.ts"
import { finish, pseudoHeader, sum } from "../../src/wire/checksum.ts"
import { ACK, FIN, RST, SYN } from "../../src/wire/tcpSegment.ts"
import { Random } from "../properties/random.ts"
import { A, B, pattern, SECOND } from "./lab.ts"
import { addressOf, arpFrame, icmpFrame, ipFrame, Stranger, segmentOf, tcpFrame, udpFrame } from "./stranger.ts"

const FRAMES = Number(process.env["NETFOLD_FUZZ"] ?? 200_000)
const SEED = Number(process.env["NETFOLD_SEED"] ?? 1)

/** A host with a listener on some ports and connections in various states, and its next sequence numbers. */
const busyHost = () => {
  const stranger = new Stranger({ prefixLength: 16 })
  stranger.introduce()
  const listener = stranger.host.listen(7, { backlog: 50 })
  stranger.host.listen("every", { backlog: 10 })
  const places: Array<{ readonly sourcePort: number; readonly seq: number; readonly ack: number }> = []
  for (let port = 1; port <= 8; port++) {
    const { seq } = segmentOf(stranger.send(tcpFrame({ sourcePort: port, seq: 1000, flags: SYN }))[0])
    places.push({ sourcePort: port, seq: 1001, ack: (seq + 1) >>> 0 })
    if (port === 1) continue
    stranger.tcp({ sourcePort: port, seq: 1001, ack: seq + 1, flags: ACK })
    const socket = stranger.host.accept(listener)
    if (port === 3) stranger.host.write(socket, pattern(5000))
    if (port === 4) stranger.host.shutdown(socket)
    if (port === 5) stranger.tcp({ sourcePort: port, seq: 1001, ack: seq + 1, flags: ACK | FIN })
    if (port === 6) stranger.host.close(socket)
    if (port === 7) {
      stranger.host.close(socket)
      stranger.answers()
      stranger.tcp({ sourcePort: port, seq: 1001, ack: seq + 2, flags: ACK | FIN })
    }
    stranger.answers()
  }
  stranger.host.connect(B, 80)
  stranger.answers()
  return { stranger, places }
}

/** Puts the sums of a bent frame right, so that it gets further than the first check. */
const mend = (frame: Uint8Array): void => {
  if (frame.length < 34) return
  const headerLength = ((frame[14] ?? 0) & 15) * 4
  if (headerLength < 20 || 14 + headerLength > frame.length) return
  frame[24] = 0
  frame[25] = 0
  const header = finish(sum(frame, 14, headerLength))
  frame[24] = header >> 8
  frame[25] = header
  const at = 14 + headerLength
  const length = frame.length - at
  const field = frame[23] === 6 ? at + 16 : frame[23] === 1 ? at + 2 : -1
  if (field < 0 || field + 2 > frame.length) return
  frame[field] = 0
  frame[field + 1] = 0
  const source = addressAt(frame, 26)
  const destination = addressAt(frame, 30)
  const pseudo = frame[23] === 6 ? pseudoHeader(source, destination, 6, length) : 0
  const total = finish(pseudo + sum(frame, at, length))
  frame[field] = total >> 8
  frame[field + 1] = total
}

const addressAt = (frame: Uint8Array, at: number) => {
  const view = new DataView(frame.buffer, frame.byteOffset)
  return { ...A, d: view.getUint32(at) }
}

describe("a host with listeners and connections in every state", () => {
  test(`${FRAMES} mutated frames: no exception, tables and memory stay bounded, it serves afterwards`, () => {
    const random = new Random(SEED)
    const { stranger, places } = busyHost()
    const { host } = stranger
    const sourceOf = () => (random.chance(0.7) ? B : addressOf(random.between(2, 60_000)))

    const segment = (): Uint8Array => {
      const place = places[random.between(0, places.length - 1)]
      const near = (n: number): number => (n + (random.chance(0.5) ? 0 : random.between(-70_000, 70_000))) >>> 0
      return tcpFrame({
        source: sourceOf(),
        sourcePort: random.chance(0.8) ? (place?.sourcePort ?? 1) : random.between(0, 65_535),
        destinationPort: random.chance(0.8) ? 7 : random.between(0, 65_535),
        seq: near(place?.seq ?? 0),
        ack: near(place?.ack ?? 0),
        // Resets end too many connections.
        flags: random.between(0, 0x1ff) & (random.chance(0.05) ? 0x1ff : ~RST),
        wnd: random.between(0, 65_535),
        options: random.chance(0.3) ? { tsVal: random.between(0, 2 ** 32 - 1), tsEcr: 0 } : {},
        payload: random.chance(0.3) ? random.octets(random.between(0, 40)) : new Uint8Array(0),
      })
    }

    const fresh = (): Uint8Array => {
      switch (random.between(0, 9)) {
        case 0:
          return arpFrame({
            operation: random.chance(0.5) ? ARP_REQUEST : ARP_REPLY,
            senderAddress: sourceOf(),
            targetAddress: random.chance(0.7) ? A : sourceOf(),
          })
        case 1: {
          const payload = random.octets(random.between(0, 60))
          return icmpFrame({ _tag: "EchoRequest", identifier: 1, sequence: 1, payload }, { source: sourceOf() })
        }
        case 2: {
          const quoted = segment().slice(14, 14 + random.between(0, 60))
          const code = random.between(0, 15)
          return icmpFrame({ _tag: "DestinationUnreachable", code, nextHopMtu: random.between(0, 2000), quoted })
        }
        case 3:
          return udpFrame(random.octets(random.between(0, 60)), { source: sourceOf() })
        case 4: {
          const noise = random.octets(random.between(0, 60))
          const header = { protocol: random.between(0, 255), source: sourceOf() }
          return ipFrame(header, noise.length, (out, at) => out.set(noise, at))
        }
        default:
          return segment()
      }
    }

    let sent = 0
    const reasons = new Set<string>()
    for (let i = 0; i < FRAMES; i++) {
      let frame = fresh()
      if (random.chance(0.7)) {
        for (let bends = random.between(1, 4); bends > 0; bends--) {
          // The link header and the version stay whole more often than not, or all would end there.
          const from = random.chance(0.9) ? 15 : 0
          if (from < frame.length) frame[random.between(from, frame.length - 1)] = random.between(0, 255)
        }
        if (random.chance(0.1)) frame = frame.slice(0, random.between(0, frame.length))
        if (random.chance(0.8)) mend(frame)
      }
      stranger.put(frame)
      if (i % 16 === 15) {
        sent += stranger.answers().length
        stranger.now += random.between(0, 2000)
        for (const why of host.drops.splice(0)) reasons.add(why)
        host.events.length = 0
      }
      if (i % 20_000 === 0) {
        expect(host.host.sockets().length).toBeLessThan(5000)
      }
    }
    // The frames have got everywhere.
    expect(sent).toBeGreaterThan(FRAMES / 100)
    expect(reasons.size).toBeGreaterThan(40)

    // It is alive: a new peer is greeted.
    stranger.introduce()
    stranger.wait(200 * SECOND)
    stranger.introduce()
    const port = 65_000
    const listener = host.listen(9999)
    const seen = stranger.send(tcpFrame({ sourcePort: port, destinationPort: 9999, seq: 0, flags: SYN }))
    const { seq } = segmentOf(seen[0])
    stranger.tcp({ sourcePort: port, destinationPort: 9999, seq: 1, ack: seq + 1, flags: ACK })
    expect(host.host.accept(listener)).toBeDefined()
  }, 120_000)
})
