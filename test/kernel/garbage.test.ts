import { expect } from "bun:test"
import { Effect } from "effect"
import { check } from "../../ffi/errno.ts"
import { interfaceIndex, interfaceMac } from "../../ffi/interface.ts"
import { AF_PACKET, bind, close, SOCK_CLOEXEC, SOCK_RAW, socket, write } from "../../ffi/libc.ts"
import { pinned } from "../../ffi/memory.ts"
import { NO_OFFLOAD } from "../../src/device/device.ts"
import { openTap } from "../../src/device/tap.ts"
import { garbageOf, noise } from "../device/garbage.ts"
import { kernelSuite } from "./namespace.ts"

const FRAMES = 256
/** An EtherType that nothing speaks (IEEE 802 local experimental 1). */
const EXPERIMENTAL = [0x88, 0xb5]

const macOctets = (mac: number) => Array.from({ length: 6 }, (_, index) => Math.floor(mac / 256 ** (5 - index)) % 256)

/** A socket through which the kernel's side sends whole frames. */
const packetSocket = (name: string): number => {
  const fd = check("socket", socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0))
  const address = pinned(20) // struct sockaddr_ll
  address.view.setUint16(0, AF_PACKET, true)
  address.view.setInt32(4, interfaceIndex(name) ?? 0, true)
  check("bind", bind(fd, address))
  return fd
}

kernelSuite("TAP device: frames leave no garbage", import.meta.path, (test) => {
  for (const offload of [false, true]) {
    test(offload ? "with the virtio header" : "without offload", async () => {
      await Effect.runPromise(
        Effect.scoped(
          Effect.map(openTap({ offload, napi: false }), (device) => {
            const frame = pinned(1514)
            frame.bytes.set([...macOctets(interfaceMac(device.name)), ...macOctets(device.mac), ...EXPERIMENTAL])
            const fd = packetSocket(device.name)
            let frames = 0
            const count = (): void => {
              frames++
            }
            const transmitted = garbageOf(FRAMES, () => {
              for (let n = 0; n < FRAMES; n++) {
                device.reserve(frame.bytes.length)?.set(frame.bytes)
                device.commit(frame.bytes.length, NO_OFFLOAD)
              }
              device.flush()
            })
            const received = garbageOf(FRAMES, () => {
              for (let n = 0; n < FRAMES; n++) write(fd, frame.address, frame.bytes.length)
              device.receive(count, FRAMES)
            })
            close(fd)
            expect(device.counters.txDropped).toBe(0)
            expect(frames).toBeGreaterThan(10_000)
            expect(transmitted).toBeLessThanOrEqual(noise(FRAMES))
            expect(received).toBeLessThanOrEqual(noise(FRAMES))
          }),
        ),
      )
    })
  }
})
