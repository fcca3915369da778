import type {
  Address,
  ConnectionInfo,
  ListenerInfo,
  OpeningInfo,
  SocketInfo,
  SocketRow,
  Summary,
  Timer,
  Totals,
} from "../net/Inspect.ts"
import { columnName } from "./ssFilter.ts"

/** A row, and whose it is. */
export interface OwnedRow {
  readonly pid: number
  readonly process: string
  readonly stack: string
  readonly row: SocketRow
}

export interface TableOptions {
  /** Those of several are shown: ss then says which is which. */
  readonly protocols?: boolean
  /** One state alone was asked for: ss then leaves the column out. */
  readonly states: boolean
  readonly header: boolean
  readonly processes: boolean
  readonly timers: boolean
  readonly info: boolean
}

/** The lines of a table, shaped like ss's. */
export const table = (rows: ReadonlyArray<OwnedRow>, options: TableOptions): ReadonlyArray<string> => {
  const header: ReadonlyArray<Cell> = [
    ...(options.protocols === true ? ["Netid"] : []),
    ...(options.states ? ["State"] : []),
    "Recv-Q",
    "Send-Q",
    ["Local Address", "Port"],
    ["Peer Address", "Port"],
    ...(options.processes ? ["Process"] : []),
  ]
  const cells = rows.map((owned) => cellsOf(owned, options))
  const widths = widthsOf(options.header ? [header, ...cells] : cells)
  return [
    ...(options.header ? [lineOf(header, widths)] : []),
    ...cells.flatMap((line, index) => {
      const row = options.info ? rows[index]?.row : undefined
      const info = row?.drops === undefined ? row?.info && infoText(row.info) : `drops:${row.drops}`
      return [lineOf(line, widths), ...(info === undefined ? [] : [`\t ${info}`])]
    }),
  ]
}

/** Also where no header makes it so. */
const QUEUE_WIDTH = 6

/** Text, or an address that stands before its colon and a port behind it. */
type Cell = string | readonly [address: string, port: string]

const cellsOf = ({ pid, process, stack, row }: OwnedRow, options: TableOptions): ReadonlyArray<Cell> => [
  ...(options.protocols === true ? [row.protocol ?? "tcp"] : []),
  ...(options.states ? [columnName(row.state)] : []),
  String(row.recvQ).padEnd(QUEUE_WIDTH),
  String(row.sendQ).padEnd(QUEUE_WIDTH),
  row.dual === true ? ["*", portText(row.local)] : addressCell(row.local),
  row.dual === true && row.peer === undefined
    ? ["*", "*"]
    : addressCell(row.peer ?? { ...row.local, address: row.local.family === 4 ? "0.0.0.0" : "::", port: 0 }),
  ...(options.processes ? [`users:(("${process}",pid=${pid},stack=${stack},socket=${row.socket}))`] : []),
  ...(options.timers && row.timer !== undefined ? [timerText(row.timer)] : []),
]

const addressCell = (end: Address): Cell => [end.family === 4 ? end.address : `[${end.address}]`, portText(end)]

const portText = ({ port }: Address): string => (port === 0 ? "*" : String(port))

/** For more of them than a call takes arguments. */
const largest = (numbers: ReadonlyArray<number>): number => numbers.reduce((most, n) => Math.max(most, n), 0)

type Width = number | readonly [number, number]

const widthsOf = (lines: ReadonlyArray<ReadonlyArray<Cell>>): ReadonlyArray<Width> => {
  const columns = largest(lines.map(({ length }) => length))
  return Array.from({ length: columns }, (_, column): Width => {
    const cells = lines.flatMap((line) => line[column] ?? [])
    const pairs = lines.map((line) => line[column]).filter((cell) => Array.isArray(cell))
    if (pairs.length === 0) return largest(cells.map(({ length }) => length))
    return [largest(pairs.map(([address]) => address.length)), largest(pairs.map(([, port]) => port.length))]
  })
}

