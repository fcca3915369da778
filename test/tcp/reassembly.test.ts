import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { EMPTY_REASSEMBLY, heldPart, insert, MAX_PIECES, type Reassembly, takeAt } from "../../src/tcp/reassembly.ts"
import { add, distance } from "../../src/tcp/seq.ts"
import { text } from "./support/notation.ts"
import { next, open } from "./support/peer.ts"
import { connection, type Happened, transmits, variables } from "./support/world.ts"

const permutations = <T>(items: ReadonlyArray<T>): ReadonlyArray<ReadonlyArray<T>> =>
  items.length <= 1
    ? [items]
    : items.flatMap((item, i) =>
        permutations([...items.slice(0, i), ...items.slice(i + 1)]).map((rest) => [item, ...rest]),
      )

/** Offsets from RCV.NXT of the first segment. */
interface Piece {
  readonly at: number
  readonly length: number
  readonly fin?: boolean
}

const wire = ({ at, length, fin }: Piece, iss: number): string =>
  `<${fin === true ? "FIN," : ""}ACK> seq=${add(iss, 1 + at)} ack=snd.nxt${length > 0 ? ` data=${length}` : ""}`

/** Feeds the pieces to an open connection; the octets are checked by `play`'s notation through `delivered`. */
const feed = (irs: number, pieces: ReadonlyArray<Piece>) => {
  let scene: Happened = open({ irs })
  let delivered = 0
  let closed = 0
  for (const [i, piece] of pieces.entries()) {
    scene = next(scene, 200 + i, wire(piece, irs))
    for (const effect of scene.effects) {
      if (effect._tag === "Deliver") {
        const first = add(irs, 1 + delivered)
        for (const [n, octet] of effect.bytes.entries()) {
          const seq = add(first, n)
          if (octet !== ((seq ^ (seq >>> 8) ^ (seq >>> 16)) & 0xff)) throw new Error(`a wrong octet at ${seq}`)
        }
        delivered += effect.bytes.length
      }
      if (effect._tag === "PeerClosed") closed++
    }
  }
  return { scene, delivered, closed }
}

describe("out of order", () => {
  for (const [name, irs] of [
    ["", 300],
    [", over the wrap", 0xffff_ffff - 250],
  ] as const) {
    test(`every order of five segments and a FIN${name}: all octets once, then the FIN`, () => {
      const five: ReadonlyArray<Piece> = [
        { at: 0, length: 100 },
        { at: 100, length: 100 },
        { at: 200, length: 100 },
        { at: 300, length: 100 },
        { at: 400, length: 100, fin: true },
      ]
      for (const order of permutations(five)) {
        const { scene, delivered, closed } = feed(irs, order)
        expect({ delivered, closed, state: scene.tcb._tag }).toEqual({ delivered: 500, closed: 1, state: "CLOSE-WAIT" })
        const acks = transmits(scene.effects)
        expect(acks.at(-1)?.ack).toBe(add(irs, 502))
        expect(acks.at(-1)?.options.sack).toEqual([])
      }
    })

    test(`every order of five overlapping segments and a bare FIN${name}: all octets once, then the FIN`, () => {
      const five: ReadonlyArray<Piece> = [
        { at: 0, length: 150 },
        { at: 100, length: 250 },
        { at: 120, length: 30 },
        { at: 300, length: 200 },
        { at: 500, length: 0, fin: true },
      ]
      for (const order of permutations(five)) {
        const { scene, delivered, closed } = feed(irs, order)
        expect({ delivered, closed, state: scene.tcb._tag }).toEqual({ delivered: 500, closed: 1, state: "CLOSE-WAIT" })
        const { rcv } = connection(scene)
        expect(rcv.nxt).toBe(add(irs, 502))
        expect(rcv.queue.length).toBe(0)
      }
    })
  }

  test("a hole is filled: the ACK leaves at once (RFC 5681 section 4.2)", () => {
    const ahead = next(open(), 200, "<ACK> seq=rcv.nxt+100 ack=snd.nxt data=100")
    const filled = next(ahead, 210, "<ACK> seq=rcv.nxt ack=snd.nxt data=100")
    expect(transmits(filled.effects).map((t) => t.ack)).toEqual([add(300, 201)])
  })

  test("a part of a hole is filled: the ACK leaves at once and still reports the rest", () => {
    const ahead = next(open(), 200, "<ACK> seq=rcv.nxt+100 ack=snd.nxt data=100")
    const part = next(ahead, 210, "<ACK> seq=rcv.nxt ack=snd.nxt data=50")
    expect(transmits(part.effects).map((t) => [t.ack, t.options.sack])).toEqual([[351, [{ left: 401, right: 501 }]]])
  })

  test("the payload's memory is reused after the step: what was queued stays", () => {
    const bytes = Uint8Array.of(1, 2, 3)
    const queue = insert(EMPTY_REASSEMBLY, 100, bytes, false)
    bytes.fill(0)
    expect(queue === undefined ? undefined : takeAt(queue, 100).taken.map((t) => [...t])).toEqual([[1, 2, 3]])
  })

  test("more pieces than are kept: the newcomer is refused", () => {
    // Neighbours, so that they are one run.
    let queue: Reassembly = EMPTY_REASSEMBLY
    for (let i = 0; i < MAX_PIECES; i++) queue = insert(queue, i, Uint8Array.of(1), false) ?? EMPTY_REASSEMBLY
    expect(queue.pieces).toBe(MAX_PIECES)
    expect(insert(queue, 2 * MAX_PIECES, Uint8Array.of(1), false)).toBeUndefined()
  })
})

