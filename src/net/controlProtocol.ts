import { Schema } from "effect"
import { InterfaceRow, NeighbourRow, RouteRow } from "./inspectNetworkSchema.ts"
import { Counters, Protocol, SocketRow, SocketState, Summary } from "./inspectSchema.ts"

/**
 * The protocol of control sockets: lines of JSON. A request is one line; the answer begins with
 * who answers, has any number of lines for each stack, and ends with `end`. Or it is one line with
 * `error`. Requests on one connection are answered in their order.
 *
 * The version changes when what an older side reads means something else. A question that an older
 * process does not know is an error to it, which says so; a field that it does not know is passed over.
 */
export const VERSION = 1

/** Octets of a request, its newline not counted. */
export const LONGEST_REQUEST = 4096
/** Characters of a line of an answer. */
export const LONGEST_ANSWER_LINE = 1 << 20
/** Rows in one line of an answer: a large table leaves in pieces. */
export const ROWS_PER_LINE = 256

export const Request = Schema.Struct({
  netfold: Schema.Literal(VERSION),
  ask: Schema.Literal("sockets", "summary", "counters", "interfaces", "routes", "neighbours"),
  /** Of `sockets`: only these. Absent: all. */
  states: Schema.optional(Schema.Array(SocketState)),
  /** Of `sockets`: only of these. Absent: TCP's. */
  protocols: Schema.optional(Schema.Array(Protocol)),
})
export type Request = typeof Request.Type

export const Line = Schema.Union(
  Schema.Struct({
    netfold: Schema.Literal(VERSION),
    pid: Schema.Int,
    name: Schema.String,
    stacks: Schema.Array(Schema.String),
  }),
  Schema.Struct({ stack: Schema.String, sockets: Schema.Array(SocketRow) }),
  Schema.Struct({ stack: Schema.String, summary: Summary }),
  Schema.Struct({ stack: Schema.String, counters: Counters }),
  Schema.Struct({ stack: Schema.String, interfaces: Schema.Array(InterfaceRow) }),
  Schema.Struct({ stack: Schema.String, routes: Schema.Array(RouteRow) }),
  Schema.Struct({ stack: Schema.String, neighbours: Schema.Array(NeighbourRow) }),
  Schema.Struct({ end: Schema.Literal(true) }),
  Schema.Struct({ error: Schema.String }),
)
export type Line = typeof Line.Type

/** A line as it is written. */
export const encode = (line: Line | Request): string => `${JSON.stringify(line)}\n`

/** A request, or what is wrong with it. A client of another version learns ours. */
export const decodeRequest = (text: string): Request | { readonly error: string } => {
  const parsed = decode(RequestJson, text)
  return parsed ?? { error: `not a request of version ${VERSION}: {"netfold":${VERSION},"ask":"sockets"}` }
}

/** Undefined: no line of this protocol. */
export const decodeLine = (text: string): Line | undefined => decode(LineJson, text)

const RequestJson = Schema.decodeUnknownOption(Schema.parseJson(Request))
const LineJson = Schema.decodeUnknownOption(Schema.parseJson(Line))

const decode = <A>(
  decoder: (text: string) => { readonly _tag: "Some"; readonly value: A } | { readonly _tag: "None" },
  text: string,
): A | undefined => {
  const decoded = decoder(text)
  return decoded._tag === "Some" ? decoded.value : undefined
}

/** Whole lines of a stream of text; what is left waits for the rest of its line. */
export class LineSplitter {
  #rest = ""

  /** Characters of the line that has not ended. */
  get waiting(): number {
    return this.#rest.length
  }

  push(text: string): ReadonlyArray<string> {
    const lines = (this.#rest + text).split("\n")
    this.#rest = lines.pop() ?? ""
    return lines
  }
}
