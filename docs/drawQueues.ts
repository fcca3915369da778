/** Draws docs/queues.svg: `bun docs/drawQueues.ts`. The same picture in every run; a test compares it with the file. */

const WIDTH = 1080
const HEIGHT = 640

type Theme = "light" | "dark"

interface Colours {
  readonly paper: string
  readonly box: string
  readonly line: string
  readonly ink: string
  readonly dim: string
  readonly good: string
  readonly cookie: string
  readonly bad: string
}

const COLOURS: Readonly<Record<Theme, Colours>> = {
  light: {
    paper: "#ffffff",
    box: "#f6f8fa",
    line: "#8c959f",
    ink: "#1f2328",
    dim: "#59636e",
    good: "#0969da",
    cookie: "#8250df",
    bad: "#cf222e",
  },
  dark: {
    paper: "#0d1117",
    box: "#161b22",
    line: "#6e7681",
    ink: "#e6edf3",
    dim: "#9198a1",
    good: "#4493f8",
    cookie: "#ab7df8",
    bad: "#f85149",
  },
}

const rules = (c: Colours): string =>
  [
    `.paper{fill:${c.paper}}`,
    `.box{fill:${c.box};stroke:${c.line}}`,
    `.dashed{fill:none;stroke:${c.cookie}}`,
    `.slot{fill:none;stroke:${c.line}}`,
    `.rule{stroke:${c.line}}`,
    `.half{fill:${c.good};fill-opacity:.45;stroke:${c.good}}`,
    `.whole{fill:${c.good};stroke:${c.good}}`,
    `.ink{fill:${c.ink}}`,
    `.dim{fill:${c.dim}}`,
    ...(["good", "cookie", "bad"] as const).map(
      (name) => `.${name}{fill:${c[name]}}.to-${name}{stroke:${c[name]};fill:none}`,
    ),
  ].join("")

const FONTS = [
  "text{font:14px -apple-system,'Segoe UI','Helvetica Neue',Helvetica,Arial,sans-serif}",
  "text.head{font-weight:600;font-size:16px}",
  "text.word{font-weight:600}",
  "text.mono{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace}",
  "path,rect,line{stroke-width:1.5}",
  ".dashed,.lost{stroke-dasharray:6 4}",
].join("")

/** One theme, or both: the reader's choice. */
const styleOf = (theme: Theme | "both"): string =>
  theme === "both"
    ? `${FONTS}${rules(COLOURS.light)}@media (prefers-color-scheme:dark){${rules(COLOURS.dark)}}`
    : `${FONTS}${rules(COLOURS[theme])}`

type Point = readonly [x: number, y: number]
type Colour = "good" | "cookie" | "bad"
type Anchor = "start" | "middle" | "end"

const escaped = (words: string): string => words.replaceAll("&", "&amp;").replaceAll("<", "&lt;")

const text = ([x, y]: Point, words: string, look = "ink", anchor: Anchor = "start"): string =>
  `<text x="${x}" y="${y}" class="${look}" text-anchor="${anchor}">${escaped(words)}</text>`

const rectangle = ([x, y]: Point, width: number, height: number, look: string, corner = 6): string =>
  `<rect x="${x}" y="${y}" width="${width}" height="${height}" rx="${corner}" class="${look}"/>`

/** Along points, with a head at the last one. */
const arrow = (colour: Colour, points: ReadonlyArray<Point>, look = ""): string => {
  const way = points.map(([x, y], n) => `${n === 0 ? "M" : "L"}${x} ${y}`).join("")
  return `<path d="${way}" class="to-${colour}${look}" marker-end="url(#${colour})"/>`
}

const head = (colour: Colour): string =>
  `<marker id="${colour}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L10 5L0 10z" class="${colour}" stroke="none"/></marker>`

const LINE = 20

/** Lines of text one below the other: a word that stands out, words, and names of counters. */
const note = ([x, y]: Point, lines: ReadonlyArray<readonly [look: string, words: string]>): string =>
  lines.map(([look, words], n) => text([x, y + n * LINE], words, look)).join("\n")

const SLOT = 16
const GAP = 4

const slots = ([x, y]: Point, count: number, filled: number, look: string): string =>
  Array.from({ length: count }, (_, n) =>
    rectangle([x + n * (SLOT + GAP), y], SLOT, SLOT, n < filled ? look : "slot", 2),
  ).join("")

const QUEUE = { width: 240, height: 128, top: 236 }
const MIDDLE = QUEUE.top + QUEUE.height / 2
const SYNS = { left: 236, right: 236 + QUEUE.width, centre: 236 + QUEUE.width / 2 }
const READY = { left: 620, right: 620 + QUEUE.width, centre: 620 + QUEUE.width / 2 }
/** Where an arriving SYN's way divides. */
const FORK = 172
const COOKIE = { top: 66, height: 88, middle: 110 }
const NOTES = 430

const queue = (left: number, title: string, what: string, most: string, filled: number, look: string): string =>
  [
    rectangle([left, QUEUE.top], QUEUE.width, QUEUE.height, "box"),
    text([left + 12, QUEUE.top + 28], title, "head ink"),
    text([left + 12, QUEUE.top + 50], what, "dim"),
    slots([left + 12, QUEUE.top + 64], 11, filled, look),
    text([left + 12, QUEUE.top + 110], most, "dim"),
  ].join("\n")

