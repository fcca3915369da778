import { expect, test } from "bun:test"
import { Effect } from "effect"
import { errnoName } from "../../ffi/errno.ts"
import { pinned } from "../../ffi/memory.ts"
import { openNetmapPort } from "../../ffi/netmap.ts"
import { NetmapLibraryMissing } from "../../ffi/netmapError.ts"
import { NS_MOREFRAG, Ring, Slot } from "../../ffi/netmapLayout.ts"
import type { NetmapRing } from "../../ffi/netmapRing.ts"
import { type Device, NO_OFFLOAD, type Offload } from "../../src/device/device.ts"
import { checkedMac } from "../../src/device/mac.ts"
import { type NetmapError, openNetmap, portName } from "../../src/device/netmap.ts"
import { explain } from "../../src/device/netmapError.ts"
import { netmapSuite, scoped, type Universe } from "./netmapSuite.ts"

const BROADCAST = [255, 255, 255, 255, 255, 255]
const A = [2, 0, 0, 0, 0, 1]

/** A broadcast whose octets tell where they are. */
const frameOf = (length: number, seed = 0): Uint8Array<ArrayBuffer> => {
  const frame = new Uint8Array(length).map((_, index) => (index * 7 + seed) % 251)
  frame.set([...BROADCAST, ...A, 0x88, 0xb5])
  return frame
}

const send = (device: Device, frame: Uint8Array, offload: Offload = NO_OFFLOAD): boolean => {
  const out = device.reserve(frame.length)
  if (out === undefined) return false
  out.set(frame)
  device.commit(frame.length, offload)
  return true
}

const receiveAll = (device: Device, budget = 5000): ReadonlyArray<Uint8Array> => {
  const frames: Array<Uint8Array> = []
  device.receive(({ bytes, offset, length }) => frames.push(bytes.slice(offset, offset + length)), budget)
  return frames
}

const pair = (universe: Universe, left: string, right: string, mtu = 1500) =>
  Effect.all([universe.open({ port: left, mtu }), universe.open({ port: right, mtu })])

const refusal = (universe: Universe, port: string): Promise<NetmapError> => scoped(Effect.flip(universe.open(port)))

test.each([
  ["vale0:a", "vale0:a"],
  ["netmap:vale0:a", "vale0:a"],
  ["eth0", "netmap:eth0"],
  ["netmap:eth0-1/x", "netmap:eth0-1/x"],
  ["x{1", "netmap:x{1"],
])("the port %p is netmap's %p", (given, name) => {
  expect(portName(given)).toBe(name)
})

