import { isSynchronized } from "../tcp/tcb.ts"
import { type Micros, OFF } from "../tcp/time.ts"
import { type Endpoint, type IpAddress, sameEndpoint } from "../wire/address.ts"
import type { Deadlines, Scheduled } from "./deadlines.ts"
import { Flow, NOWHERE } from "./flow.ts"
import type { FlowTable } from "./flowTable.ts"
import type { NumberTable } from "./numberTable.ts"
import { type Quiet, RestingPlace } from "./resting.ts"
import { RestTable } from "./restTable.ts"
import { NO_ROW, type Row } from "./rows.ts"
import { type AnySocket, ConnectionSocket } from "./socket.ts"
import { Task } from "./task.ts"
import { Totals } from "./totals.ts"
import type { SocketId } from "./types.ts"

/** Connections that are left as they are, however long nothing happens to them. */
const FEW = 256
/** For how long nothing must have happened to one that is put to rest: the least, and the most where very many are woken. */
const LEAST_STILL: Micros = 25_000
const MOST_STILL: Micros = 5_000_000
/** What is left of that time after a round in which few were woken. */
const PATIENCE = 7 / 8
/** They are looked for twice in that time, but no more often than this. */
const ROUND: Micros = 50_000
/** How many of a round are looked at in one turn, and put to rest: some millisecond's work. */
const LOOKS = 8192
const RESTS = 512
/** Connections woken per second that are worth their memory, some hundredths of a core's time; and so many more at once. */
const WAKES = 8000
const BURST = 20_000

/** Where connections are found that are awake. */
export interface Awake {
  readonly flows: FlowTable
  readonly sockets: NumberTable<AnySocket>
}

/**
 * Puts connections to rest that nothing happens to, where there are many: neither flow nor socket
 * is left of them, but rows of numbers. To lie down and wake again costs some five microseconds: where many
 * are woken they are left alone for longer, so that those that are in use again and again never sleep.
 */
export class Rest {
  /** Connections put to rest so far. */
  count = 0
  private readonly bed = new RestingPlace()
  private readonly table: RestTable
  private readonly round = new Task((now) => this.looks(now))
  private readonly awake: Array<Flow> = []
  /** Where a round that is under way goes on, among them. */
  private place = NOWHERE
  private still = LEAST_STILL
  /** Connections woken beyond what is worth it, as of when that was last looked at. */
  private wakes = 0
  private adaptedAt: Micros = 0
  /** Of whoever woke last: one record for all connections to the same address and port. */
  private local: Endpoint | undefined = undefined

  constructor(
    private readonly deadlines: Deadlines<Scheduled>,
    private readonly tables: Awake,
  ) {
    this.table = new RestTable(tables.flows)
  }

  /** Something happens to a connection. */
  stirs(flow: Flow, now: Micros): void {
    if (flow.awakeAt === NOWHERE) this.stays(flow)
    flow.stirredAt = now
    if (this.awake.length > FEW && this.round.scheduledAt === OFF)
      this.deadlines.schedule(this.round, this.nextRound(now))
  }

  /** A connection is over, or in TIME-WAIT: the last of those that are awake takes its place. */
  ends(flow: Flow): void {
    const { awakeAt } = flow
    if (awakeAt === NOWHERE) return
    flow.awakeAt = NOWHERE
    const last = this.awake.pop()
    if (last === undefined || last === flow) return
    this.awake[awakeAt] = last
    last.awakeAt = awakeAt
  }

  has(local: IpAddress, localPort: number, remote: IpAddress, remotePort: number): boolean {
    return this.table.find(local, localPort, remote, remotePort) !== NO_ROW
  }

  hasSocket(id: SocketId): boolean {
    return this.table.findSocket(id) !== NO_ROW
  }

  /** Wakes the connection with these four values, if it is at rest. */
  wake(local: IpAddress, localPort: number, remote: IpAddress, remotePort: number): Flow | undefined {
    return this.woken(this.table.find(local, localPort, remote, remotePort))?.flow
  }

  /** Wakes the connection behind a socket, if it is at rest. */
  wakeSocket(id: SocketId): ConnectionSocket | undefined {
    return this.woken(this.table.findSocket(id))
  }

  /** What the socket would be, were it awake. */
  look(id: SocketId): ConnectionSocket | undefined {
    return this.read(this.table.findSocket(id))
  }

  /** The same of all that are at rest. */
  *lookAtAll(): Generator<ConnectionSocket> {
    for (const row of this.table) {
      const socket = this.read(row)
      if (socket !== undefined) yield socket
    }
  }

