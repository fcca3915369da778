import type { TcpSettings } from "../../tcp/settings.ts"
import type { Micros } from "../../tcp/time.ts"
import type { CommandAction } from "./ast.ts"
import { runCommand } from "./commands.ts"
import type { RunConfig } from "./config.ts"
import type { File } from "./files.ts"
import type { Machine, MakeMachine } from "./machine.ts"
import { Nstat } from "./nstat.ts"

/** Largest payload in one packet of a machine with segmentation offload: Linux's 64 KiB less headers. */
const BURST = 65_160

/**
 * The machine that a script finds, and what its commands make of it. It is made when something first happens
 * to it; one that nothing has happened to yet is made again where a command asks for another.
 */
export class Stage {
  readonly files = new Map<number, File>()
  made: Machine | undefined
  private settings: TcpSettings
  private burst: number
  private mtu: number
  private start: Micros = 0
  private readonly nstat = new Nstat()

  constructor(
    private readonly config: RunConfig,
    private readonly makeMachine: MakeMachine,
    private readonly notes: Array<string>,
  ) {
    this.settings = config.settings
    this.mtu = config.mtu
    this.burst = config.settings.profile.name === "linux" ? BURST : 0
  }

  get machine(): Machine {
    this.made ??= this.makeMachine({
      address: this.config.local,
      mtu: this.mtu,
      settings: this.settings,
      burst: this.burst,
      start: this.start,
    })
    return this.made
  }

  /** Runs what stands between backticks; answers what went wrong, or undefined. `untouched`: no packet was sent. */
  run(action: CommandAction, untouched: boolean, sleep: (duration: Micros) => void): string | undefined {
    return runCommand(
      {
        settings: () => this.settings,
        configure: (settings) => {
          if (!this.startAgain(untouched) && this.made?.configure(settings) === false) return false
          this.settings = settings
          return true
        },
        offload: (on) => {
          const burst = on ? BURST : 0
          if (burst !== this.burst && !this.startAgain(untouched)) return false
          this.burst = burst
          return true
        },
        mtu: (octets) => {
          if (octets !== this.mtu && !this.startAgain(untouched)) return false
          this.mtu = octets
          return true
        },
        sleep,
        counters: () => this.made?.host.counters ?? {},
        nstat: this.nstat,
        sockets: () => this.made?.host.sockets() ?? [],
        drop: ({ socket }) => {
          this.machine.host.abort(socket, this.machine.now)
          this.machine.settle()
        },
        ignored: (what) => this.notes.push(`without effect: ${what}`),
      },
      action,
    )
  }

  private startAgain(untouched: boolean): boolean {
    if (this.made === undefined) return true
    if (!untouched || this.files.size > 0 || this.made.host.sockets().length > 0) return false
    this.start = this.made.now
    this.made = undefined
    return true
  }
}