netmapSuite("netmap frames", (test) => {
  test("of every size arrive as they are, in order: one buffer, several, and the sizes between", async (universe) => {
    await scoped(
      Effect.map(pair(universe, "valenf0:a", "valenf0:b", 9000), ([a, b]) => {
        const frames = [60, 61, 1514, 2047, 2048, 2049, 4095, 4096, 4097, 9014].map((length) => frameOf(length, length))
        for (const frame of frames) expect(send(a, frame)).toBe(true)
        a.flush()
        expect(receiveAll(b)).toEqual(frames)
        const octets = frames.reduce((sum, { length }) => sum + length, 0)
        expect(a.counters).toMatchObject({ txPackets: frames.length, txBytes: octets, txDropped: 0 })
        expect(b.counters).toMatchObject({ rxPackets: frames.length, rxBytes: octets, rxDropped: 0 })
      }),
    )
  })

  test("go nowhere before the flush, and there at once with it", async (universe) => {
    await scoped(
      Effect.map(pair(universe, "valenf1:a", "valenf1:b"), ([a, b]) => {
        send(a, frameOf(60))
        expect(receiveAll(b)).toEqual([])
        a.flush()
        expect(receiveAll(b)).toHaveLength(1)
        a.flush()
        expect(receiveAll(b)).toEqual([])
      }),
    )
  })

  test("a switch learns: the second answer to a station reaches it alone", async (universe) => {
    await scoped(
      Effect.gen(function* () {
        const [a, b] = yield* pair(universe, "valenf2:a", "valenf2:b")
        const c = yield* universe.open("valenf2:c")
        send(a, frameOf(60))
        a.flush()
        expect([receiveAll(b).length, receiveAll(c).length]).toEqual([1, 1])
        const answer = frameOf(60)
        answer.set([...A, 2, 0, 0, 0, 0, 2])
        send(b, answer)
        b.flush()
        expect([receiveAll(a).length, receiveAll(c).length]).toEqual([1, 0])
      }),
    )
  })

  test("the ring goes round, whatever the frames' sizes", async (universe) => {
    await scoped(
      Effect.map(pair(universe, "valenf3:a", "valenf3:b", 9000), ([a, b]) => {
        for (let round = 0; round < 400; round++) {
          const frames = [1514, 60, 5000, 2048].map((length) => frameOf(length, round))
          for (const frame of frames) send(a, frame)
          a.flush()
          expect(receiveAll(b)).toEqual(frames)
        }
      }),
    )
  })

  test("a switch gives no back-pressure: what its receiver has no room for is lost, and nobody is told", async (universe) => {
    await scoped(
      Effect.map(pair(universe, "valenf4:a", "valenf4:b"), ([a, b]) => {
        for (let n = 0; n < 3000; n++) expect(send(a, frameOf(60, n % 200))).toBe(true)
        a.flush()
        expect(a.counters).toMatchObject({ txPackets: 3000, txDropped: 0 })
        // All slots but one.
        expect(receiveAll(b)).toHaveLength(1023)
        expect(receiveAll(b)).toEqual([])
      }),
    )
  })

  test("a pipe does: its sender is refused, counted, and goes on when there is room", async (universe) => {
    await scoped(
      Effect.map(pair(universe, "valenf5:x{1", "valenf5:x}1"), ([a, b]) => {
        let sent = 0
        while (send(a, frameOf(60)) && sent < 10_000) sent++
        expect(sent).toBeGreaterThanOrEqual(1023)
        expect(sent).toBeLessThan(10_000)
        expect(a.counters.txDropped).toBe(1)
        a.flush()
        let received = 0
        for (let n = receiveAll(b).length, idle = 0; idle < 2; n = receiveAll(b).length) {
          received += n
          idle = n === 0 ? idle + 1 : 0
          a.flush()
        }
        // What did not fit into the other end's ring has waited in ours.
        expect(received).toBe(sent)
        expect(send(a, frameOf(60))).toBe(true)
        expect(a.failure()).toBeUndefined()
      }),
    )
  })

  test("a pipe: what waits in a full one leaves while its sender sleeps", async (universe) => {
    await scoped(
      Effect.gen(function* () {
        const [a, b] = yield* pair(universe, "valenfp:x{1", "valenfp:x}1")
        for (let n = 0; n < 1500; n++) send(a, frameOf(60))
        a.flush()
        a.wake(() => {})
        let received = 0
        for (let n = 0; n < 50 && received < 1500; n++) {
          received += receiveAll(b).length
          yield* Effect.sleep("5 millis")
        }
        expect(received).toBe(1500)
      }),
    )
  })

  test("receive keeps to its budget, and a frame lies in device memory", async (universe) => {
    await scoped(
      Effect.map(pair(universe, "valenf6:a", "valenf6:b"), ([a, b]) => {
        for (let n = 0; n < 10; n++) send(a, frameOf(100, n))
        a.flush()
        expect(receiveAll(b, 4)).toHaveLength(4)
        let memory: Uint8Array | undefined
        b.receive(({ bytes }) => {
          memory = bytes
        }, 1)
        expect(memory?.length).toBeGreaterThan(1_000_000)
        expect(receiveAll(b, 100)).toEqual([5, 6, 7, 8, 9].map((n) => frameOf(100, n)))
      }),
    )
  })

  test("a visit that throws loses its own frame and no other", async (universe) => {
    await scoped(
      Effect.map(pair(universe, "valenf7:a", "valenf7:b"), ([a, b]) => {
        for (let n = 0; n < 3; n++) send(a, frameOf(100, n))
        a.flush()
        const throwing = () => {
          throw new Error("no")
        }
        expect(() => b.receive(throwing, 10)).toThrow("no")
        expect(receiveAll(b)).toEqual([frameOf(100, 1), frameOf(100, 2)])
      }),
    )
  })

  test("more than the MTU is refused and counted", async (universe) => {
    await scoped(
      Effect.map(universe.open("valenf8:a"), (a) => {
        expect(a.reserve(1519)).toBeUndefined()
        expect(a.reserve(1518)).toBeDefined()
        a.commit(1519, NO_OFFLOAD)
        expect(a.counters).toMatchObject({ txPackets: 0, txDropped: 2 })
      }),
    )
  })

  test("waking: not before a frame, then once for each arming", async (universe) => {
    await scoped(
      Effect.gen(function* () {
        const [a, b] = yield* pair(universe, "valenf9:a", "valenf9:b")
        let calls = 0
        const { promise, resolve } = Promise.withResolvers<void>()
        b.wake(() => {
          calls++
          resolve()
        })
        yield* Effect.sleep("30 millis")
        expect(calls).toBe(0)
        send(a, frameOf(60))
        a.flush()
        yield* Effect.promise(() => promise)
        send(a, frameOf(60))
        a.flush()
        yield* Effect.sleep("30 millis")
        expect(calls).toBe(1)
        expect(receiveAll(b)).toHaveLength(2)
      }),
    )
  })
})

