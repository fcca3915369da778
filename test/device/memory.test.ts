import { describe, expect, test } from "bun:test"
import { type Device, NO_OFFLOAD, type Offload, type ReceivedFrame } from "../../src/device/device.ts"
import { memoryPair } from "../../src/device/memory.ts"

/** Sends `octets`, and says whether the device took them. */
const send = (device: Device, octets: ReadonlyArray<number>, offload: Offload = NO_OFFLOAD): boolean => {
  const memory = device.reserve(octets.length)
  if (memory === undefined) return false
  memory.set(octets)
  device.commit(octets.length, offload)
  return true
}

const sendLength = (device: Device, length: number, offload: Offload = NO_OFFLOAD): boolean => {
  if (device.reserve(length) === undefined) return false
  const before = device.counters.txPackets
  device.commit(length, offload)
  device.flush()
  return device.counters.txPackets > before
}

const octetsOf = ({ bytes, offset, length }: ReceivedFrame) => [...bytes.subarray(offset, offset + length)]

const receiveAll = (device: Device, budget = 1000): Array<Array<number>> => {
  const frames: Array<Array<number>> = []
  device.receive((frame) => frames.push(octetsOf(frame)), budget)
  device.flush()
  return frames
}

const woken = (device: Device): Promise<void> => new Promise((resolve) => device.wake(resolve))
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

const SUPER: Offload = { checksumStart: 34, checksumOffset: 16, segmentSize: 1448, headerLength: 66, family: 4 }
const CHECKSUM: Offload = { ...SUPER, segmentSize: 0, headerLength: 0 }

describe("memory pair: the wire", () => {
  test("frames arrive in order, whole, at the other end only", () => {
    const [left, right] = memoryPair()
    for (const frame of [[1, 2, 3], [4], [5, 6]]) send(left, frame)
    left.flush()
    expect(receiveAll(right)).toEqual([[1, 2, 3], [4], [5, 6]])
    expect(receiveAll(left)).toEqual([])
  })

  test("both directions are separate", () => {
    const [left, right] = memoryPair()
    send(left, [1])
    send(right, [2])
    left.flush()
    right.flush()
    expect(receiveAll(left)).toEqual([[2]])
    expect(receiveAll(right)).toEqual([[1]])
  })

  test("nothing arrives before flush", () => {
    const [left, right] = memoryPair()
    send(left, [1])
    expect(receiveAll(right)).toEqual([])
    left.flush()
    expect(receiveAll(right)).toEqual([[1]])
  })

  test("a reservation that is not committed sends nothing", () => {
    const [left, right] = memoryPair()
    left.reserve(3)
    send(left, [9])
    left.flush()
    expect(receiveAll(right)).toEqual([[9]])
    left.commit(1, NO_OFFLOAD)
    left.flush()
    expect(receiveAll(right)).toEqual([])
  })

  test("receive keeps to its budget", () => {
    const [left, right] = memoryPair()
    for (const octet of [1, 2, 3, 4, 5]) send(left, [octet])
    left.flush()
    expect(receiveAll(right, 2)).toEqual([[1], [2]])
    expect(receiveAll(right)).toEqual([[3], [4], [5]])
  })

  test("memory is used again: as much sent after the first round as before it", () => {
    const [left, right] = memoryPair({ capacity: 4 })
    for (let round = 0; round < 100; round++) {
      for (let octet = 0; octet < 3; octet++) expect(send(left, [round, octet])).toBe(true)
      left.flush()
      expect(receiveAll(right)).toEqual([
        [round, 0],
        [round, 1],
        [round, 2],
      ])
    }
    expect(left.counters.txPackets).toBe(300)
    expect(right.counters.rxBytes).toBe(600)
  })

  test("a visitor that answers on the same device does not disturb the batch", () => {
    const [left, right] = memoryPair({ capacity: 2 })
    send(left, [1])
    send(left, [2])
    left.flush()
    const seen: Array<number> = []
    right.receive((frame) => {
      seen.push(...octetsOf(frame))
      send(right, [...octetsOf(frame), 0])
    }, 10)
    right.flush()
    expect(seen).toEqual([1, 2])
    expect(receiveAll(left)).toEqual([
      [1, 0],
      [2, 0],
    ])
  })
})

