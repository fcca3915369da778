/**
 * Sums of 16-bit words by vector instructions, for the memory of devices that leave checksums to us. A WebAssembly module
 * of one function, put together below, adds 16 words a step; it sees one memory, so that what it sums has to lie there.
 */

/** The words of `length` octets from `at` on, an even number and at most 64 KiB, in the machine's order; below 2^32. */
export type VectorSum = (at: number, length: number) => number

const PAGE = 65_536
const sums = new WeakMap<ArrayBufferLike, VectorSum>()

/** How sums of this memory are made; undefined: it is none of `vectorMemory`'s. */
export const vectorSumOf = (buffer: ArrayBufferLike): VectorSum | undefined => sums.get(buffer)

/** Zeroed memory of `octets` at least, of which the sums are made so; undefined: the engine has no such instructions. */
export const vectorMemory = (octets: number): ArrayBuffer | undefined => {
  if (!WebAssembly.validate(MODULE)) return undefined
  const pages = Math.ceil(octets / PAGE)
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages })
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(MODULE), { m: { m: memory } })
  const sum = exports["s"]
  if (typeof sum !== "function") return undefined
  // What the compilers take for doubles, though they be whole, takes the slow way into WebAssembly: twice the time of the sum.
  sums.set(memory.buffer, (at, length) => sum(at | 0, length | 0) >>> 0)
  return memory.buffer
}

/** What the function's code has as octets (WebAssembly Core Specification 2.0, section 5). */
const Op = {
  block: [0x02, 0x40],
  loop: [0x03, 0x40],
  end: [0x0b],
  again: [0x0c, 0],
  /** Out of the block around the loop. */
  leaveIf: [0x0d, 1],
  get: (local: number) => [0x20, local],
  set: (local: number) => [0x21, local],
  /** -64 to 63. */
  constant: (n: number) => [0x41, n & 0x7f],
  isNotBelow: [0x4f],
  add: [0x6a],
  and: [0x71],
  /** i32.load16_u, at any address. */
  loadWord: [0x2f, 0, 0],
  /** v128.load from so far behind the address, at any address. */
  load: (offset: number) => [0xfd, 0x00, 0, offset],
  /** i32x4.extadd_pairwise_i16x8_u: eight words become four sums of two. */
  addPairs: [0xfd, 0x7f],
  /** i32x4.add: its number takes two octets. */
  addLanes: [0xfd, 0xae, 0x01],
  lane: (n: number) => [0xfd, 0x1b, n],
} as const

/** The parameters, the second of which becomes where the octets end, and what the function has beside them. */
const [AT, LENGTH, ONE, OTHER, BLOCKS, REST] = [0, 1, 2, 3, 4, 5]
const I32 = 0x7f
const V128 = 0x7b
/** Octets that a step of vectors takes. */
const BLOCK = 32

const advance = (octets: number): ReadonlyArray<ReadonlyArray<number>> => [
  Op.get(AT),
  Op.constant(octets),
  Op.add,
  Op.set(AT),
]

/** Two sums of four lanes each, so that one addition need not wait for the other; no lane passes 2^29. */
const CODE = [
  ...[Op.get(AT), Op.get(LENGTH), Op.constant(-BLOCK), Op.and, Op.add, Op.set(BLOCKS)],
  ...[Op.get(AT), Op.get(LENGTH), Op.add, Op.set(LENGTH)],
  ...[Op.block, Op.loop],
  ...[Op.get(AT), Op.get(BLOCKS), Op.isNotBelow, Op.leaveIf],
  ...[Op.get(ONE), Op.get(AT), Op.load(0), Op.addPairs, Op.addLanes, Op.set(ONE)],
  ...[Op.get(OTHER), Op.get(AT), Op.load(16), Op.addPairs, Op.addLanes, Op.set(OTHER)],
  ...[...advance(BLOCK), Op.again, Op.end, Op.end],
  ...[Op.block, Op.loop],
  ...[Op.get(AT), Op.get(LENGTH), Op.isNotBelow, Op.leaveIf],
  ...[Op.get(REST), Op.get(AT), Op.loadWord, Op.add, Op.set(REST)],
  ...[...advance(2), Op.again, Op.end, Op.end],
  ...[Op.get(ONE), Op.get(OTHER), Op.addLanes, Op.set(ONE)],
  ...[Op.get(ONE), Op.lane(0), Op.get(ONE), Op.lane(1), Op.add],
  ...[Op.get(ONE), Op.lane(2), Op.add, Op.get(ONE), Op.lane(3), Op.add],
  ...[Op.get(REST), Op.add, Op.end],
].flat()

/** All parts are shorter than 128 octets but the code, whose length takes two. */
const sized = (...octets: ReadonlyArray<number>): ReadonlyArray<number> =>
  octets.length < 0x80 ? [octets.length, ...octets] : [0x80 | (octets.length & 0x7f), octets.length >>> 7, ...octets]
const section = (id: number, ...octets: ReadonlyArray<number>): ReadonlyArray<number> => [id, ...sized(...octets)]
const name = (letter: string): ReadonlyArray<number> => [1, letter.charCodeAt(0)]

const MODULE = Uint8Array.from([
  ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
  // One type, of two numbers and a result; one import, a memory of any size; one function of that type; its name.
  ...section(1, 1, 0x60, 2, I32, I32, 1, I32),
  ...section(2, 1, ...name("m"), ...name("m"), 0x02, 0x00, 0),
  ...section(3, 1, 0),
  ...section(7, 1, ...name("s"), 0x00, 0),
  ...section(10, 1, ...sized(2, 2, V128, 2, I32, ...CODE)),
])