netmapSuite("netmap close", (test) => {
  test("empties every view of the memory, whoever holds it; every call is a no-op", async (universe) => {
    const [a, b] = await scoped(
      Effect.map(pair(universe, "valenfc0:a", "valenfc0:b"), ([a, b]) => {
        send(a, frameOf(60))
        a.flush()
        return [a, b] as const
      }),
    )
    expect(receiveAll(b)).toEqual([])
    expect(a.reserve(60)).toBeUndefined()
    a.commit(60, NO_OFFLOAD)
    a.flush()
    a.wake(() => expect.unreachable())
    a.close()
  })

  test("a reserved slot and a received frame outlive the device as nothing", async (universe) => {
    let reserved: Uint8Array | undefined
    let received: Uint8Array | undefined
    await scoped(
      Effect.map(pair(universe, "valenfc1:a", "valenfc1:b"), ([a, b]) => {
        send(b, frameOf(60))
        b.flush()
        a.receive(({ bytes }) => {
          received = bytes
        }, 1)
        reserved = a.reserve(60)
        expect(reserved?.length).toBe(2048)
        expect(received?.length).toBeGreaterThan(0)
      }),
    )
    expect([reserved?.length, received?.length]).toEqual([0, 0])
    // Without the guard these would end the process.
    expect(() => reserved?.fill(1)).toThrow("detached")
    if (reserved !== undefined) reserved[0] = 1
    expect(received?.[0]).toBeUndefined()
  })

  test("in the middle of a batch ends the batch", async (universe) => {
    await scoped(
      Effect.map(pair(universe, "valenfc2:a", "valenfc2:b"), ([a, b]) => {
        for (let n = 0; n < 3; n++) send(a, frameOf(60))
        a.flush()
        expect(b.receive(() => b.close(), 10)).toBe(1)
      }),
    )
  })

  test("what was committed still goes out", async (universe) => {
    await scoped(
      Effect.map(pair(universe, "valenfc3:a", "valenfc3:b"), ([a, b]) => {
        send(a, frameOf(60))
        a.close()
        expect(receiveAll(b)).toHaveLength(1)
      }),
    )
  })
})