describe("memory pair: bounds", () => {
  test("frames that were seen stay as they are until the batch ends; then the sender has their places", () => {
    const [left, right] = memoryPair({ capacity: 2 })
    const views: Array<Uint8Array> = []
    for (const octet of [1, 2]) send(left, [octet])
    left.flush()
    right.receive(({ bytes, offset }) => views.push(bytes.subarray(offset, offset + 1)), 10)
    expect(send(left, [3])).toBe(false)
    expect(views.map(([octet]) => octet)).toEqual([1, 2])
    right.flush()
    expect(send(left, [3])).toBe(true)
  })

  test("a full wire drops the newest frame and counts it", () => {
    const [left, right] = memoryPair({ capacity: 2 })
    expect([1, 2, 3].map((octet) => send(left, [octet]))).toEqual([true, true, false])
    left.flush()
    expect(receiveAll(right)).toEqual([[1], [2]])
    expect(left.counters).toMatchObject({ txPackets: 2, txDropped: 1 })
    expect(send(left, [4])).toBe(true)
  })

  const cases: ReadonlyArray<readonly [string, number, boolean, Offload, boolean]> = [
    ["a full frame", 1500 + 14, false, NO_OFFLOAD, true],
    ["a full frame with a VLAN tag", 1500 + 18, false, NO_OFFLOAD, true],
    ["more than the MTU", 1500 + 19, false, NO_OFFLOAD, false],
    ["more than the MTU to be cut by a device that cannot", 9000, false, SUPER, false],
    ["more than the MTU to be cut", 9000, true, SUPER, true],
    ["more than the MTU not to be cut by a device that could", 9000, true, NO_OFFLOAD, false],
    ["the largest super-segment", 65535 + 14, true, SUPER, true],
    ["more than an IP packet", 65535 + 19, true, SUPER, false],
  ]
  test.each([...cases])("%s", (_name, length, segmentationOffload, offload, taken) => {
    const [left, right] = memoryPair({ segmentationOffload })
    expect(sendLength(left, length, offload)).toBe(taken)
    expect(left.counters.txDropped).toBe(taken ? 0 : 1)
    expect(receiveAll(right).map((frame) => frame.length)).toEqual(taken ? [length] : [])
  })

  test("the MTU is an option", () => {
    const [left] = memoryPair({ mtu: 9000 })
    expect(left.capabilities.mtu).toBe(9000)
    expect(sendLength(left, 9014)).toBe(true)
  })
})

describe("memory pair: offload", () => {
  const received = (options: Parameters<typeof memoryPair>[0], offload: Offload) => {
    const [left, right] = memoryPair(options)
    sendLength(left, 100, offload)
    const seen: Array<readonly [boolean, number]> = []
    right.receive((frame) => seen.push([frame.checksumVouched, frame.segmentSize]), 10)
    return seen
  }

  test("without it, nothing is vouched for and nothing is joined", () => {
    expect(received({}, SUPER)).toEqual([[false, 0]])
  })
  test("a partial checksum arrives vouched for", () => {
    expect(received({ checksumOffload: true }, CHECKSUM)).toEqual([[true, 0]])
  })
  test("a finished checksum is the receiver's to verify", () => {
    expect(received({ checksumOffload: true }, NO_OFFLOAD)).toEqual([[false, 0]])
  })
  test("a super-segment says how it would have been cut", () => {
    expect(received({ checksumOffload: true, segmentationOffload: true }, SUPER)).toEqual([[true, 1448]])
  })
})

describe("memory pair: wake", () => {
  test("fires when a frame is flushed, once", async () => {
    const [left, right] = memoryPair()
    let calls = 0
    right.wake(() => calls++)
    await turn()
    expect(calls).toBe(0)
    send(left, [1])
    await turn()
    expect(calls).toBe(0)
    left.flush()
    expect(calls).toBe(0)
    await turn()
    expect(calls).toBe(1)
    send(left, [2])
    left.flush()
    await turn()
    expect(calls).toBe(1)
  })

  test("fires when a frame is waiting already", async () => {
    const [left, right] = memoryPair()
    send(left, [1])
    left.flush()
    await woken(right)
    expect(receiveAll(right)).toEqual([[1]])
  })

  test("only the last callback counts", async () => {
    const [left, right] = memoryPair()
    const calls: Array<string> = []
    right.wake(() => calls.push("first"))
    right.wake(() => calls.push("second"))
    send(left, [1])
    left.flush()
    await turn()
    expect(calls).toEqual(["second"])
  })
})

describe("memory pair: close", () => {
  test("ends everything, quietly", async () => {
    const [left, right] = memoryPair({ capacity: 4 })
    let calls = 0
    right.wake(() => calls++)
    send(left, [1])
    left.flush()
    right.close()
    right.close()
    await turn()
    expect(calls).toBe(0)
    expect(receiveAll(right)).toEqual([])
    expect(right.reserve(10)).toBeUndefined()
    right.commit(10, NO_OFFLOAD)
    right.flush()
    right.wake(() => calls++)
    await turn()
    expect(calls).toBe(0)
    expect(receiveAll(left)).toEqual([])
  })

  test("in the middle of a batch ends the batch", () => {
    const [left, right] = memoryPair()
    send(left, [1])
    send(left, [2])
    left.flush()
    expect(right.receive(() => right.close(), 10)).toBe(1)
  })

  test("the other end fills the wire, then drops", () => {
    const [left, right] = memoryPair({ capacity: 2 })
    right.close()
    expect([1, 2, 3].map((octet) => send(left, [octet]))).toEqual([true, true, false])
    expect(left.failure()).toBeUndefined()
  })
})
