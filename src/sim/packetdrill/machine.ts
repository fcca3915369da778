import { encodeSegment, type Transmitter } from "../../host/encode.ts"
import { makeHost } from "../../host/host.ts"
import type { HostApi, HostEffect, SendSegment, SocketId, SocketStatus } from "../../host/types.ts"
import type { TcpSettings } from "../../tcp/settings.ts"
import { type Micros, OFF } from "../../tcp/time.ts"
import { type IpAddress, type MacAddress, sameEndpoint, UNSPECIFIED4, UNSPECIFIED6 } from "../../wire/address.ts"
import type { OptionLayout } from "../../wire/tcpOptionLayout.ts"
import { EMPTY } from "../../wire/tcpSegment.ts"
import type { Flow } from "./flow.ts"
import { type Seen, see } from "./packet.ts"
import { tcpInfo } from "./tcpInfo.ts"

/** What a machine is made of. */
export interface MachineConfig {
  readonly address: IpAddress
  readonly mtu: number
  readonly settings: TcpSettings
  /** When the machine begins. */
  readonly start: Micros
  /** Largest payload that leaves in one packet, as a device with segmentation offload takes it; 0: one MSS. */
  readonly burst: number
}

/** Fixed, so that every run of a script sees the same numbers. */
const SECRET = Uint8Array.from({ length: 32 }, (_, i) => i * 7 + 1)

/** What a script runs against: calls, packets, and time that passes when it is told to. */
export interface Machine {
  readonly host: HostApi
  readonly settings: TcpSettings
  readonly now: Micros
  /** Packets that have left and that the script has not looked at. */
  readonly sent: Array<Seen>
  /** Why packets were thrown away, latest last. */
  readonly drops: ReadonlyArray<{ readonly at: Micros; readonly why: string }>
  /** Sockets with events since somebody asked (edge-triggered epoll does). */
  readonly stirred: Set<SocketId>
  /** Packets come in together and are answered, as an interrupt of their own. */
  inject(...packets: ReadonlyArray<Uint8Array>): void
  /** Carries out what a call or a packet has left to be done. */
  settle(): void
  /** When the stack does something by itself, or OFF. */
  next(): Micros
  /** Lets time pass up to `at` and fires the timers that are due then; the caller stops at each `next()`. */
  advance(at: Micros): void
  /** Time passes in which nothing happens. */
  skipTo(at: Micros): void
  /** Changes the settings of the running host; false when it cannot. */
  configure(settings: TcpSettings): boolean
  /** The socket that a flow's packets belong to, held by an application or not. */
  statusOf(flow: Flow): SocketStatus | undefined
  /** TCP_INFO; `status` undefined: of a socket that the host has not seen yet. */
  info(status: SocketStatus | undefined): ReadonlyMap<string, number>
}

export type MakeMachine = (config: MachineConfig) => Machine

/** The stack as packetdrill drives it: one host behind a wire without link layer, in virtual time. */
export const makeVirtualMachine: MakeMachine = (config) => new VirtualMachine(config)

class VirtualMachine implements Machine {
  readonly host: HostApi
  readonly settings: TcpSettings
  now: Micros
  readonly sent: Array<Seen> = []
  readonly drops: Array<{ readonly at: Micros; readonly why: string }> = []
  readonly stirred = new Set<SocketId>()
  private readonly layout: OptionLayout

  constructor(config: MachineConfig) {
    const { address, mtu, burst, settings } = config
    this.now = config.start
    this.settings = settings
    const v4 = address.family === 4
    this.layout = settings.profile.optionLayout
    this.host = makeHost({
      interfaces: [
        {
          name: "tun0",
          mac: 0 as MacAddress,
          layer: "ip",
          mtu,
          burst,
          addresses: [{ address, prefixLength: v4 ? 16 : 64 }],
        },
      ],
      routes: [{ prefix: v4 ? UNSPECIFIED4 : UNSPECIFIED6, prefixLength: 0, via: undefined, interface: 0 }],
      settings,
      secret: SECRET,
    })
  }

  configure(settings: TcpSettings): boolean {
    return this.host.configure(settings) === undefined
  }

  inject(...packets: ReadonlyArray<Uint8Array>): void {
    for (const bytes of packets) this.host.frame(0, bytes, 0, bytes.length, false, this.now)
    this.settle()
  }

  settle(): void {
    this.host.flush(this.now)
    this.drain()
    // A host that talks to itself asks to be flushed again at once.
    for (let rounds = 0; rounds < 64 && this.host.nextDeadline() === 0; rounds++) {
      this.host.flush(this.now)
      this.drain()
    }
  }

  next(): Micros {
    const next = this.host.nextDeadline()
    return next === OFF ? OFF : Math.max(next, this.now)
  }

  skipTo(at: Micros): void {
    this.now = Math.max(this.now, at)
  }

  advance(at: Micros): void {
    this.now = Math.max(this.now, at)
    this.host.advance(this.now)
    this.settle()
  }

  info(status: SocketStatus | undefined): ReadonlyMap<string, number> {
    return tcpInfo(status, this.settings, this.now)
  }

  statusOf(flow: Flow): SocketStatus | undefined {
    return this.host
      .sockets()
      .find(
        ({ local, remote }) =>
          remote !== undefined && sameEndpoint(remote, flow.remote) && local.port === flow.local.port,
      )
  }

  private drain(): void {
    for (const effect of this.host.take()) this.carryOut(effect)
  }

  /** By the codec that devices use: what a script checks is what would be on the wire. */
  private transmit(effect: SendSegment): void {
    const { why, segmentSize } = effect.segment
    const device = new Wire((bytes) => this.sent.push(see(bytes, this.now, why, segmentSize)))
    encodeSegment(device, this.layout, effect)
  }

  private carryOut(effect: HostEffect): void {
    switch (effect._tag) {
      case "SendSegment":
        this.transmit(effect)
        return
      case "SendFrame":
        this.sent.push(see(effect.bytes.slice(), this.now, effect.why))
        return
      case "SocketEvent":
        this.stirred.add(effect.socket)
        return
      case "Dropped":
        this.drops.push({ at: this.now, why: effect.why })
    }
  }
}

/** What leaves a machine: packets without link layer, as large as a device with segmentation offload takes them. */
class Wire implements Transmitter {
  readonly mac = 0 as MacAddress
  readonly capabilities = { layer: "ip", checksumOffload: false, segmentationOffload: 0xffff } as const
  private packet = EMPTY

  constructor(private readonly taken: (packet: Uint8Array) => void) {}

  reserve(length: number): Uint8Array {
    this.packet = new Uint8Array(length)
    return this.packet
  }

  commit(): void {
    this.taken(this.packet)
  }
}