netmapSuite("netmap rings", (test) => {
  test("all slots but one are ours, and a head past them is never written", async ({ library }) => {
    const port = openNetmapPort("valenfr0:a", library)
    const [ring] = port.tx
    if (ring === undefined) return expect.unreachable()
    expect(ring.available).toBe(ring.slots - 1)
    expect(ring.advance(ring.slots)).toBe(false)
    expect(ring.advance(-1)).toBe(false)
    expect(ring.advance(Number.NaN)).toBe(false)
    expect(ring.head).toBe(0)
    expect(ring.advance(ring.slots - 1)).toBe(true)
    expect(ring.available).toBe(0)
    expect(ring.advance(1)).toBe(false)
    port.close()
    expect([port.syncTx(), port.syncRx()].map(errnoName)).toEqual(["EBADF", "EBADF"])
    expect(port.inject(pinned(64).address, 60)).toBe(false)
    port.close()
  })

  test("inject fills slots and says false where it found no room; a sync must follow", async ({ library }) => {
    const sender = openNetmapPort("valenfr1:a", library)
    const receiver = openNetmapPort("valenfr1:b", library)
    const frame = pinned(5000 + 64)
    frame.bytes.set(frameOf(5000))
    const [out] = sender.tx
    const [into] = receiver.rx
    if (out === undefined || into === undefined) return expect.unreachable()
    expect(sender.inject(frame.address, 5000)).toBe(true)
    expect(out.head).toBe(3)
    receiver.syncRx()
    expect(into.available).toBe(0)
    sender.syncTx()
    receiver.syncRx()
    expect(into.available).toBe(3)
    // The flags' upper octet counts the fragments: the last slot's flags are not 0, and still it is the last.
    expect([0, 1, 2].map((slot) => into.continues(slot))).toEqual([true, true, false])
    expect([0, 1, 2].map((slot) => into.length(slot))).toEqual([2048, 2048, 904])
    let filled = 0
    while (sender.inject(frame.address, 5000)) filled++
    expect(filled).toBe(Math.floor((out.slots - 1) / 3))
    sender.close()
    receiver.close()
  })

  test("a head that the kernel does not like is a failure with a name, not frames that vanish", async (universe) => {
    await scoped(
      Effect.gen(function* () {
        const device = yield* universe.open("valenfr2:a")
        const other = openNetmapPort("valenfr2:a", universe.library)
        const [ring] = other.tx
        if (ring === undefined) return expect.unreachable()
        // Somebody with the same memory writes nonsense into the ring's head.
        const words = new Uint32Array(other.memory.buffer)
        send(device, frameOf(60))
        words[(ring.offset + Ring.head) >>> 2] = 5000
        device.flush()
        expect(device.failure()).toEqual({
          device: "valenfr2:a",
          errno: "EFAULT",
          message: "valenfr2:a: netmap has reset a transmit ring (EFAULT)",
        })
        expect(device.reserve(60)).toBeUndefined()
        other.close()
      }),
    )
  })
})

netmapSuite(
  "netmap, interfaces with several rings and the host's",
  (test) => {
    const CONF = "@conf:rings=3,host-rings=2"

    test("receive rings are found behind the host's transmit rings", async ({ library }) => {
      const port = openNetmapPort(`netmap:cable0a${CONF}`, library)
      expect([port.tx.length, port.rx.length, port.rings]).toEqual([3, 3, 3])
      // Fresh rings: we own nothing of a receive ring and all but one slot of a transmit ring.
      expect(port.tx.map(({ available }) => available)).toEqual([1023, 1023, 1023])
      expect(port.rx.map(({ available }) => available)).toEqual([0, 0, 0])
      port.close()
    })

    test("the NIC's rings, one of them, and the host's are three different links", async (universe) => {
      await scoped(
        Effect.gen(function* () {
          const near = yield* universe.open(`cable0a${CONF}`)
          const far = yield* universe.open(`cable0b${CONF}`)
          const nearHost = yield* universe.open("cable0a^")
          const farHost = yield* universe.open("cable0b^")
          send(near, frameOf(60, 1))
          near.flush()
          expect([receiveAll(far).length, receiveAll(farHost).length]).toEqual([1, 0])
          send(nearHost, frameOf(60, 2))
          nearHost.flush()
          expect([receiveAll(far).length, receiveAll(farHost).length]).toEqual([0, 1])
        }),
      )
    })

    test("frames of all rings are received, and each ring can be had alone", async (universe) => {
      await scoped(
        Effect.gen(function* () {
          const near = yield* universe.open(`cable1a${CONF}`)
          const far = yield* universe.open(`cable1b${CONF}`)
          for (let port = 0; port < 64; port++) send(near, udpFrame(port))
          near.flush()
          expect(receiveAll(far)).toHaveLength(64)
          far.close()
          const rings = yield* Effect.all([0, 1, 2].map((ring) => universe.open(`cable1b-${ring}${CONF}`)))
          for (let port = 0; port < 64; port++) send(near, udpFrame(port))
          near.flush()
          const shares = rings.map((ring) => receiveAll(ring).length)
          expect(shares.reduce((sum, share) => sum + share)).toBe(64)
          for (const share of shares) expect(share).toBeGreaterThan(5)
        }),
      )
    })

    test("a full ring is followed by the next", async (universe) => {
      await scoped(
        Effect.gen(function* () {
          const a = yield* universe.open("cable2a@conf:rings=2,slots=16")
          const b = yield* universe.open("cable2b@conf:rings=2,slots=256")
          for (let n = 0; n < 30; n++) expect(send(a, frameOf(60, n))).toBe(true)
          a.flush()
          expect(receiveAll(b)).toHaveLength(30)
        }),
      )
    })

    test("NIC and host at once, and monitors, are no link with one other end", async (universe) => {
      for (const port of ["cable0a*", "cable0a/r", "cable0a/t"]) {
        expect(await refusal(universe, port)).toMatchObject({ _tag: "NetmapPortInvalid" })
      }
    })
  },
  { shimOnly: true },
)

