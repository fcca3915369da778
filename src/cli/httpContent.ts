/** What `netfold http` serves, whichever library carries it: a request's answer as data. */
export interface Asked {
  readonly method: string
  /** Path and query, as in the request line. */
  readonly target: string
  readonly ifNoneMatch: string | undefined
}

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** Of a HEAD request too: its length is in the headers, and it is not sent. */
  readonly body: Uint8Array
  /** Milliseconds to wait before it. */
  readonly delay: number
}

export const FILE_LENGTH = 1 << 20
const LONGEST_DELAY = 30_000
const DEFAULT_DELAY = 1000

const text = (value: string): Uint8Array => new TextEncoder().encode(value)

const PAGE = text(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>netfold</title>
<h1>netfold</h1>
<p>This page came through a TCP/IP stack in a Bun process.</p>
<ul>
<li><a href="/file">/file</a>: 1 MiB</li>
<li><a href="/slow?ms=1000">/slow?ms=1000</a>: after a second</li>
</ul>
</html>
`)

/** The file: octets that tell a wrong order from a right one. */
export const file = (): Uint8Array => {
  const bytes = new Uint8Array(FILE_LENGTH)
  for (let i = 0; i < FILE_LENGTH; i++) bytes[i] = (i * 31 + (i >> 8)) & 0xff
  return bytes
}

interface Entity {
  readonly body: Uint8Array
  readonly type: string
  readonly etag: string
}

/** Made once, when first asked for. */
const entity = (type: string, make: () => Uint8Array): (() => Entity) => {
  let made: Entity | undefined
  return () => {
    if (made === undefined) {
      const body = make()
      made = { body, type, etag: `"${new Bun.CryptoHasher("sha256").update(body).digest("hex").slice(0, 32)}"` }
    }
    return made
  }
}

const page = entity("text/html; charset=utf-8", () => PAGE)
const theFile = entity("application/octet-stream", file)

export const answerFor = ({ method, target, ifNoneMatch }: Asked): Answer => {
  if (method !== "GET" && method !== "HEAD") return plain(405, "only GET and HEAD\n", { allow: "GET, HEAD" })
  const [path = "/", query = ""] = target.split("?", 2)
  switch (path) {
    case "/":
      return whole(page(), ifNoneMatch)
    case "/file":
      return whole(theFile(), ifNoneMatch)
    case "/slow":
      return slow(new URLSearchParams(query).get("ms"))
    default:
      return plain(404, "no such page: / /file /slow?ms=1000\n")
  }
}

const slow = (millis: string | null): Answer => {
  const delay = millis === null ? DEFAULT_DELAY : /^[0-9]{1,5}$/.test(millis) ? Number(millis) : Number.NaN
  return delay <= LONGEST_DELAY
    ? { ...plain(200, `after ${delay} ms\n`), delay }
    : plain(400, `ms is a number from 0 to ${LONGEST_DELAY}\n`)
}

/** RFC 9110 section 13.1.2: one that the client has already is not sent. */
const whole = ({ body, type, etag }: Entity, ifNoneMatch: string | undefined): Answer => {
  const known = ifNoneMatch?.split(",").map((each) => each.trim().replace(/^W\//, ""))
  if (known?.includes(etag) || known?.includes("*")) {
    return { status: 304, headers: { etag }, body: new Uint8Array(), delay: 0 }
  }
  return {
    status: 200,
    headers: { "content-type": type, "content-length": String(body.length), etag },
    body,
    delay: 0,
  }
}

const plain = (status: number, message: string, headers: Readonly<Record<string, string>> = {}): Answer => {
  const body = text(message)
  const own = { "content-type": "text/plain; charset=utf-8", "content-length": String(body.length) }
  return { status, headers: { ...own, ...headers }, body, delay: 0 }
}
