import { describe, test } from "bun:test"
import fc from "fast-check"
import { ReceiveQueue } from "../../src/host/receiveQueue.ts"
import { EMPTY_REASSEMBLY, insert, type Reassembly, takeAt } from "../../src/tcp/reassembly.ts"
import { append, dropBefore, emptyQueue, end, type SendQueue, slice } from "../../src/tcp/sendQueue.ts"
import { add, distance } from "../../src/tcp/seq.ts"
import { must, PATIENCE, runs } from "./support.ts"

const anyStart = fc.oneof(fc.constantFrom(0, 0xffff_ffff, 0xffff_fff0), fc.nat(0xffff_ffff))

const same = (x: Uint8Array, y: Uint8Array): boolean => Buffer.compare(x, y) === 0

describe("a send queue", () => {
  /** One change to any version so far, not only the latest. */
  const anyChange = fc.record({
    version: fc.nat(1000),
    change: fc.oneof(
      fc.record({ append: fc.uint8Array({ maxLength: 20 }) }),
      fc.record({ drop: fc.nat(30) }),
      fc.record({ append: fc.uint8Array({ minLength: 1, maxLength: 1 }) }),
    ),
  })

  test(
    "appended to and dropped from, any version of it: every version keeps its own octets",
    () => {
      fc.assert(
        fc.property(anyStart, fc.array(anyChange, { maxLength: 80 }), (start, changes) => {
          const versions: Array<{ readonly queue: SendQueue; readonly model: Uint8Array }> = [
            { queue: emptyQueue(start), model: new Uint8Array(0) },
          ]
          for (const { version, change } of changes) {
            // The newest more often than the others: that is how it is used.
            const index = version % 3 === 0 ? version % versions.length : versions.length - 1
            const from = versions[index]
            if (from === undefined) throw new Error("no version")
            if ("append" in change) {
              const model = new Uint8Array([...from.model, ...change.append])
              versions.push({ queue: append(from.queue, change.append), model })
            } else {
              const n = Math.min(change.drop, from.model.length)
              const queue = dropBefore(from.queue, add(from.queue.start, n))
              versions.push({ queue, model: from.model.slice(n) })
            }
          }
          for (const [index, { queue, model }] of versions.entries()) {
            must(queue.length === model.length, `version ${index} has ${queue.length} octets, not ${model.length}`)
            must(distance(end(queue), queue.start) === model.length, `version ${index} ends elsewhere`)
            must(same(slice(queue, queue.start, queue.length), model), `version ${index} has other octets`)
            const middle = model.length >> 1
            const tail = slice(queue, add(queue.start, middle), model.length - middle)
            must(same(tail, model.slice(middle)), `version ${index} has another tail`)
          }
        }),
        runs(300),
      )
    },
    PATIENCE,
  )
})

/** Blocks of one SACK option. */
const OPTION_HOLDS = 4

describe("reassembly", () => {
  const anyPiece = fc.record({ from: fc.nat(200), length: fc.integer({ min: 1, max: 60 }) })

  test(
    "pieces in any order, overlapping: what becomes in order is the stream, nothing twice, nothing lost",
    () => {
      fc.assert(
        fc.property(anyStart, fc.array(anyPiece, { maxLength: 40 }), (start, arrivals) => {
          const stream = Uint8Array.from({ length: 300 }, (_, i) => (i * 7) & 0xff)
          const held = new Set<number>()
          let queue: Reassembly = EMPTY_REASSEMBLY
          let nxt = 0
          let forgotten = false
          for (const { from, length } of arrivals) {
            // Never at RCV.NXT or before it: that would be in order.
            const at = Math.max(from, nxt + 1)
            const bytes = stream.slice(at, at + length)
            if (bytes.length === 0) continue
            const next = insert(queue, add(start, at), bytes, false)
            if (next === undefined) throw new Error("refused")
            queue = next
            for (let i = at; i < at + bytes.length; i++) held.add(i)
            must(queue.length === held.size, `${queue.length} octets held, not ${held.size}`)
            const [latest] = queue.blocks
            const told =
              latest !== undefined && distance(latest.left, start) <= at && distance(latest.right, start) > at
            must(told, "the first block is not the latest arrival's (RFC 2018 section 4)")
            forgotten ||= runsIn(held) > OPTION_HOLDS
            checkBlocks(queue, start, held, forgotten)
            if (from % 5 === 0) {
              // The next octet arrives in order: what follows it comes along.
              const { taken, rest } = takeAt(queue, add(start, nxt + 1))
              const got = Buffer.concat(taken)
              must(same(got, stream.slice(nxt + 1, nxt + 1 + got.length)), "other octets")
              nxt += 1 + got.length
              must(!held.has(nxt), "something in order was left")
              for (const i of held) if (i < nxt) held.delete(i)
              queue = rest
              must(queue.length === held.size, `${queue.length} octets stay, not ${held.size}`)
              checkBlocks(queue, start, held, forgotten)
            }
          }
        }),
        runs(500),
      )
    },
    PATIENCE,
  )

  /** The blocks are runs of what is held: all of them, while an option has always had room for all. */
  const checkBlocks = (queue: Reassembly, start: number, held: ReadonlySet<number>, forgotten: boolean): void => {
    const covered = new Set<number>()
    must(queue.blocks.length <= OPTION_HOLDS, `${queue.blocks.length} blocks`)
    for (const { left, right } of queue.blocks) {
      const from = distance(left, start)
      const to = distance(right, start)
      must(from < to && !held.has(from - 1) && !held.has(to), "a block is not a whole run")
      for (let i = from; i < to; i++) {
        must(held.has(i) && !covered.has(i), "a block reports what is not held, or twice")
        covered.add(i)
      }
    }
    must(forgotten || covered.size === held.size, `${covered.size} of ${held.size} octets are in blocks`)
  }

  const runsIn = (held: ReadonlySet<number>): number => [...held].filter((i) => !held.has(i - 1)).length
})

describe("a receive queue", () => {
  const anyCall = fc.oneof(
    fc.record({ push: fc.uint8Array({ minLength: 1, maxLength: 20 }) }),
    fc.record({ push: fc.uint8Array({ minLength: 400, maxLength: 1200 }) }),
    fc.record({ shift: fc.integer({ min: 1, max: 1500 }) }),
  )

  test(
    "small and large pushes, reads of any size: the octets in order, as they were when pushed",
    () => {
      fc.assert(
        fc.property(fc.array(anyCall, { maxLength: 120 }), (calls) => {
          const queue = new ReceiveQueue()
          const given: Array<{ readonly bytes: Uint8Array; readonly copy: Uint8Array }> = []
          let model: ReadonlyArray<number> = []
          for (const call of calls) {
            if ("push" in call) {
              const memory = call.push.slice()
              queue.push(memory)
              model = [...model, ...memory]
              // Device memory, used again at once.
              memory.fill(0)
            } else {
              const bytes = queue.shift(call.shift)
              must((bytes === undefined) === (model.length === 0), "nothing where there is something")
              if (bytes === undefined) continue
              must(bytes.length > 0 && bytes.length <= call.shift, `${bytes.length} octets for ${call.shift}`)
              must(same(bytes, Uint8Array.from(model.slice(0, bytes.length))), "other octets")
              model = model.slice(bytes.length)
              given.push({ bytes, copy: bytes.slice() })
            }
            must(queue.length === model.length, "another length")
          }
          // What was handed out is the caller's: later pushes leave it alone.
          for (const { bytes, copy } of given) must(same(bytes, copy), "what was read has changed")
        }),
        runs(200),
      )
    },
    PATIENCE,
  )
})