const parts: ReadonlyArray<string> = [
  rectangle([0.75, 0.75], WIDTH - 1.5, HEIGHT - 1.5, "paper", 10),

  // The way of every connection.
  text([30, MIDDLE + 5], "clients", "head ink"),
  arrow("good", [
    [96, MIDDLE],
    [SYNS.left, MIDDLE],
  ]),
  text([100, MIDDLE - 10], "SYN", "word good"),
  queue(SYNS.left, "SYN queue", "half-open requests", "at most backlog + 1", 5, "half"),
  arrow("good", [
    [SYNS.right, MIDDLE],
    [READY.left, MIDDLE],
  ]),
  text([(SYNS.right + READY.left) / 2, MIDDLE - 10], "ACK", "word good", "middle"),
  queue(READY.left, "Accept queue", "established, not yet accepted", "at most backlog + 1", 3, "whole"),
  arrow("good", [
    [READY.right, MIDDLE],
    [950, MIDDLE],
  ]),
  text([(READY.right + 950) / 2, MIDDLE - 10], "accept", "word good", "middle"),
  rectangle([950, QUEUE.top + 24], 100, QUEUE.height - 48, "box"),
  text([1000, MIDDLE + 5], "application", "ink", "middle"),

  // Cookies: the way round a full SYN queue.
  arrow("cookie", [
    [FORK, MIDDLE],
    [FORK, COOKIE.middle],
    [SYNS.left, COOKIE.middle],
  ]),
  note(
    [30, 176],
    [
      ["ink", "SYN queue full,"],
      ["ink", "tcpSyncookies 1;"],
      ["ink", "with 2 always"],
    ],
  ),
  rectangle([SYNS.left, COOKIE.top], QUEUE.width, COOKIE.height, "dashed"),
  text([SYNS.left + 12, COOKIE.top + 26], "SYN cookie", "head ink"),
  text([SYNS.left + 12, COOKIE.top + 48], "nothing is kept: the SYN-ACK", "dim"),
  text([SYNS.left + 12, COOKIE.top + 68], "has MSS, scale, SACK, ECN", "dim"),
  note(
    [SYNS.left, 34],
    [
      ["mono cookie", "TCPReqQFullDoCookies"],
      ["mono cookie", "SyncookiesSent"],
    ],
  ),
  arrow("cookie", [
    [SYNS.right, COOKIE.middle],
    [READY.centre, COOKIE.middle],
    [READY.centre, QUEUE.top],
  ]),
  text([SYNS.right + 16, COOKIE.middle - 12], "ACK brings it back", "ink"),
  text([SYNS.right + 16, COOKIE.middle + 24], "SyncookiesRecv", "mono cookie"),
  arrow(
    "bad",
    [
      [READY.centre, COOKIE.middle],
      [810, COOKIE.middle],
    ],
    " lost",
  ),
  note(
    [820, COOKIE.middle - 15],
    [
      ["word bad", "RST"],
      ["ink", "forged, or 2 minutes old"],
      ["mono bad", "SyncookiesFailed"],
    ],
  ),

  // What is lost, and where.
  arrow(
    "bad",
    [
      [FORK, MIDDLE],
      [FORK, NOTES - 22],
    ],
    " lost",
  ),
  note(
    [30, NOTES],
    [
      ["word bad", "SYN dropped"],
      ["ink", "SYN queue full, cookies off"],
      ["mono bad", "TCPReqQFullDrop"],
      ["ink", "or accept queue full"],
      ["mono bad", "ListenOverflows"],
      ["ink", "each time also"],
      ["mono bad", "ListenDrops"],
    ],
  ),
  arrow(
    "bad",
    [
      [SYNS.centre, QUEUE.top + QUEUE.height],
      [SYNS.centre, NOTES - 22],
    ],
    " lost",
  ),
  note(
    [SYNS.left, NOTES],
    [
      ["word bad", "request ends"],
      ["ink", "RST or SYN in its window"],
      ["mono bad", "EmbryonicRsts"],
      ["ink", "or no ACK for 63 s"],
      ["mono bad", "TCPTimeouts"],
      ["dim", "SYN-ACK again after"],
      ["dim", "1, 3, 7, 15 and 31 s"],
    ],
  ),
  arrow(
    "bad",
    [
      [548, MIDDLE],
      [548, NOTES - 22],
    ],
    " lost",
  ),
  note(
    [486, NOTES],
    [
      ["word bad", "ACK dropped"],
      ["ink", "accept queue full"],
      ["mono bad", "ListenOverflows"],
      ["mono bad", "ListenDrops"],
      ["dim", "the client's next segment may find"],
      ["dim", "room; with tcpAbortOnOverflow it"],
      ["dim", "has had a RST by then"],
    ],
  ),
  arrow(
    "bad",
    [
      [READY.right - 40, QUEUE.top + QUEUE.height],
      [READY.right - 40, NOTES - 22],
    ],
    " lost",
  ),
  note(
    [READY.right - 98, NOTES],
    [
      ["word bad", "RST to each"],
      ["ink", "the listener is closed before"],
      ["ink", "anybody accepts"],
    ],
  ),

  // Where to look.
  `<line x1="30" y1="578" x2="${WIDTH - 30}" y2="578" class="rule"/>`,
  text([30, 610], "See it", "word ink"),
  text([SYNS.left, 610], "netfold ss -tn state syn-recv", "mono good"),
  text([486, 610], "netfold ss -ltn", "mono good"),
  text([READY.left - 12, 610], "Recv-Q waiting, Send-Q backlog", "dim"),
  text([WIDTH - 30, 610], "netfold nstat", "mono good", "end"),
]

export const drawQueues = (theme: Theme | "both" = "both"): string =>
  [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img" aria-label="The SYN queue and the accept queue of a listener, and what is dropped where">`,
    `<style>${styleOf(theme)}</style>`,
    `<defs>${head("good")}${head("cookie")}${head("bad")}</defs>`,
    ...parts,
    "</svg>",
    "",
  ].join("\n")

if (import.meta.main) await Bun.write(`${import.meta.dir}/queues.svg`, drawQueues())
