import { describe, expect, test } from "bun:test"
import { Effect, TestClock, TestContext } from "effect"
import { memoryPair } from "../../src/device/memory.ts"
import * as Tcp from "../../src/net/Tcp.ts"
import { Stack } from "../../src/runtime/stack.ts"
import type { Micros } from "../../src/tcp/time.ts"
import { ARP_LENGTH, ARP_REPLY, decodeArp, encodeArp } from "../../src/wire/arp.ts"
import { isDrop } from "../../src/wire/drop.ts"
import {
  decodeEthernet,
  ETHERNET_HEADER,
  ETHERTYPE_ARP,
  ETHERTYPE_IPV4,
  writeEthernet,
} from "../../src/wire/ethernet.ts"
import { decodeIpv4 } from "../../src/wire/ipv4.ts"
import { decodeTcp } from "../../src/wire/tcp.ts"
import { ACK, EMPTY, NO_OPTIONS, SYN, type TcpPacket } from "../../src/wire/tcpSegment.ts"
import { on, settle } from "../net/support.ts"
import { HOST, OFFER, octetsOf, PORT, peerAddress, SECOND } from "./scene.ts"

/** The whole stack by TestClock, and a peer at the other end of the wire that sends one SYN and falls silent. */
describe("SYN-ACKs by Effect's clock", () => {
  test.each([
    ["", {}, [1, 3, 7, 15, 31], 63],
    [", by a listener's synCount of 2", { synCount: 2 }, [1, 3], 7],
  ] as const)(
    "leave after 1, 2, 4, ... s%s, to the microsecond; then the request is gone",
    (_, options, seconds, end) =>
      Effect.runPromise(
        Effect.gen(function* () {
          const [near, far] = memoryPair()
          const stack = yield* Stack.make({
            interfaces: [{ device: near, addresses: ["198.18.0.1/15"] }],
            secret: new Uint8Array(32).fill(1),
            closeGrace: 0,
          })
          yield* on(stack)(Tcp.listen({ port: PORT, ...options }))
          const clock = yield* Effect.clock
          const now = (): Micros => Number(clock.unsafeCurrentTimeNanos() / 1000n)
          const seen: Array<Micros> = []
          const start = now()
          const listen = (): void => {
            far.receive(({ bytes, offset, length }) => {
              const frame = decodeEthernet(bytes, offset, length)
              if (isDrop(frame)) return
              if (frame.etherType === ETHERTYPE_ARP) answerArp(bytes, frame.payloadOffset, frame.payloadLength)
              else if (isSynAck(bytes, frame.payloadOffset, frame.payloadLength)) seen.push(now() - start)
            }, 100)
          }
          const put = (etherType: number, payload: Uint8Array): void => {
            const memory = far.reserve(ETHERNET_HEADER + payload.length)
            if (memory === undefined) throw new Error("the wire is full")
            writeEthernet(memory, 0, { destination: near.mac, source: far.mac, etherType })
            memory.set(payload, ETHERNET_HEADER)
            const none = { checksumStart: 0, checksumOffset: 0, segmentSize: 0, headerLength: 0, family: 4 } as const
            far.commit(ETHERNET_HEADER + payload.length, none)
            far.flush()
          }
          const answerArp = (bytes: Uint8Array, offset: number, length: number): void => {
            const asked = decodeArp(bytes, offset, length)
            if (isDrop(asked)) return
            const reply = new Uint8Array(ARP_LENGTH)
            encodeArp(reply, 0, {
              operation: ARP_REPLY,
              senderMac: far.mac,
              senderAddress: asked.targetAddress,
              targetMac: asked.senderMac,
              targetAddress: asked.senderAddress,
            })
            put(ETHERTYPE_ARP, reply)
          }
          /** TestClock counts milliseconds in floating point: sums of microseconds would drift. */
          const until = (after: Micros) =>
            Effect.gen(function* () {
              yield* TestClock.setTime((start + after) / 1000)
              for (let n = 0; n < 4; n++) {
                yield* settle(5)
                listen()
              }
            })

          yield* settle(5)
          put(ETHERTYPE_IPV4, octetsOf(SYN_PACKET))
          yield* until(0)
          expect(seen).toEqual([0])
          const due = seconds.map((second) => second * SECOND)
          for (const at of due) {
            // Not a microsecond before.
            yield* until(at - 1)
            expect(seen.at(-1)).toBeLessThan(at)
            yield* until(at)
            expect(seen.at(-1)).toBe(at)
          }
          yield* until(end * SECOND - 1)
          expect(stack.list().map(({ state }) => state)).toContain("SYN-RECEIVED")
          yield* until(end * SECOND)
          expect(stack.list().map(({ state }) => state)).toEqual(["LISTEN"])
          expect(seen).toEqual([0, ...due])
        }).pipe(Effect.scoped, Effect.provide(TestContext.TestContext)),
      ),
  )
})

const SYN_PACKET: TcpPacket = {
  source: peerAddress(1),
  destination: HOST,
  sourcePort: 40_000,
  destinationPort: PORT,
  segment: { seq: 5000, ack: 0, flags: SYN, wnd: 65_535, up: 0, options: { ...NO_OPTIONS, ...OFFER }, payload: EMPTY },
}

const isSynAck = (bytes: Uint8Array, offset: number, length: number): boolean => {
  const ip = decodeIpv4(bytes, offset, length)
  if (isDrop(ip)) return false
  const tcp = decodeTcp(bytes, ip.payloadOffset, ip.payloadLength, ip.source, ip.destination, true)
  return !isDrop(tcp) && (tcp.segment.flags & (SYN | ACK)) === (SYN | ACK)
}
