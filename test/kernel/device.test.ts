import { expect } from "bun:test"
import { readFileSync } from "node:fs"
import { Effect, Either, Exit, Scope } from "effect"
import { check } from "../../ffi/errno.ts"
import {
  bringUp,
  IFF_UP,
  interfaceAddress4,
  interfaceFlags,
  interfaceIndex,
  interfaceMac,
  interfaceMtu,
  interfaceQueueLength,
} from "../../ffi/interface.ts"
import { AF_PACKET, bind, close, read, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_RAW, socket, write } from "../../ffi/libc.ts"
import { pinned } from "../../ffi/memory.ts"
import { openTap as attach, attachedTo, IFF_VNET_HDR, setPersistent, tunFeatures } from "../../ffi/tun.ts"
import { type Device, NO_OFFLOAD, type ReceivedFrame } from "../../src/device/device.ts"
import { checkedMac } from "../../src/device/mac.ts"
import { openTap, type TapError, type TapOptions } from "../../src/device/tap.ts"
import { ipv4, ipv6 } from "../../src/wire/address.ts"
import { ACK, data, finished, flowOf, type HandMade, isSyn, PSH, payloadLength, segment, synAck } from "./handTcp.ts"
import { kernelSuite } from "./namespace.ts"
import { found, until } from "./wait.ts"

const KERNEL = ipv4(0xc6120001) // 198.18.0.1
const STACK = 0xc6120002 // 198.18.0.2
/** It takes CAP_SYS_ADMIN over the mounts, which root in a user namespace of its own has not. */
const MAY_GATHER = /^\s*0\s+0\s+4294967295\s*$/.test(readFileSync("/proc/self/uid_map", "latin1"))
const ADDRESSED: TapOptions = { addresses: [{ address: KERNEL, prefixLength: 24 }] }

/** Runs `body` with a device, and closes it. */
const withTap = async (options: TapOptions, body: (device: Device) => void | Promise<void>): Promise<void> => {
  const scope = Effect.runSync(Scope.make())
  try {
    await body(await Effect.runPromise(openTap(options).pipe(Scope.extend(scope))))
  } finally {
    Effect.runSync(Scope.close(scope, Exit.void))
  }
}

/** The error of an open that must fail. */
const refusal = async (options: TapOptions): Promise<TapError> =>
  Either.getOrThrow(Either.flip(await Effect.runPromise(Effect.scoped(Effect.either(openTap(options))))))

const ip = (...argv: ReadonlyArray<string>): void => {
  const { success, stderr } = Bun.spawnSync(["ip", ...argv], { stderr: "pipe" })
  if (!success) throw new Error(`ip ${argv.join(" ")}: ${stderr}`)
}

const sleep = (millis: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, millis))
const woken = (device: Device): Promise<void> => new Promise((resolve) => device.wake(resolve))
const within = async <A>(millis: number, promise: Promise<A>): Promise<A> =>
  Promise.race([promise, sleep(millis).then(() => Promise.reject(new Error(`nothing within ${millis} ms`)))])

interface Frame {
  readonly bytes: Uint8Array
  readonly type: number
  readonly checksumVouched: boolean
  readonly segmentSize: number
}

const copy = ({ bytes, offset, length, checksumVouched, segmentSize }: ReceivedFrame): Frame => {
  const own = bytes.slice(offset, offset + length)
  return { bytes: own, type: u16(own, 12), checksumVouched, segmentSize }
}
const u16 = (bytes: Uint8Array, at: number) => ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)

/** Waits for the first frame that `wanted` (asked about every one) accepts, by waking and receiving as the runtime does. */
const frameWhere = async (device: Device, wanted: (frame: Frame) => boolean, millis = 3000): Promise<Frame> => {
  const deadline = performance.now() + millis
  while (performance.now() < deadline) {
    await within(millis, woken(device))
    let found: Frame | undefined
    device.receive((frame) => {
      const own = copy(frame)
      if (wanted(own)) found ??= own
    }, 64)
    if (found !== undefined) return found
  }
  throw new Error("no such frame")
}

const drain = (device: Device): number => device.receive(() => {}, 1000)