  /** A part of a round: others wait meanwhile. */
  private looks(now: Micros): void {
    if (now - this.adaptedAt >= ROUND) this.adapt(now)
    const { awake, still } = this
    if (this.place === NOWHERE) {
      if (awake.length <= FEW) return
      this.place = 0
    }
    for (let looked = 0, rested = 0; looked < LOOKS && rested < RESTS; looked++) {
      const flow = awake[this.place]
      if (flow === undefined) break
      if (now - flow.stirredAt < still) this.place++
      else {
        // Another comes in its place.
        this.ends(flow)
        this.putToRest(flow)
        rested++
      }
    }
    if (this.place < awake.length) this.deadlines.schedule(this.round, now + 1)
    else {
      this.place = NOWHERE
      if (awake.length > FEW) this.deadlines.schedule(this.round, this.nextRound(now))
    }
  }

  /** Patience grows fast, as each round without costs all those wakes, and goes slowly. */
  private adapt(now: Micros): void {
    this.wakes = Math.max(0, this.wakes - (WAKES * (now - this.adaptedAt)) / 1e6)
    this.adaptedAt = now
    if (this.wakes <= BURST) this.still = Math.max(LEAST_STILL, this.still * PATIENCE)
    else {
      this.wakes = BURST
      this.still = Math.min(MOST_STILL, this.still * 2)
    }
  }

  private nextRound(now: Micros): Micros {
    return now + Math.max(ROUND, Math.ceil(this.still / 2))
  }

  private stays(flow: Flow): void {
    flow.awakeAt = this.awake.length
    this.awake.push(flow)
  }

  /** One that cannot rest now is looked at again when something happens to it. */
  private putToRest(flow: Flow): void {
    const { socket, local, remote } = flow
    const quiet = quietOf(flow)
    const resting = quiet === undefined ? undefined : this.bed.pack(quiet)
    if (socket === undefined || resting === undefined) return
    this.table.add(socket.id, local, remote, resting)
    this.tables.flows.remove(flow)
    this.tables.sockets.delete(socket.id)
    // None of its timers is armed: what the heap still has of them would only wake it.
    this.deadlines.forget(flow)
    this.count++
  }

  private woken(row: Row): ConnectionSocket | undefined {
    const socket = this.read(row)
    if (socket === undefined) return undefined
    this.bed.giveBack(this.table.placeOf(row))
    this.table.remove(row)
    this.tables.flows.add(socket.flow)
    this.tables.sockets.set(socket.id, socket)
    // Perhaps only to be asked: if nothing happens to it, it lies down again.
    this.wakes++
    this.stays(socket.flow)
    return socket
  }

  private read(row: Row): ConnectionSocket | undefined {
    if (row === NO_ROW) return undefined
    const { table } = this
    const local = this.shared(table.localOf(row))
    const remote = table.remoteOf(row)
    const quiet = this.bed.read(table.placeOf(row), local, remote)
    return quiet === undefined ? undefined : socketOf(table.idOf(row), quiet, local, remote)
  }

  private shared(local: Endpoint): Endpoint {
    if (this.local === undefined || !sameEndpoint(this.local, local)) this.local = local
    return this.local
  }
}

/** Undefined: somebody waits for something, or it is signed. */
const quietOf = (flow: Flow): Quiet | undefined => {
  const { tcb, socket, iface, identification, sharing } = flow
  if (flow.dirty || !flow.joined || flow.train !== undefined || flow.guard !== undefined || flow.listener !== undefined)
    return undefined
  if (socket === undefined || !isSynchronized(tcb)) return undefined
  if (!socket.held || socket.reported !== 0 || socket.received.length > 0 || socket.errorTaken) return undefined
  const { reuseAddress, reusePort, ipv6Only } = sharing
  const { ended, shut, lowWater, wantsRoom, totals } = socket
  return {
    tcb,
    iface,
    identification,
    sharing: { reuseAddress, reusePort, ipv6Only },
    ended,
    shut,
    lowWater,
    wantsRoom,
    totals: totals.record,
  }
}

const socketOf = (id: SocketId, quiet: Quiet, local: Endpoint, remote: Endpoint): ConnectionSocket => {
  const flow = new Flow(id, quiet.tcb, local, remote, quiet.iface)
  flow.identification = quiet.identification
  flow.sharing = quiet.sharing
  flow.joined = true
  const socket = new ConnectionSocket(id, flow, Totals.of(quiet.totals))
  socket.held = true
  socket.ended = quiet.ended
  socket.shut = quiet.shut
  socket.lowWater = quiet.lowWater
  socket.wantsRoom = quiet.wantsRoom
  flow.socket = socket
  return socket
}