/** IPv4 and UDP, as far as a NIC's hash looks. */
const udpFrame = (port: number): Uint8Array => {
  const frame = frameOf(60)
  frame.set([0x08, 0x00, 0x45], 12)
  frame[23] = 17
  frame.set([10, 0, 0, 1, 10, 0, 0, 2, 0x10, port, 0x20, 0], 26)
  return frame
}

netmapSuite("netmap, virtio-net header", (test) => {
  const TSO: Offload = { checksumStart: 34, checksumOffset: 16, segmentSize: 1448, headerLength: 66, family: 4 }

  test("partial checksums and uncut segments travel as they are between two ports that have it", async (universe) => {
    await scoped(
      Effect.gen(function* () {
        const a = yield* universe.open({ port: "valenfv0:a", offload: true })
        const b = yield* universe.open({ port: "valenfv0:b", offload: true })
        expect(a.capabilities).toMatchObject({ checksumOffload: true, mtu: 1500 })
        expect(a.capabilities.segmentationOffload).toBeGreaterThan(60_000)
        const seen: Array<readonly [number, boolean, number]> = []
        const lengths = [[60, NO_OFFLOAD] as const, [1514, { ...TSO, segmentSize: 0 }] as const, [60_066, TSO] as const]
        for (const [length, offload] of lengths) send(a, frameOf(length, length), offload)
        a.flush()
        b.receive(({ bytes, offset, length, checksumVouched, segmentSize }) => {
          seen.push([length, checksumVouched, segmentSize])
          expect(bytes.slice(offset, offset + length)).toEqual(frameOf(length, length))
        }, 10)
        expect(seen).toEqual([
          [60, false, 0],
          [1514, true, 0],
          [60_066, true, 1448],
        ])
      }),
    )
  })

  test("a slot that had asked for a checksum does not ask again", async (universe) => {
    await scoped(
      Effect.gen(function* () {
        const a = yield* universe.open({ port: "valenfv1:a@conf:slots=4", offload: true })
        const b = yield* universe.open({ port: "valenfv1:b", offload: true })
        const vouched: Array<boolean> = []
        for (let n = 0; n < 12; n++) {
          send(a, frameOf(100), n < 6 ? { ...TSO, segmentSize: 0 } : NO_OFFLOAD)
          a.flush()
          b.receive((frame) => vouched.push(frame.checksumVouched), 10)
        }
        expect(vouched).toEqual([...new Array<boolean>(6).fill(true), ...new Array<boolean>(6).fill(false)])
      }),
    )
  })

  test("the switch finishes checksums for a port without, and the header is the port's own business", async (universe) => {
    await scoped(
      Effect.gen(function* () {
        const a = yield* universe.open({ port: "valenfv2:a", offload: true })
        const b = yield* universe.open("valenfv2:b")
        const frame = new Uint8Array(60)
        frame.set([...BROADCAST, ...A, 0x88, 0xb5])
        frame.set([0x12, 0x34], 34)
        send(a, frame, { ...TSO, segmentSize: 0 })
        a.flush()
        const [received] = receiveAll(b)
        expect(received?.length).toBe(60)
        // The complement of the sum, at 34 + 16.
        expect([...(received?.subarray(50, 52) ?? [])]).toEqual([0xed, 0xcb])
        send(b, frameOf(70))
        b.flush()
        expect(receiveAll(a)).toEqual([frameOf(70)])
      }),
    )
  })

  test("only a switch's port can be given one", async (universe) => {
    const error = await scoped(Effect.flip(universe.open({ port: "valenfv3:x{1", offload: true })))
    expect(error._tag).toBe("NetmapPortInvalid")
  })
})