const ARP = 0x0806
const isArpRequest = (frame: Frame) => frame.type === ARP && u16(frame.bytes, 20) === 1

const transmit = (device: Device, frame: Uint8Array): void => {
  device.reserve(frame.length)?.set(frame)
  device.commit(frame.length, NO_OFFLOAD)
  device.flush()
}

const macOctets = (mac: number) => Array.from({ length: 6 }, (_, index) => Math.floor(mac / 256 ** (5 - index)) % 256)
const wordOctets = (word: number) => [word >>> 24, (word >>> 16) & 255, (word >>> 8) & 255, word & 255]

/** "198.18.0.2 is at MAC", to the kernel. */
const arpReply = (device: Device): Uint8Array => {
  const kernelMac = macOctets(interfaceMac(device.name))
  const own = macOctets(device.mac)
  return Uint8Array.of(
    ...[...kernelMac, ...own, 0x08, 0x06],
    ...[0, 1, 8, 0, 6, 4, 0, 2],
    ...[...own, ...wordOctets(STACK), ...kernelMac, ...wordOctets(KERNEL.d)],
  )
}

/** Answers ARP and the kernel's SYN, whose connection it returns. */
const accept = async (device: Device) => {
  await frameWhere(device, isArpRequest)
  transmit(device, arpReply(device))
  const flow = flowOf((await frameWhere(device, ({ bytes }) => isSyn(bytes))).bytes)
  transmitMade(device, synAck(flow))
  return flow
}

const transmitMade = (device: Device, { frame, offload }: HandMade): void => {
  device.reserve(frame.length)?.set(frame)
  device.commit(frame.length, offload)
  device.flush()
}

/** Frames of an EtherType that nothing speaks (IEEE 802 local experimental 1). */
const EXPERIMENTAL = 0x88b5
const experimental = (device: Device, length: number): Uint8Array => {
  const frame = new Uint8Array(length).map((_, index) => index % 251)
  frame.set([...macOctets(interfaceMac(device.name)), ...macOctets(device.mac), EXPERIMENTAL >> 8, EXPERIMENTAL & 255])
  return frame
}

/** An AF_PACKET socket that sees what the kernel receives of an EtherType on an interface. */
const packetSocket = (name: string, etherType = EXPERIMENTAL) => {
  const swapped = ((etherType & 255) << 8) | (etherType >> 8)
  const fd = check("socket", socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, swapped))
  const address = pinned(20) // struct sockaddr_ll
  address.view.setUint16(0, AF_PACKET, true)
  address.view.setUint16(2, etherType, false)
  address.view.setInt32(4, interfaceIndex(name) ?? 0, true)
  check("bind", bind(fd, address))
  const buffer = pinned(70_000)
  return {
    next: (): Uint8Array | undefined => {
      const length = read(fd, buffer.address, buffer.bytes.length)
      return length < 0 ? undefined : buffer.bytes.slice(0, length)
    },
    /** The kernel's interface sends it: to whoever reads the TAP. */
    send: (frame: Uint8Array): number => {
      buffer.bytes.set(frame)
      return write(fd, buffer.address, frame.length)
    },
    close: () => close(fd),
  }
}