/** The queue as a map from place to octet; an octet that came first stays. */
const SPACE = 64
const arrival = fc.record({
  at: fc.nat(SPACE - 1),
  length: fc.integer({ min: 1, max: 20 }),
  mark: fc.integer({ min: 1, max: 255 }),
})

const runsOf = (octets: ReadonlyMap<number, number>): ReadonlyArray<readonly [number, number]> => {
  const runs: Array<[number, number]> = []
  for (const at of [...octets.keys()].sort((a, b) => a - b)) {
    const last = runs.at(-1)
    if (last !== undefined && last[1] === at) last[1] = at + 1
    else runs.push([at, at + 1])
  }
  return runs
}

describe("a window of whole segments", () => {
  test("12 MB in flight, the first segment lost: every other one is kept (1 Gbit/s at 100 ms)", () => {
    const segment = new Uint8Array(1448)
    let queue: Reassembly | undefined = EMPTY_REASSEMBLY
    for (let n = 1; n <= 8600; n++) queue = queue && insert(queue, n * 1448, segment, false)
    expect(queue?.pieces).toBe(8600)
    expect(queue?.blocks).toEqual([{ left: 1448, right: 8601 * 1448 }])
  })
})

describe("thousands of holes", () => {
  const shuffled = (from: number, step: number, count: number): ReadonlyArray<number> => {
    const all = Array.from({ length: count }, (_, n) => from + step * n)
    let state = 1
    for (let n = all.length - 1; n > 0; n--) {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
      const other = state % (n + 1)
      const [x = 0, y = 0] = [all[n], all[other]]
      all[n] = y
      all[other] = x
    }
    return all
  }

  test("every second octet in any order, then the others: runs join, chunks stay few, all comes out", () => {
    const count = 1900
    const base = 0xffff_ff00
    let queue: Reassembly = EMPTY_REASSEMBLY
    const put = (at: number): void => {
      const next = insert(queue, add(base, at), Uint8Array.of(at & 0xff), false)
      if (next === undefined) throw new Error(`octet ${at} was refused`)
      queue = next
    }
    for (const at of shuffled(2, 2, count)) put(at)
    expect(queue.runs.flat().length).toBe(count)
    expect(queue.runs.length).toBeLessThan(count / 8)
    for (const at of shuffled(3, 2, count)) put(at)
    expect(queue.runs.flat().map(({ left, right }) => [left, right])).toEqual([
      [add(base, 2), add(base, 2 + 2 * count)],
    ])
    expect(heldPart(queue, add(base, 100), add(base, 200))).toEqual({ left: add(base, 100), right: add(base, 200) })
    const { taken, rest } = takeAt(queue, add(base, 3))
    expect(taken.flatMap((bytes) => [...bytes])).toEqual(
      Array.from({ length: 2 * count - 1 }, (_, n) => (n + 3) & 0xff),
    )
    expect(rest).toBe(EMPTY_REASSEMBLY)
  })

  test("runs that arrive in order share chunks", () => {
    let queue: Reassembly = EMPTY_REASSEMBLY
    for (let n = 1; n <= 1000; n++) queue = insert(queue, 2 * n, Uint8Array.of(1), false) ?? EMPTY_REASSEMBLY
    expect(queue.runs.flat().length).toBe(1000)
    expect(queue.runs.length).toBeLessThan(100)
  })
})

