import { interfaceIndex } from "../../ffi/interface.ts"
import { setIpv6 } from "../../src/wire/addressBytes.ts"
import { parseAddress } from "../../src/wire/addressText.ts"
import * as posix from "./posix.ts"
import { found } from "./wait.ts"

const SO_BROADCAST = 6
const IP_MULTICAST_IF = 32
const IP_ADD_MEMBERSHIP = 35
const IPV6_MULTICAST_IF = 17
const IPV6_ADD_MEMBERSHIP = 20

/** An address as setsockopt takes it: octets in network order, read as an integer of this machine. */
const word = (address: string): number => Buffer.from(address.split(".").map(Number)).readInt32LE(0)

/** A UDP socket of the kernel's. Its errors are SocketErrors. */
export class KernelUdp {
  readonly #fd: number

  /** Port 0: a free one. */
  constructor(host: string, port = 0) {
    this.#fd = posix.udpSocket(posix.familyOf(host))
    posix.setOption(this.#fd, posix.SOL_SOCKET, SO_BROADCAST, 1)
    posix.setOption(this.#fd, posix.SOL_SOCKET, posix.SO_RCVBUF, 4_000_000)
    posix.bind(this.#fd, { host, port })
  }

  get port(): number {
    return posix.localAddress(this.#fd).port
  }

  connect(host: string, port: number): void {
    posix.connect(this.#fd, { host, port })
  }

  /** False: what was sent before has not left yet, and there is no room. */
  send(bytes: Uint8Array): boolean {
    return posix.send(this.#fd, bytes) !== undefined
  }

  receive(): Promise<Uint8Array> {
    return found("a datagram for the kernel", () => posix.receive(this.#fd, 262_144))
  }

  /** The code of the error that an ICMP message leaves at the socket. */
  async error(): Promise<string> {
    return (await found("an ICMP error", () => posix.socketError(this.#fd))).code
  }

  /** Sends to groups by an interface, named by its address, over IPv6 by its name, and hears the group there. */
  join(group: string, address: string): void {
    if (posix.familyOf(group) === 6) return this.#join6(group, interfaceIndex(address) ?? 0)
    posix.setOption(this.#fd, posix.IPPROTO_IP, IP_MULTICAST_IF, word(address))
    posix.setOption(this.#fd, posix.IPPROTO_IP, IP_ADD_MEMBERSHIP, word(group), word(address))
  }

  #join6(group: string, index: number): void {
    posix.setOption(this.#fd, posix.IPPROTO_IPV6, IPV6_MULTICAST_IF, index)
    const parsed = parseAddress(group)
    if (parsed === undefined) throw new Error(group)
    const octets = new Uint8Array(16)
    setIpv6(octets, 0, parsed)
    const words = Array.from({ length: 4 }, (_, n) => new DataView(octets.buffer).getInt32(n * 4, true))
    posix.setOption(this.#fd, posix.IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, ...words, index)
  }

  close(): void {
    posix.close(this.#fd)
  }
}