kernelSuite("TAP device: making one", import.meta.path, (test) => {
  test("is done by ioctl alone: addressed, up, and gone with its scope", async () => {
    await withTap({ ...ADDRESSED, name: "nf%d" }, (device) => {
      expect(device.name).toBe("nf0")
      expect(interfaceAddress4("nf0")).toEqual({ word: KERNEL.d, prefixLength: 24 })
      expect(interfaceFlags("nf0") & IFF_UP).toBe(IFF_UP)
      expect(device.capabilities).toEqual({
        mtu: 1500,
        layer: "ethernet",
        checksumOffload: false,
        segmentationOffload: 0,
        datagramOffload: false,
        framesStay: true,
        gathers: MAY_GATHER,
      })
      expect(device.mac).not.toBe(checkedMac(interfaceMac("nf0")))
    })
    expect(interfaceIndex("nf0")).toBeUndefined()
  })

  test("sets the MTU and the kernel's MAC", async () => {
    const kernelMac = checkedMac(0x02_00_00_00_00_aa)
    const mac = checkedMac(0x02_00_00_00_00_bb)
    await withTap({ ...ADDRESSED, mtu: 9000, kernelMac, mac }, (device) => {
      expect(device.capabilities.mtu).toBe(9000)
      expect(device.mac).toBe(mac)
      expect(interfaceMtu(device.name)).toBe(9000)
      expect(interfaceMac(device.name)).toBe(kernelMac)
    })
  })

  test("adds further IPv4 and IPv6 addresses, usable at once", async () => {
    const addresses = [
      { address: KERNEL, prefixLength: 24 },
      { address: ipv4(0xc6120101), prefixLength: 25 },
      { address: ipv6(0xfd000000, 0, 0, 1), prefixLength: 64 },
    ]
    await withTap({ addresses }, (device) => {
      const shown = Bun.spawnSync(["ip", "-o", "addr", "show", "dev", device.name]).stdout.toString()
      expect(shown).toContain("inet 198.18.0.1/24 ")
      expect(shown).toContain("inet 198.18.1.1/25 ")
      const six = shown.split("\n").find((line) => line.includes("inet6 fd00::1/64 "))
      expect(six).toContain("nodad")
      expect(six).not.toContain("tentative")
    })
  })

  test("several at once, numbered by the kernel", async () => {
    await withTap({}, (first) =>
      withTap({}, (second) => {
        expect([first.name, second.name]).toEqual(["tap0", "tap1"])
      }),
    )
  })

  test("this kernel's tun driver knows the virtio header, and says which interface is attached", () => {
    const tap = attach("nf9", true)
    expect(tunFeatures(tap.fd) & IFF_VNET_HDR).toBe(IFF_VNET_HDR)
    expect(attachedTo(tap.fd)).toMatchObject({ name: "nf9" })
    close(tap.fd)
  })
})

kernelSuite("TAP device: refusals", import.meta.path, (test) => {
  test("a name that is too long", async () => {
    expect(await refusal({ name: "sixteen-octets-0" })).toMatchObject({
      _tag: "TapNameInvalid",
      message: "sixteen-octets-0: the name is 16 octets long, and an interface name has at most 15",
    })
  })

  test("busy: somebody else is attached", async () => {
    const tap = attach("nf1", false)
    expect(await refusal({ name: "nf1" })).toMatchObject({
      _tag: "TapBusy",
      message: "nf1: another process is using this interface (EBUSY)",
    })
    close(tap.fd)
  })

  test("not a TAP", async () => {
    expect(await refusal({ name: "lo" })).toMatchObject({ _tag: "TapExists" })
  })

  test("existing, and is not there", async () => {
    expect(await refusal({ name: "nf2", existing: true })).toMatchObject({
      _tag: "TapNotFound",
      message: "nf2: no such interface (ENODEV)",
    })
    expect(interfaceIndex("nf2")).toBeUndefined()
  })

  test("not existing, and is there", async () => {
    const tap = attach("nf3", false)
    expect(await refusal({ name: "nf3", existing: false })).toMatchObject({ _tag: "TapExists" })
    close(tap.fd)
  })

  test("options out of range", async () => {
    const mac = checkedMac(0x02_00_00_00_00_01)
    const wrong: ReadonlyArray<TapOptions> = [
      { mtu: 67 },
      { mtu: 65522 },
      { queueLength: 0 },
      { queueLength: 1.5 },
      { mac: checkedMac(0x01_00_5e_00_00_01) },
      { mac, kernelMac: mac },
      { addresses: [{ address: KERNEL, prefixLength: 33 }] },
    ]
    for (const options of wrong) expect(await refusal(options)).toMatchObject({ _tag: "TapOptionInvalid" })
  })

  test("the stack's MAC is the kernel's on an interface that is there", async () => {
    const tap = attach("nf3", false)
    const mac = checkedMac(interfaceMac("nf3"))
    setPersistent(tap.fd, true)
    close(tap.fd)
    expect(await refusal({ name: "nf3", mac })).toMatchObject({ _tag: "TapOptionInvalid" })
    ip("link", "del", "nf3")
  })

  test("a failed configuration leaves no interface behind", async () => {
    // IPv6 wants an MTU of 1280.
    const addresses = [{ address: ipv6(0xfd000000, 0, 0, 1), prefixLength: 64 }]
    expect(await refusal({ name: "nf4", mtu: 1000, addresses })).toMatchObject({ _tag: "TapSystemError" })
    expect(interfaceIndex("nf4")).toBeUndefined()
  })

  test("without CAP_NET_ADMIN", () => {
    const script = `
      import { Effect } from "effect"
      import { openTap } from "../../src/device/tap.ts"
      console.log(JSON.stringify(await Effect.runPromise(Effect.scoped(Effect.flip(openTap({ name: "nf5" }))))))
    `
    // Still uid 0, so that /dev/net/tun opens.
    const argv = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin", process.execPath, "-e", script]
    const { stdout } = Bun.spawnSync(argv, { cwd: import.meta.dir })
    expect(JSON.parse(stdout.toString())).toMatchObject({
      _tag: "TapPermissionDenied",
      message:
        "nf5: TUNSETIFF is not permitted (EPERM): it needs CAP_NET_ADMIN, or an interface that belongs to this user; without root: bun run lab",
    })
  })
})