netmapSuite("netmap, refusals", (test) => {
  test("names", async (universe) => {
    for (const port of ["vale0:", "", "eth0/q"]) {
      const error = await refusal(universe, port)
      expect(error._tag).toBe("NetmapPortInvalid")
      expect(error.message).not.toContain("\n")
    }
    expect(await refusal(universe, "nf-nosuch0")).toMatchObject({
      _tag: "NetmapNotFound",
      device: "netmap:nf-nosuch0",
      message: "netmap:nf-nosuch0: netmap finds no interface of this name (ENXIO)",
    })
  })

  test("a port that somebody has for himself", async (universe) => {
    await scoped(
      Effect.gen(function* () {
        yield* universe.open("valenfx:a")
        expect(yield* Effect.flip(universe.open("valenfx:a/x"))).toMatchObject({ _tag: "NetmapBusy" })
      }),
    )
  })

  test("options out of range", async ({ library }) => {
    const wrong = [{ mtu: 67 }, { mtu: 65522 }, { mac: checkedMac(0x01_00_5e_00_00_01) }]
    for (const options of wrong) {
      const error = await scoped(Effect.flip(openNetmap({ port: "valenfx:a", library, ...options })))
      expect(error._tag).toBe("NetmapOptionInvalid")
    }
  })

  test("no library: where it was looked for, and how to say where it is", async () => {
    const named = await scoped(Effect.flip(openNetmap({ port: "vale0:a", library: "/nowhere/libnetmap.so" })))
    expect(named._tag).toBe("NetmapLibraryNotFound")
    expect(named.message).toContain("vale0:a: there is no library /nowhere/libnetmap.so")
    expect(named.message).toContain("set NETFOLD_LIBNETMAP")
    const bare = await scoped(Effect.flip(openNetmap({ port: "vale0:a", library: "libnf-nosuch.so" })))
    expect(bare.message).toContain("finds no libnf-nosuch.so (LD_LIBRARY_PATH, /etc/ld.so.conf, /lib, /usr/lib)")
  })
})

netmapSuite(
  "netmap, what only the shim can pretend",
  (test) => {
    test("no module: says so, and that the library is there", async (universe) => {
      universe.shim?.module(false)
      try {
        expect(await refusal(universe, "vale0:a")).toMatchObject({
          _tag: "NetmapModuleMissing",
          message:
            "vale0:a: libnetmap is there, the kernel's module is not (no /dev/netmap, ENOENT): as root, modprobe netmap",
        })
      } finally {
        universe.shim?.module(true)
      }
    })

    test("another version of the interface", async (universe) => {
      universe.shim?.version(13)
      try {
        expect(await refusal(universe, "vale0:a")).toMatchObject({
          _tag: "NetmapMismatch",
          message: "vale0:a: libnetmap speaks version 13 of netmap's interface, not 14",
        })
      } finally {
        universe.shim?.version(14)
      }
    })

    test("a ring whose fragments never end is emptied", async (universe) => {
      await scoped(
        Effect.gen(function* () {
          const receiver = yield* universe.open("valenfy:b@conf:slots=8")
          const raw = openNetmapPort("valenfy:b", universe.library)
          const sender = yield* universe.open("valenfy:a")
          for (let n = 0; n < 7; n++) send(sender, frameOf(60))
          sender.flush()
          const [ring] = raw.rx
          if (ring === undefined) return expect.unreachable()
          markAll(raw.memory, ring)
          expect(receiveAll(receiver)).toEqual([])
          expect(receiver.counters.rxDropped).toBe(1)
          // The next batch begins by giving the slots back.
          expect(receiveAll(receiver)).toEqual([])
          send(sender, frameOf(60))
          sender.flush()
          expect(receiveAll(receiver)).toHaveLength(1)
          raw.close()
        }),
      )
    })
  },
  { shimOnly: true },
)

/** Sets NS_MOREFRAG in every slot of a ring. */
const markAll = (memory: Uint8Array, { offset, slots }: NetmapRing): void => {
  const halves = new Uint16Array(memory.buffer)
  for (let slot = 0; slot < slots; slot++) {
    halves[(offset + Ring.slots + slot * Slot.size + Slot.flags) >>> 1] = NS_MOREFRAG
  }
}

test.each([
  [
    false,
    "vale0:a: no library: set NETFOLD_LIBNETMAP to the path of libnetmap.so; the kernel has no netmap either (no /dev/netmap)",
  ],
  [true, "vale0:a: no library: set NETFOLD_LIBNETMAP to the path of libnetmap.so"],
])("no library, and a module that is there: %p", (module, message) => {
  expect(explain("vale0:a", new NetmapLibraryMissing("no library"), module)).toMatchObject({
    _tag: "NetmapLibraryNotFound",
    message,
  })
})