const lineOf = (cells: ReadonlyArray<Cell>, widths: ReadonlyArray<Width>): string =>
  cells
    .map((cell, column) => {
      const width = widths[column] ?? 0
      if (typeof cell === "string") return cell.padEnd(typeof width === "number" ? width : 0)
      const [address, port] = typeof width === "number" ? [0, 0] : width
      return `${cell[0].padStart(address)}:${cell[1].padEnd(port)}`
    })
    .join(" ")
    .trimEnd()

/** "timer:(on,200ms,0)" */
export const timerText = ({ name, expires, retransmits }: Timer): string =>
  `timer:(${name},${duration(expires)},${retransmits})`

/** iproute2's print_ms_timer: "119min", "1min9sec", "1.500ms" for a second and a half, "040ms". */
export const duration = (millis: number): string => {
  const total = Math.round(millis)
  const minutes = Math.floor(total / 60_000)
  let seconds = Math.floor(total / 1000) % 60
  let rest = total % 1000
  let text = ""
  if (minutes > 0) {
    rest = 0
    text = `${minutes}min`
    if (minutes > 9) seconds = 0
  }
  if (seconds > 0) {
    if (seconds > 9) rest = 0
    text += `${seconds}${rest > 0 ? "." : "sec"}`
  }
  return rest > 0 || text === "" ? `${text}${String(rest).padStart(3, "0")}ms` : text
}

export const infoText = (info: SocketInfo): string => {
  switch (info._tag) {
    case "Listener":
      return listenerText(info)
    case "Opening":
      return openingText(info)
    case "Connection":
      return connectionText(info)
  }
}

const listenerText = ({ requests, young, fastOpens, drops, cookies, deferAccept }: ListenerInfo): string =>
  words([
    `requests:${requests}`,
    `young:${young}`,
    cookies && "cookies",
    fastOpens > 0 && `fastopens:${fastOpens}`,
    drops > 0 && `drops:${drops}`,
    deferAccept > 0 && `defer:${number(deferAccept)}`,
  ])

const openingText = (info: OpeningInfo): string =>
  words([
    ...negotiated(info),
    info.open === "fast" && "fastopen",
    `advmss:${info.advertisedMss}`,
    info.retransmits > 0 && `retrans:${info.retransmits}`,
    info.unsent > 0 && `notsent:${info.unsent}`,
  ])

const connectionText = (info: ConnectionInfo): string => {
  const segments = (octets: number): number => Math.ceil(octets / Math.max(1, info.mss))
  const window = Math.floor(info.congestionWindow / Math.max(1, info.mss))
  const { rtt, totals } = info
  return words([
    ...negotiated(info),
    "reno",
    info.scale !== undefined && `wscale:${info.scale.send},${info.scale.receive}`,
    `rto:${number(info.rto)}`,
    info.backoff > 0 && `backoff:${info.backoff}`,
    rtt !== undefined && `rtt:${number(rtt.smoothed)}/${number(rtt.variation)}`,
    `mss:${info.mss}`,
    `rcvmss:${info.receiveMss}`,
    `advmss:${info.advertisedMss}`,
    `cwnd:${window}`,
    info.slowStartThreshold !== undefined && `ssthresh:${segments(info.slowStartThreshold)}`,
    ...(totals === undefined ? [] : traffic(totals)),
    rtt !== undefined && `send ${Math.round((info.congestionWindow * 8 * 1000) / rtt.smoothed)}bps`,
    info.lastSent !== undefined && `lastsnd:${Math.floor(info.lastSent)}`,
    info.lastReceived !== undefined && `lastrcv:${Math.floor(info.lastReceived)}`,
    ...(totals === undefined ? [] : holdups(totals)),
    info.unacked > 0 && `unacked:${segments(info.unacked)} bytes_unacked:${info.unacked}`,
    (info.retransmitting > 0 || (totals?.retransmissions ?? 0) > 0) &&
      `retrans:${segments(info.retransmitting)}/${totals?.retransmissions ?? 0}`,
    info.recovering && "recovering",
    info.probes > 0 && `probes:${info.probes}`,
    info.receiveRtt !== undefined && `rcv_rtt:${number(info.receiveRtt)}`,
    `rcv_space:${info.receiveSpace}`,
    info.unsent > 0 && `notsent:${info.unsent}`,
    info.outOfOrder > 0 && `rcv_ooo:${info.outOfOrder}`,
    `snd_wnd:${info.sendWindow}`,
    `rcv_wnd:${info.receiveWindow}`,
  ])
}