describe("reassembly against a map of octets", () => {
  test("any arrivals, over the wrap: the octets, the runs with the latest first, what becomes in order", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(1000, 0xffff_ffe0),
        fc.array(arrival, { maxLength: 30 }),
        fc.nat(SPACE),
        (base, arrivals, taken) => {
          const model = new Map<number, number>()
          let queue: Reassembly = EMPTY_REASSEMBLY
          let most = 0
          for (const { at, length, mark } of arrivals) {
            // The first part of it that is there already, for D-SACK.
            const run = runsOf(model).find(([left, right]) => left < at + length && right > at)
            const held = heldPart(queue, add(base, at), add(base, at + length))
            expect(held === undefined ? undefined : [distance(held.left, base), distance(held.right, base)]).toEqual(
              run === undefined ? undefined : [Math.max(run[0], at), Math.min(run[1], at + length)],
            )
            const more = insert(queue, add(base, at), new Uint8Array(length).fill(mark), false)
            if (more === undefined) throw new Error("refused")
            queue = more
            for (let i = at; i < at + length; i++) if (!model.has(i)) model.set(i, mark)
            // RFC 2018 section 4: the first block has the latest arrival, and no run is there twice.
            const blocks = queue.blocks.map((b) => [distance(b.left, base), distance(b.right, base)] as const)
            const [first] = blocks
            const runs = runsOf(model)
            expect(first !== undefined && first[0] <= at && first[1] >= at + length).toBe(true)
            expect(new Set(blocks.map(String)).size).toBe(blocks.length)
            expect(blocks.filter((block) => !runs.some((run) => String(run) === String(block)))).toEqual([])
            // An option names four at most: where there never were more, none is forgotten.
            most = Math.max(most, runs.length)
            if (most <= 4) expect([...blocks].sort((x, y) => x[0] - y[0])).toEqual([...runs])
          }
          expect(queue.length).toBe(model.size)

          const got = takeAt(queue, add(base, taken))
          const wanted: Array<number> = []
          for (let at = taken; model.has(at); at++) wanted.push(model.get(at) ?? 0)
          expect(got.taken.flatMap((bytes) => [...bytes])).toEqual(wanted)
          const left = [...model.keys()].filter((at) => at >= taken + wanted.length)
          expect(got.rest.length).toBe(left.length)
        },
      ),
      { numRuns: 500 },
    )
  })
})

