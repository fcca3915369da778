/** Runs in a network namespace of its own (see sections.ts) and prints its sections as JSON. */
import { Effect, type Scope } from "effect"
import { check } from "../../ffi/errno.ts"
import { interfaceIndex, interfaceMac } from "../../ffi/interface.ts"
import { AF_PACKET, bind, close, getuid, SOCK_CLOEXEC, SOCK_RAW, socket, write } from "../../ffi/libc.ts"
import { pinned } from "../../ffi/memory.ts"
import { type Device, NO_OFFLOAD } from "../../src/device/device.ts"
import { openTap } from "../../src/device/tap.ts"
import type { MacAddress } from "../../src/wire/address.ts"
import { writeEthernet } from "../../src/wire/ethernet.ts"
import { readArguments } from "../arguments.ts"
import { type Case, FULL, measure, QUICK } from "../measure.ts"
import { progress } from "../progress.ts"
import type { Section } from "../report.ts"

/** IEEE 802 local experimental EtherType: the kernel receives it and has nobody to give it to. */
const EXPERIMENTAL = 0x88b5
/** Frames of one timed stretch; a TAP's queue holds 1000. */
const FRAMES = 256
/** Frame sizes and the MTU of the interface that carries them. */
const SIZES = [
  [64, 1500],
  [576, 1500],
  [1514, 1500],
  [9014, 9000],
  [65535, 65521],
] as const

const frameFor = (destination: number, source: number, length: number): Uint8Array => {
  const frame = new Uint8Array(length).fill(0x61)
  writeEthernet(frame, 0, {
    destination: destination as MacAddress,
    source: source as MacAddress,
    etherType: EXPERIMENTAL,
  })
  return frame
}

const writing = (device: Device, kind: string, length: number): Case => {
  const frame = frameFor(interfaceMac(device.name), device.mac, length)
  return {
    name: `write ${length} octets${kind}`,
    per: "frame",
    octets: length,
    garbage: false,
    run: () => {
      const before = device.counters.txPackets
      for (let n = 0; n < FRAMES; n++) {
        device.reserve(length)?.set(frame)
        device.commit(length, NO_OFFLOAD)
      }
      device.flush()
      if (device.counters.txPackets - before !== FRAMES) throw new Error("frames were dropped")
      return FRAMES
    },
  }
}

/** The kernel sends through a packet socket, untimed; then the device receives. */
const reading = (device: Device, kind: string, length: number): Case => {
  const frame = pinned(length)
  frame.bytes.set(frameFor(device.mac, interfaceMac(device.name), length))
  const fd = packetSocket(device.name)
  return {
    name: `read ${length} octets${kind}`,
    per: "frame",
    octets: length,
    garbage: false,
    prepare: () => {
      device.receive(() => {}, FRAMES)
      for (let n = 0; n < FRAMES; n++) check("write", write(fd, frame.address, length))
    },
    run: () => {
      let octets = 0
      const frames = device.receive((received) => {
        octets += received.length
      }, FRAMES)
      if (frames === 0 || octets < frames * 60) throw new Error("frames were lost")
      return frames
    },
  }
}

const packetSocket = (name: string): number => {
  const fd = check("socket", socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0))
  const address = pinned(20) // struct sockaddr_ll
  address.view.setUint16(0, AF_PACKET, true)
  address.view.setInt32(4, interfaceIndex(name) ?? 0, true)
  check("bind", bind(fd, address))
  opened.push(fd)
  return fd
}

const opened: Array<number> = []

const floors = (device: Device): ReadonlyArray<Case> => [
  {
    name: "the least system call: getuid",
    per: "call",
    garbage: false,
    run: () => {
      for (let n = 0; n < FRAMES; n++) getuid()
      return FRAMES
    },
  },
  {
    name: "receive with nothing waiting",
    per: "call",
    garbage: false,
    prepare: () => {
      device.receive(() => {}, FRAMES)
    },
    run: () => {
      for (let n = 0; n < FRAMES; n++) device.receive(() => {}, 1)
      return FRAMES
    },
  },
]

const cases = (only: string): Effect.Effect<ReadonlyArray<Case>, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const all: Array<Case> = []
    for (const offload of [false, true]) {
      const devices = new Map<number, Device>()
      for (const [length, mtu] of SIZES) {
        const device = devices.get(mtu) ?? (yield* openTap({ mtu, offload, name: "bench%d" }))
        if (devices.size === 0 && !offload) all.push(...floors(device))
        devices.set(mtu, device)
        const kind = offload ? ", virtio header" : ""
        all.push(writing(device, kind, length), reading(device, kind, length))
      }
    }
    return all.filter(({ name }) => name.includes(only))
  })

const main = Effect.scoped(
  Effect.gen(function* () {
    const { quick, only } = readArguments(process.argv.slice(2))
    const costs = measure(yield* cases(only), quick ? QUICK : FULL, progress)
    for (const fd of opened.splice(0)) close(fd)
    const section: Section = {
      title: "TAP device",
      method:
        "src/device/tap.ts in a namespace of its own, processor time of the thread. write: copy into transmit memory and write(2), the kernel receives the frame in that call and throws it away. read: frames that wait already, read(2) each.",
      costs,
    }
    console.log(JSON.stringify([section]))
  }),
)

await Effect.runPromise(main)
