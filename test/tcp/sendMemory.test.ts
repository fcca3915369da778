import { describe, expect, test } from "bun:test"
import { memoryFor, memoryRoom, memoryUsed } from "../../src/tcp/sendMemory.ts"
import { append } from "../../src/tcp/sendQueue.ts"
import { isSynchronized, type Synchronized } from "../../src/tcp/tcb.ts"
import { open } from "./support/peer.ts"

const SEND_OVERHEAD = 832
const WINDOW = 32_896

/** Ten segments' window, nothing sent yet, over a path so short that nothing cuts what the window lets go. */
const fresh = (mss: number, burst = 65_160): Synchronized => {
  const { tcb } = open({
    settings: { sendOverhead: SEND_OVERHEAD, tcpTimestamps: false },
    habits: { timestamps: false, mss },
    path: { mss, burst },
  })
  if (!isSynchronized(tcb)) throw new Error("no connection")
  return { ...tcb, snd: { ...tcb.snd, wnd: WINDOW, maxWnd: WINDOW }, rto: { ...tcb.rto, srtt: 0 } }
}

const holding = (octets: number, record = false): Synchronized => {
  const tcb = fresh(1000)
  return { ...tcb, queue: append(tcb.queue, new Uint8Array(octets), record) }
}

describe("what a send buffer takes at once, as Linux 6.18 does", () => {
  test.each([
    [1000, 4608, 26_000],
    [1000, 8192, 26_000],
    [1000, 20_000, 26_000],
    [1000, 40_000, 42_000],
    [1000, 80_000, 90_000],
    [1000, 200_000, 202_000],
    [1000, 400_000, 394_000],
    [1460, 20_000, 30_660],
    [1460, 40_000, 46_720],
    [1460, 80_000, 78_840],
    [1460, 200_000, 191_260],
    [1460, 400_000, 383_980],
  ])("segments of %d, %d octets of memory: %d", (mss, limit, taken) => {
    expect(memoryRoom(fresh(mss), limit)).toBe(taken)
  })

  test("what leaves in bursts of two segments takes more of it", () => {
    const tcb = fresh(1000)
    expect(memoryRoom({ ...tcb, rto: { ...tcb.rto, srtt: 100_000 } }, 80_000)).toBe(74_000)
  })

  test("without offload each segment is a packet", () => {
    expect(memoryRoom(fresh(1000, 0), 4608)).toBe(3000)
    expect(memoryRoom(fresh(1000, 0), 5497)).toBe(4000)
  })
})

describe("a packet that waits", () => {
  test.each([
    ["is filled, however full the buffer", holding(3000), 1, 13_000],
    ["not where it ends a record", holding(3000, true), 1, 0],
    ["is full where the buffer is", holding(35_000), 1, 0],
  ])("%s", (_, tcb, limit, taken) => {
    // Nothing may leave meanwhile.
    expect(memoryRoom({ ...tcb, cc: { ...tcb.cc, cwnd: 0 } }, limit)).toBe(taken)
  })

  test.each([
    [0, 0],
    [1, 1 + SEND_OVERHEAD],
    [16_000, 16_000 + SEND_OVERHEAD],
    [16_001, 16_001 + 2 * SEND_OVERHEAD],
  ])("%d octets take %d of memory", (octets, memory) => {
    expect(memoryUsed(holding(octets))).toBe(memory)
  })
})

test.each([
  [1000, 10, 2 * 10 * 2304],
  [1000, 40, 2 * 40 * 2304],
  [1460, 10, 2 * 10 * 4352],
  [1000, 2, 2 * 10 * 2304],
])("segments of %d, a window of %d: %d octets of memory", (mss, cwnd, memory) => {
  const tcb = fresh(mss)
  expect(memoryFor({ ...tcb, cc: { ...tcb.cc, cwnd: cwnd * mss } })).toBe(memory)
})