kernelSuite("TAP device: an interface that is there already", import.meta.path, (test) => {
  test("keeps its configuration and outlives the device", async () => {
    ip("tuntap", "add", "dev", "nf6", "mode", "tap")
    ip("addr", "add", "203.0.113.1/28", "dev", "nf6")
    ip("link", "set", "nf6", "mtu", "1400", "address", "02:00:00:00:00:cc")
    await withTap({ ...ADDRESSED, name: "nf6", mtu: 9000, queueLength: 7, kernelMac: checkedMac(1) }, (device) => {
      expect(device.capabilities.mtu).toBe(1400)
      expect(interfaceAddress4("nf6")).toEqual({ word: 0xcb007101, prefixLength: 28 })
      expect(interfaceMac("nf6")).toBe(0x02_00_00_00_00_cc)
      expect(interfaceFlags("nf6") & IFF_UP).toBe(0)
    })
    expect(interfaceMtu("nf6")).toBe(1400)
    expect(interfaceQueueLength("nf6")).toBe(1000)
    ip("link", "del", "nf6")
  })
})

kernelSuite("TAP device: frames", import.meta.path, (test) => {
  test("the kernel's ARP request is received, and our answer believed", async () => {
    await withTap(ADDRESSED, async (device) => {
      drain(device)
      const ping = Bun.spawn(["ping", "-c", "1", "-W", "2", "198.18.0.2"], { stdout: "ignore" })
      const request = await frameWhere(device, isArpRequest)
      expect([...request.bytes.subarray(0, 6)]).toEqual([255, 255, 255, 255, 255, 255])
      expect([...request.bytes.subarray(28, 32)]).toEqual(wordOctets(KERNEL.d))
      expect([...request.bytes.subarray(38, 42)]).toEqual(wordOctets(STACK))
      expect(request.checksumVouched).toBe(false)
      transmit(device, arpReply(device))
      // Believed: the echo request now comes to our MAC.
      const echo = await frameWhere(device, (frame) => frame.type === 0x0800 && frame.bytes[23] === 1)
      expect([...echo.bytes.subarray(0, 6)]).toEqual(macOctets(device.mac))
      ping.kill()
      expect(device.counters.txPackets).toBe(1)
      expect(device.counters.rxPackets).toBeGreaterThanOrEqual(2)
    })
  })

  for (const offload of [false, true]) {
    test(`frames of every size reach the kernel intact${offload ? ", with the virtio header" : ""}`, async () => {
      await withTap({ offload, mtu: 9000 }, async (device) => {
        const reader = packetSocket(device.name)
        for (const length of [14, 60, 61, 1514, 4096, 9014]) {
          const frame = experimental(device, length)
          transmit(device, frame)
          expect(await found("the frame", () => reader.next())).toEqual(frame)
        }
        expect(device.counters).toMatchObject({ txPackets: 6, txDropped: 0, txBytes: 14759 })
        reader.close()
      })
    })
  }

  test("more than the MTU is refused and counted", async () => {
    await withTap({}, (device) => {
      expect(device.reserve(1519)).toBeUndefined()
      device.commit(1519, NO_OFFLOAD)
      expect(device.counters).toMatchObject({ txPackets: 0, txDropped: 1 })
    })
  })

  test("a frame that the kernel refuses is a drop, not a failure", async () => {
    await withTap({}, (device) => {
      transmit(device, Uint8Array.of(1, 2, 3))
      expect(device.counters.txDropped).toBe(1)
      expect(device.failure()).toBeUndefined()
    })
  })

  for (const { options, length } of [
    { options: {}, length: 5593 },
    { options: { mtu: 9000 }, length: 1000 },
    { options: { offload: true }, length: 1000 },
    { options: { queueLength: 20 }, length: 20 },
    { options: { queueLength: 3000, offload: true }, length: 3000 },
  ]) {
    test(`${JSON.stringify(options)}: the kernel keeps ${length} frames for us`, async () => {
      await withTap(options, (device) => {
        expect(interfaceQueueLength(device.name)).toBe(length)
      })
    })
  }

  test("nobody reads: as many frames wait as the queue is long, the rest is dropped", async () => {
    const mine = (device: Device): number => {
      let count = 0
      device.receive(({ bytes, offset }) => {
        if (u16(bytes, offset + 12) === EXPERIMENTAL) count++
      }, 1000)
      return count
    }
    await withTap({ queueLength: 100 }, (device) => {
      const kernel = packetSocket(device.name)
      const frame = experimental(device, 60)
      drain(device)
      for (let n = 0; n < 300; n++) kernel.send(frame)
      const kept = mine(device)
      // What the kernel says on its own (MLD) takes a place too.
      expect(kept).toBeGreaterThan(90)
      expect(kept).toBeLessThanOrEqual(100)
      for (let n = 0; n < 10; n++) kernel.send(frame)
      expect(mine(device)).toBe(10)
      kernel.close()
    })
  })

  test("receive keeps to its budget", async () => {
    await withTap({}, (device) => {
      const kernel = packetSocket(device.name)
      for (let n = 0; n < 8; n++) kernel.send(experimental(device, 60))
      expect(device.receive(() => {}, 3)).toBe(3)
      expect(device.receive(() => {}, 3)).toBe(3)
      expect(drain(device)).toBeGreaterThanOrEqual(2)
      kernel.close()
    })
  })

  test("an interface set down drops what is sent, and works again once up", async () => {
    await withTap({}, async (device) => {
      ip("link", "set", device.name, "down")
      // What the kernel has said on its own (MLD) while the interface was up stays readable.
      drain(device)
      transmit(device, experimental(device, 60))
      expect(device.counters.txDropped).toBe(1)
      expect(drain(device)).toBe(0)
      expect(device.failure()).toBeUndefined()
      bringUp(device.name)
      const reader = packetSocket(device.name)
      transmit(device, experimental(device, 61))
      expect((await found("the frame", () => reader.next())).length).toBe(61)
      reader.close()
    })
  })
})

