import type { End } from "./octets.ts"
import * as posix from "./posix.ts"
import { found, until } from "./wait.ts"

export interface KernelOptions {
  /** Bound before connecting, with SO_REUSEADDR, so that a port can be used again at once. */
  readonly localPort?: number
  readonly localHost?: string
  readonly noDelay?: boolean
  /** SO_RCVBUF and SO_SNDBUF; the kernel doubles them. */
  readonly receiveBuffer?: number
  readonly sendBuffer?: number
  /** TCP_MAXSEG */
  readonly mss?: number
}

/** What TCP_INFO says, as far as tests ask. */
export interface KernelInfo {
  readonly state: KernelState
  readonly timestamps: boolean
  readonly sack: boolean
  readonly scaling: boolean
  /** The peer's shift and the kernel's own. */
  readonly sndScale: number
  readonly rcvScale: number
  readonly sndMss: number
  readonly retransmits: number
  /** Window probes that went unanswered so far. */
  readonly probes: number
  readonly dataSegmentsIn: number
  readonly dataSegmentsOut: number
}

const STATES = [
  "UNKNOWN",
  "ESTABLISHED",
  "SYN-SENT",
  "SYN-RECEIVED",
  "FIN-WAIT-1",
  "FIN-WAIT-2",
  "TIME-WAIT",
  "CLOSED",
  "CLOSE-WAIT",
  "LAST-ACK",
  "LISTEN",
  "CLOSING",
  "SYN-RECEIVED",
] as const
export type KernelState = (typeof STATES)[number]

/** Any address of the IP version that `host` is of. */
const anyOf = (host: string): string => (posix.familyOf(host) === 6 ? "::" : "0.0.0.0")

const TCP_INFO_LENGTH = 232
const CHUNK = 262_144

/** A TCP connection of the kernel's. Its errors are SocketErrors. */
export class KernelSocket implements End {
  readonly fd: number
  #open = true

  constructor(fd: number) {
    this.fd = fd
  }

  /** Begins to connect: the SYN has been handed to the device when this returns. */
  static begin(remote: posix.SocketAddress, options: KernelOptions = {}): KernelSocket {
    const socket = new KernelSocket(posix.tcpSocket(posix.familyOf(remote.host)))
    try {
      socket.#begin(remote, options)
    } catch (cause) {
      socket.close()
      throw cause
    }
    return socket
  }

  #begin(remote: posix.SocketAddress, options: KernelOptions): void {
    const { fd } = this
    const { localPort, localHost = anyOf(remote.host), noDelay, receiveBuffer, sendBuffer, mss } = options
    if (noDelay === true) posix.setOption(fd, posix.IPPROTO_TCP, posix.TCP_NODELAY, 1)
    if (receiveBuffer !== undefined) posix.setOption(fd, posix.SOL_SOCKET, posix.SO_RCVBUF, receiveBuffer)
    if (sendBuffer !== undefined) posix.setOption(fd, posix.SOL_SOCKET, posix.SO_SNDBUF, sendBuffer)
    if (mss !== undefined) posix.setOption(fd, posix.IPPROTO_TCP, posix.TCP_MAXSEG, mss)
    if (localPort !== undefined || options.localHost !== undefined) {
      posix.setOption(fd, posix.SOL_SOCKET, posix.SO_REUSEADDR, 1)
      posix.bind(fd, { host: localHost, port: localPort ?? 0 })
    }
    posix.connect(fd, remote)
  }

  /** Waits for the outcome of `begin`. */
  async connected(): Promise<this> {
    await until("the kernel's connect", () => posix.isWritable(this.fd))
    const error = posix.socketError(this.fd)
    if (error === undefined) return this
    this.close()
    throw error
  }

  get localPort(): number {
    return posix.localAddress(this.fd).port
  }

  get remote(): posix.SocketAddress {
    return posix.peerAddress(this.fd)
  }

  async write(bytes: Uint8Array): Promise<void> {
    let at = 0
    while (at < bytes.length) at += await found("the kernel taking data", () => this.writeNow(bytes.subarray(at)))
  }

  /** How many octets the kernel has taken; undefined: it takes none now. */
  writeNow(bytes: Uint8Array): number | undefined {
    return posix.send(this.fd, bytes)
  }

  async read(max = CHUNK): Promise<Uint8Array | undefined> {
    const bytes = await found("data for the kernel's socket", () => posix.receive(this.fd, max))
    return bytes.length === 0 ? undefined : bytes
  }

  /** Waits for a failure of reading, and gives its code; "" where the connection ends in order. */
  async failure(): Promise<string> {
    try {
      while ((await this.read()) !== undefined);
      return ""
    } catch (cause) {
      if (cause instanceof posix.SocketError) return cause.code
      throw cause
    }
  }

  shutdown(): void {
    posix.shutdownWrite(this.fd)
  }

  close(): void {
    if (!this.#open) return
    this.#open = false
    posix.close(this.fd)
  }

  abort(): void {
    if (this.#open) posix.setOption(this.fd, posix.SOL_SOCKET, posix.SO_LINGER, 1, 0)
    this.close()
  }

  /** Octets received and not read. */
  get received(): number {
    return posix.receiveQueue(this.fd)
  }

  /** Octets written that the peer has not acknowledged. */
  get unacknowledged(): number {
    return posix.sendQueue(this.fd)
  }

  get info(): KernelInfo {
    const view = posix.getOption(this.fd, posix.IPPROTO_TCP, posix.TCP_INFO, TCP_INFO_LENGTH)
    const options = view.getUint8(5)
    return {
      state: STATES[view.getUint8(0)] ?? "UNKNOWN",
      timestamps: (options & 1) !== 0,
      sack: (options & 2) !== 0,
      scaling: (options & 4) !== 0,
      sndScale: view.getUint8(6) & 15,
      rcvScale: view.getUint8(6) >> 4,
      sndMss: view.getUint32(16, true),
      retransmits: view.getUint32(100, true),
      probes: view.getUint8(3),
      dataSegmentsIn: view.getUint32(152, true),
      dataSegmentsOut: view.getUint32(156, true),
    }
  }
}

/** A listening socket of the kernel's. */
export class KernelListener {
  readonly #fd: number
  readonly port: number

  constructor(host: string, port = 0, backlog = 128) {
    this.#fd = posix.tcpSocket(posix.familyOf(host))
    posix.setOption(this.#fd, posix.SOL_SOCKET, posix.SO_REUSEADDR, 1)
    posix.bind(this.#fd, { host, port })
    posix.listen(this.#fd, backlog)
    this.port = posix.localAddress(this.#fd).port
  }

  async accept(): Promise<KernelSocket> {
    return new KernelSocket(await found("a connection for the kernel", () => posix.accept(this.#fd)))
  }

  close(): void {
    posix.close(this.#fd)
  }
}

/** A counter of the namespace's kernel, as `netstat -s` knows it: "Tcp", "RetransSegs". */
export const kernelCounter = async (group: "Tcp" | "TcpExt" | "Icmp", name: string): Promise<number> => {
  const file = group === "TcpExt" ? "netstat" : "snmp"
  const lines = (await Bun.file(`/proc/net/${file}`).text()).split("\n").filter((line) => line.startsWith(`${group}: `))
  const [columns = [], values = []] = lines.map((line) => line.split(" "))
  return Number(values[columns.indexOf(name)] ?? Number.NaN)
}