const traffic = (totals: Totals): ReadonlyArray<string | false> => [
  totals.bytesSent > 0 && `bytes_sent:${totals.bytesSent}`,
  totals.bytesRetransmitted > 0 && `bytes_retrans:${totals.bytesRetransmitted}`,
  totals.bytesAcked > 0 && `bytes_acked:${totals.bytesAcked}`,
  totals.bytesReceived > 0 && `bytes_received:${totals.bytesReceived}`,
  totals.segmentsOut > 0 && `segs_out:${totals.segmentsOut}`,
  totals.segmentsIn > 0 && `segs_in:${totals.segmentsIn}`,
  totals.dataSegmentsOut > 0 && `data_segs_out:${totals.dataSegmentsOut}`,
  totals.dataSegmentsIn > 0 && `data_segs_in:${totals.dataSegmentsIn}`,
]

const holdups = ({ busy, windowLimited, bufferLimited }: Totals): ReadonlyArray<string | false> => {
  const share = (part: number): string => `${Math.floor(part)}ms(${((100 * part) / busy).toFixed(1)}%)`
  return [
    busy >= 1 && `busy:${Math.floor(busy)}ms`,
    windowLimited >= 1 && `rwnd_limited:${share(windowLimited)}`,
    bufferLimited >= 1 && `sndbuf_limited:${share(bufferLimited)}`,
  ]
}

const negotiated = (info: OpeningInfo | ConnectionInfo): ReadonlyArray<string | false> => [
  info.timestamps && "ts",
  info.sack && "sack",
  info._tag === "Opening" && info.scale !== undefined && `wscale:${info.scale.send},${info.scale.receive}`,
]

const words = (all: ReadonlyArray<string | false>): string => all.filter((word) => word !== false).join(" ")

/** C's %g: six digits that matter. */
const number = (value: number): string => String(Number(value.toPrecision(6)))

/** `ss -s` */
export const summaryText = (all: ReadonlyArray<Summary>): ReadonlyArray<string> => {
  const sum = (of: (summary: Summary) => number): number => all.reduce((total, each) => total + of(each), 0)
  const tcp = [sum(({ ipv4 }) => ipv4), sum(({ ipv6 }) => ipv6)] as const
  const udp = [sum(({ udpIpv4 }) => udpIpv4), sum(({ udpIpv6 }) => udpIpv6)] as const
  const line = (name: string, [ipv4, ipv6]: readonly [number, number]): string =>
    `${name}\t  ${[ipv4 + ipv6, ipv4, ipv6].map((n) => String(n).padEnd(10)).join("")}`.trimEnd()
  const blocks = sum(({ total }) => total)
  const states = [
    `estab ${sum(({ established }) => established)}`,
    `closed ${sum(({ closed }) => closed)}`,
    `orphaned ${sum(({ orphaned }) => orphaned)}`,
    `synrecv ${sum(({ synReceived }) => synReceived)}`,
    `timewait ${sum(({ timeWait }) => timeWait)}`,
  ]
  return [
    `Total: ${blocks + udp[0] + udp[1]}`,
    `TCP:   ${blocks} (${states.join(", ")})`,
    "",
    "Transport Total     IP        IPv6",
    line("UDP", udp),
    line("TCP", tcp),
    line("INET", [udp[0] + tcp[0], udp[1] + tcp[1]]),
  ]
}