kernelSuite("TAP device: waiting", import.meta.path, (test) => {
  test("wakes for a frame, once, and again while frames wait", async () => {
    await withTap(ADDRESSED, async (device) => {
      await sleep(50)
      drain(device)
      let calls = 0
      device.wake(() => calls++)
      const ping = Bun.spawn(["ping", "-c", "1", "-W", "1", "198.18.0.2"], { stdout: "ignore" })
      await until("the first wake", () => calls > 0)
      await sleep(20)
      expect(calls).toBe(1)
      await within(1000, woken(device))
      expect(drain(device)).toBeGreaterThanOrEqual(1)
      ping.kill()
    })
  })

  test("close while waiting: the interface is gone when close returns, the callback never called", async () => {
    let calls = 0
    for (let round = 0; round < 20; round++) {
      await withTap({ name: "nf7" }, async (device) => {
        await sleep(2)
        drain(device)
        device.wake(() => calls++)
        if (round % 2 === 0) await sleep(1)
        calls = 0
        device.close()
        expect(interfaceIndex("nf7")).toBeUndefined()
        expect(device.receive(() => {}, 1)).toBe(0)
        expect(device.reserve(60)).toBeUndefined()
        device.commit(60, NO_OFFLOAD)
        device.flush()
      })
      await sleep(1)
      expect(calls).toBe(0)
    }
  })

  test("an interface removed while waiting: woken, failed, and quiet from then on", async () => {
    await withTap({ name: "nf8" }, async (device) => {
      await sleep(20)
      drain(device)
      const wake = woken(device)
      ip("link", "del", "nf8")
      await within(1000, wake)
      expect(drain(device)).toBe(0)
      const failure = device.failure()
      expect(failure).toMatchObject({ device: "nf8" })
      expect(["ENODEV", "EBADFD"]).toContain(failure?.errno ?? "")
      expect(device.reserve(60)).toBeUndefined()
      expect(device.counters.txDropped).toBe(1)
      // Failed already: told at once.
      await within(100, woken(device))
      const before = process.cpuUsage()
      await sleep(300)
      const { user, system } = process.cpuUsage(before)
      expect(user + system).toBeLessThan(100_000)
    })
  })

  test("an interface removed while busy: the next call notices", async () => {
    await withTap({ name: "nf8" }, (device) => {
      ip("link", "del", "nf8")
      device.reserve(60)
      device.commit(60, NO_OFFLOAD)
      device.flush()
      expect(device.failure()).toEqual({
        device: "nf8",
        errno: "EBADFD",
        message: "nf8: the interface is gone (EBADFD)",
      })
    })
    await withTap({ name: "nf8" }, (device) => {
      ip("link", "del", "nf8")
      expect(drain(device)).toBe(0)
      expect(device.failure()).toMatchObject({ errno: "EBADFD" })
    })
  })
})

