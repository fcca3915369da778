/** What of a server's time goes where, read from a profile of `bun --cpu-prof` (Chrome's format). */

/** Where a segment's time goes, in the order in which it passes. */
export const PARTS = [
  "system call",
  "device",
  "parse",
  "checksum",
  "demultiplex",
  "reduce",
  "interpret",
  "encode",
  "application",
  "event loop, collection",
] as const
export type Part = (typeof PARTS)[number]

export interface Profile {
  readonly nodes: ReadonlyArray<{
    readonly id: number
    readonly callFrame: { readonly functionName: string; readonly url: string }
    readonly children?: ReadonlyArray<number>
  }>
  /** Microseconds since 1970. */
  readonly startTime: number
  /** A node's id for each sample. */
  readonly samples: ReadonlyArray<number>
  /** Microseconds from the sample before. */
  readonly timeDeltas: ReadonlyArray<number>
}

/** Rooms and files by what they do for a segment, the first that fits. */
const PLACES: ReadonlyArray<readonly [place: RegExp, part: Part]> = [
  [/\/ffi\//, "system call"],
  [/\/src\/device\/(poller|clock)/, "event loop, collection"],
  [/\/src\/device\//, "device"],
  [/\/src\/wire\/(checksum|vectorSum|words)\.ts/, "checksum"],
  [/\/src\/host\/(encode|pieceHeaders|segmentHeaders)\.ts/, "encode"],
  [/\/src\/tcp\/sendQueue\.ts/, "encode"],
  [/\/src\/wire\/tcpOptionLayout\.ts/, "encode"],
  [/\/src\/wire\//, "parse"],
  [/\/src\/host\/(tcpHost|egress|output|totals|deadlines|receiveQueue|socketCalls|neighbours)\.ts/, "interpret"],
  [/\/src\/host\//, "demultiplex"],
  [/\/src\/tcp\//, "reduce"],
  [/\/src\/runtime\//, "interpret"],
  [/\/src\/net\//, "application"],
]

/** Functions of the wire room that write rather than read. */
const WRITES = /^(write|set|encode|finish|partial)/

/** The part that a function of ours belongs to; undefined: it is not ours. */
export const partOf = (functionName: string, url: string): Part | undefined => {
  const part = PLACES.find(([place]) => place.test(url))?.[1]
  return part === "parse" && WRITES.test(functionName) ? "encode" : part
}

/**
 * Shares of the time between two moments, microseconds since 1970. What the engine does itself, copies for the most part,
 * belongs to whoever asked for it.
 */
export const sharesOf = (profile: Profile, from: number, to: number): ReadonlyMap<Part, number> => {
  const parts = partsOf(profile)
  const times = new Map<Part, number>(PARTS.map((part) => [part, 0]))
  let at = profile.startTime
  let whole = 0
  for (const [index, id] of profile.samples.entries()) {
    const delta = profile.timeDeltas[index] ?? 0
    at += delta
    if (at < from || at > to) continue
    const part = parts.get(id) ?? "event loop, collection"
    times.set(part, (times.get(part) ?? 0) + delta)
    whole += delta
  }
  return new Map([...times].map(([part, time]) => [part, whole === 0 ? 0 : time / whole]))
}

/** Of each node: its own part, or that of the nearest caller that has one. */
const partsOf = ({ nodes }: Profile): ReadonlyMap<number, Part> => {
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const parts = new Map<number, Part>()
  const callees = new Set(nodes.flatMap(({ children = [] }) => children))
  const open: Array<readonly [id: number, inherited: Part | undefined]> = nodes
    .filter(({ id }) => !callees.has(id))
    .map(({ id }) => [id, undefined])
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const [id, inherited] = next
    const node = byId.get(id)
    if (node === undefined) continue
    const part = partOf(node.callFrame.functionName, node.callFrame.url) ?? inherited
    if (part !== undefined) parts.set(id, part)
    for (const child of node.children ?? []) open.push([child, part])
  }
  return parts
}