/** Tables of RFC 2018 and 2883: what arrives (first octet-last octet), and the ACK that answers. Octet 1 is IRS+1. */
const acksFor = (ranges: ReadonlyArray<string>, start: number): ReadonlyArray<string> => {
  let scene = open({ irs: start - 1, habits: { timestamps: false }, socket: { receiveBuffer: 40_000 } })
  return ranges.map((range, i) => {
    const [from = 0, to = 0] = range.split("-").map(Number)
    scene = next(scene, 200 + i, `<ACK> seq=${from} ack=snd.nxt data=${to - from + 1}`)
    const last = transmits(scene.effects).at(-1)
    if (last === undefined) return ""
    text(last)
    return [String(last.ack), ...last.options.sack.map((b) => `${b.left}-${b.right}`)].join(" ")
  })
}

describe("SACK (RFC 2018 section 5)", () => {
  test("case 2, the first segment is lost: one block that grows", () => {
    expect(acksFor(["5500-5999", "6000-6499", "6500-6999", "7000-7499"], 5000)).toEqual([
      "5000 5500-6000",
      "5000 5500-6500",
      "5000 5500-7000",
      "5000 5500-7500",
    ])
  })

  test("case 3, every second segment is lost: the latest block first", () => {
    expect(acksFor(["5500-5999", "6500-6999", "7500-7999", "8500-8999"], 5000)).toEqual([
      "5000 5500-6000",
      "5000 6500-7000 5500-6000",
      "5000 7500-8000 6500-7000 5500-6000",
      "5000 8500-9000 7500-8000 6500-7000 5500-6000",
    ])
  })

  test("case 3 goes on, the lost ones arrive out of order: blocks join", () => {
    const ranges = ["5500-5999", "6500-6999", "7500-7999", "7000-7499", "6000-6499"]
    expect(acksFor(ranges, 5000).slice(3)).toEqual(["5000 6500-8000 5500-6000", "5000 5500-8000"])
  })

  test("five blocks: four are reported, three beside timestamps", () => {
    const ahead = [200, 400, 600, 800, 1000]
    for (const [timestamps, most] of [
      [false, 4],
      [true, 3],
    ] as const) {
      let scene = open({ habits: { timestamps } })
      for (const [i, at] of ahead.entries())
        scene = next(scene, 200 + i, `<ACK> seq=rcv.nxt+${at} ack=snd.nxt data=100`)
      expect(transmits(scene.effects)[0]?.options.sack.map((b) => b.left - 301)).toEqual(
        [1000, 800, 600, 400].slice(0, most),
      )
    }
  })

  test("not agreed: no blocks", () => {
    const scene = next(open({ habits: { sack: false } }), 200, "<ACK> seq=rcv.nxt+100 ack=snd.nxt data=100")
    expect(transmits(scene.effects).map((t) => t.options.sack)).toEqual([[]])
  })
})

describe("D-SACK (RFC 2883 section 4)", () => {
  test("a segment again, below the cumulative ACK: reported first, once", () => {
    const acks = acksFor(["3000-3499", "3500-3999", "4500-4999", "3000-3499", "5000-5499"], 3000)
    expect(acks.slice(2)).toEqual(["4000 4500-5000", "4000 3000-3500 4500-5000", "4000 4500-5500"])
  })

  test("a segment again, above the cumulative ACK: reported first, then the block that it lies in", () => {
    expect(acksFor(["3000-3999", "4500-4999", "5000-5499", "5000-5499"], 3000).at(-1)).toBe("4000 5000-5500 4500-5500")
  })

  test("half of a segment again, below the cumulative ACK: that half is reported", () => {
    expect(acksFor(["3000-3999", "3500-5499"], 3000).at(-1)).toBe("5500 3500-4000")
  })

  test("half of a segment again, above the cumulative ACK: that half is reported, then the block", () => {
    expect(acksFor(["4500-4999", "4750-5249"], 4000).at(-1)).toBe("4000 4750-5000 4500-5250")
  })
})

test("window, out of order: nothing beyond the edge is kept", () => {
  const scene = next(open(), 200, "<ACK> seq=rcv.edge-10 ack=snd.nxt data=100")
  expect(connection(scene).rcv.queue.length).toBe(10)
  expect(variables(scene)["rcv.nxt"]).toBe(301)
})