kernelSuite("TAP device: offload", import.meta.path, (test) => {
  test("is a capability", async () => {
    await withTap({ offload: true }, ({ capabilities }) => {
      expect(capabilities).toMatchObject({ mtu: 1500, checksumOffload: true, segmentationOffload: 65455 })
    })
  })

  test("the kernel's segments arrive joined and vouched for; ours are cut and believed", async () => {
    await withTap({ ...ADDRESSED, offload: true }, async (device) => {
      const received: Array<number> = []
      const enough = Promise.withResolvers<void>()
      const payload = new Uint8Array(60_000).map((_, index) => index % 253)
      const connecting = Bun.connect({
        hostname: "198.18.0.2",
        port: 80,
        socket: {
          data: (_socket, chunk) => {
            for (const octet of chunk) received.push(octet)
            if (received.length >= payload.length) enough.resolve()
          },
        },
      })
      const flow = await within(3000, accept(device))
      const socket = await connecting

      socket.write(new Uint8Array(60_000))
      const big = await frameWhere(device, ({ bytes }) => payloadLength(bytes) > 1460)
      expect(big.bytes.length).toBeGreaterThan(1518)
      expect(big).toMatchObject({ checksumVouched: true, segmentSize: 1460 })

      transmitMade(device, data(flow, payload))
      await within(3000, enough.promise)
      expect(Uint8Array.from(received)).toEqual(payload)
      expect(device.counters).toMatchObject({ txPackets: 3, txDropped: 0 })
      socket.terminate()
    })
  })

  test("without it, the same kernel sends frames of the MTU and vouches for none", async () => {
    await withTap(ADDRESSED, async (device) => {
      const connecting = Bun.connect({ hostname: "198.18.0.2", port: 80, socket: { data: () => {} } })
      await frameWhere(device, isArpRequest)
      transmit(device, arpReply(device))
      const syn = await frameWhere(device, ({ bytes }) => isSyn(bytes))
      transmit(device, finished(synAck(flowOf(syn.bytes))))
      const socket = await within(3000, connecting)
      socket.write(new Uint8Array(60_000))
      const sizes: Array<number> = []
      await frameWhere(device, ({ bytes, checksumVouched, segmentSize }) => {
        expect({ checksumVouched, segmentSize }).toEqual({ checksumVouched: false, segmentSize: 0 })
        sizes.push(bytes.length)
        return payloadLength(bytes) === 1460
      })
      expect(Math.max(...sizes)).toBe(1514)
      socket.terminate()
    })
  })

  test("an interface whose last user had offload on does not surprise the next, who has not", async () => {
    const before = attach("nf10", true)
    setPersistent(before.fd, true)
    close(before.fd)
    await withTap({ name: "nf10", napi: false }, (device) => {
      bringUp("nf10")
      const reader = packetSocket("nf10")
      const frame = experimental(device, 100)
      transmit(device, frame)
      expect(reader.next()).toEqual(frame)
      reader.close()
    })
    ip("link", "del", "nf10")
  })
})

