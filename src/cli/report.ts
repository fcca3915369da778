import { Effect, Logger, Schedule } from "effect"

/** What a running command shows of itself. Octets are those of applications, without headers. */
export interface Snapshot {
  readonly open: number
  readonly connections: number
  readonly bytesIn: number
  readonly bytesOut: number
  readonly segmentsIn: number
  readonly segmentsOut: number
  readonly retransmits: number
}

/** How a command speaks: lines and a status line for a person, or records for a program. */
export interface Report {
  /** `line` for a person; `event` with its fields as a record. */
  readonly say: (line: string, event: string, fields: Readonly<Record<string, unknown>>) => Effect.Effect<void>
  /** Shows the state of things from time to time, where it has changed; never ends. */
  readonly watch: (snapshot: () => Snapshot) => Effect.Effect<never>
  /** The last line. */
  readonly end: (snapshot: Snapshot) => Effect.Effect<void>
}

const TERMINAL_INTERVAL = "1 second"
const LOG_INTERVAL = "10 seconds"
const CLEAR_LINE = "\r\x1b[K"

/** For a person where the output is a terminal, else logfmt; JSON lines where asked for. */
export const reportFor = (json: boolean): Report =>
  json ? logged(Logger.json) : process.stdout.isTTY ? terminal : logged(Logger.logFmt)

const terminal: Report = {
  say: (line) => Effect.sync(() => console.log(line)),
  watch: (snapshot) =>
    changes(TERMINAL_INTERVAL, snapshot, (now) =>
      Effect.sync(() => process.stdout.write(`${CLEAR_LINE}${fitting(statusLine(now))}`)),
    ),
  end: (snapshot) => Effect.sync(() => process.stdout.write(`${CLEAR_LINE}${statusLine(snapshot)}\n`)),
}

const logged = (layer: typeof Logger.json): Report => {
  const log = (message: string, fields: object): Effect.Effect<void> =>
    Effect.logInfo(message).pipe(Effect.annotateLogs({ ...fields }), Effect.provide(layer))
  return {
    say: (_line, event, fields) => log(event, fields),
    watch: (snapshot) => changes(LOG_INTERVAL, snapshot, (now) => log("status", now)),
    end: (snapshot) => log("stop", snapshot),
  }
}

/** Shows a snapshot whenever one differs from the last that was shown. */
const changes = (
  interval: typeof TERMINAL_INTERVAL | typeof LOG_INTERVAL,
  snapshot: () => Snapshot,
  show: (now: Snapshot) => Effect.Effect<unknown>,
): Effect.Effect<never> => {
  let shown = JSON.stringify(snapshot())
  const look = Effect.suspend(() => {
    const now = snapshot()
    const text = JSON.stringify(now)
    if (text === shown) return Effect.void
    shown = text
    return show(now)
  })
  return Effect.zipRight(Effect.repeat(Effect.delay(look, interval), Schedule.forever), Effect.never)
}

/** A line that wraps could not be written over. */
const fitting = (line: string): string => line.slice(0, Math.max(0, (process.stdout.columns || 80) - 1))

export const statusLine = (s: Snapshot): string =>
  [
    `${s.open} open of ${s.connections} connections`,
    `${octets(s.bytesIn)} in, ${octets(s.bytesOut)} out`,
    `segments ${s.segmentsIn} in, ${s.segmentsOut} out`,
    `${s.retransmits} retransmitted`,
  ].join(" · ")

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]

/** "1.5 MiB" */
export const octets = (n: number): string => {
  let value = n
  let unit = 0
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024
    unit++
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${UNITS[unit]}`
}