kernelSuite("TAP device: gathering", import.meta.path, (test) => {
  const MSS = 1448
  /** Segments of one flow in order, the last with `lastFlags`; what the kernel's network layer sees at once, payload octets each. */
  const seen = async (device: Device, count: number, lastFlags: number): Promise<ReadonlyArray<number>> => {
    const mac = new Uint8Array(new BigUint64Array([BigInt(interfaceMac(device.name))]).buffer, 0, 6).toReversed()
    const flow = {
      destinationMac: mac,
      sourceMac: Uint8Array.of(2, 0, 0, 0, 0, 9),
      source: Uint8Array.of(198, 18, 0, 2),
      destination: Uint8Array.of(198, 18, 0, 1),
      sourcePort: 9,
      destinationPort: 40_000,
      irs: 1,
    }
    const frames = Array.from({ length: count }, (_, n) => {
      const flags = n === count - 1 ? lastFlags : ACK
      return finished(segment(flow, { seq: 1 + n * MSS, ack: 2, flags, payload: new Uint8Array(MSS) }))
    })
    const reader = packetSocket(device.name, 0x0800)
    for (const frame of frames) transmit(device, frame)
    const lengths: Array<number> = []
    for (let octets = 0; octets < count * MSS; ) {
      const length = payloadLength(await found("the next segment", () => reader.next()))
      lengths.push(length)
      octets += length
    }
    reader.close()
    return lengths
  }

  test("segments of a flow reach the kernel's TCP as one, at once when the last is pushed", async () => {
    await withTap(ADDRESSED, async (device) => {
      // Where this thread is held up in the middle, the kernel's patience is over.
      let lengths: ReadonlyArray<number> = []
      for (let n = 0; n < 500 && lengths.length !== 1; n++) lengths = await seen(device, 5, ACK | PSH)
      expect(lengths).toEqual([5 * MSS])
    })
  })

  test("and one by one where it is not wanted", async () => {
    await withTap({ ...ADDRESSED, napi: false }, async (device) => {
      expect(device.capabilities.gathers).toBe(false)
      expect(await seen(device, 3, ACK | PSH)).toEqual([MSS, MSS, MSS])
    })
  })

  test("what is not pushed arrives soon all the same", async () => {
    await withTap(ADDRESSED, async (device) => {
      const lengths = await seen(device, 2, ACK)
      expect(lengths.reduce((x, y) => x + y)).toBe(2 * MSS)
    })
  })

  test("an interface that was there: the same, and left to the writer where that is wanted", async () => {
    const before = attach("nf11", false)
    setPersistent(before.fd, true)
    close(before.fd)
    await withTap({ name: "nf11", napi: false }, ({ capabilities }) => expect(capabilities.gathers).toBe(false))
    await withTap({ name: "nf11" }, ({ capabilities }) => expect(capabilities.gathers).toBe(true))
    ip("link", "del", "nf11")
  })

  test("one queue of several: each of them", async () => {
    const name = "nf12"
    await withTap({ name, multiQueue: true }, async ({ capabilities }) => {
      expect(capabilities.gathers).toBe(true)
      await withTap({ name, multiQueue: true }, (second) => expect(second.capabilities.gathers).toBe(true))
    })
  })

  test("with offload there is nothing to join", async () => {
    await withTap({ offload: true }, ({ capabilities }) => expect(capabilities.gathers).toBe(false))
  })
})
