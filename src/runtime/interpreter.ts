import type { Timekeeper } from "../device/clock.ts"
import type { Device, DeviceFailure, ReceivedFrame } from "../device/device.ts"
import { frameSender } from "../device/frameSender.ts"
import { encodeSegment } from "../host/encode.ts"
import type { HostApi, HostEffect, SocketEvent, SocketId } from "../host/types.ts"
import { type Micros, OFF } from "../tcp/time.ts"
import type { OptionLayout } from "../wire/tcpOptionLayout.ts"
import { socketCalls } from "./calls.ts"
import { makeCollector, NO_COLLECTOR } from "./collector.ts"
import { Owners } from "./owners.ts"
import type { Sockets } from "./sockets.ts"

/** Frames taken from one device before the stack answers and the event loop has its turn. */
const BATCH = 256
/** So many at least; of long frames that do not stay so many are taken at once, and between them the clock is looked at. */
const SLICE = 32
/** What a turn takes at most, microseconds: where its frames let more out than that, the next takes fewer. */
const TURN_TIME: Micros = 2000
/** Turns that find nothing before the stack stops polling and sleeps: some 50 us, about what waking costs. */
const IDLE_TURNS = 64
const isSliced = ({ capabilities }: Device): boolean => capabilities.segmentationOffload > 0 && !capabilities.framesStay
/** Of a joined frame: Ethernet, IPv4, TCP with timestamps. Octets. */
const HEADERS = 66
/** Full batches in a row after which timers are fired all the same: some milliseconds. */
const PATIENCE = 8
/** Rounds of callbacks and their consequences in one batch; what is left waits for the next turn. */
const ROUNDS = 16

/** What the interpreter has done, beside the host's and the devices' own counters. */
export interface InterpreterCounters {
  /** Turns of the loop: a stack that sleeps has none. */
  turns: number
  /** Those that found frames. */
  batches: number
  /** TCP segments on the wire, each piece of an uncut one counting. */
  segmentsOut: number
  /** Segments that devices joined to others before they handed them over: the host counts each frame once. */
  joined: number
  /** Packets that the host threw away, by reason. */
  readonly drops: Map<string, number>
  /** Callbacks of applications that threw. */
  thrown: number
}

export interface InterpreterOptions {
  readonly host: HostApi
  /** In the order of the host's interfaces. */
  readonly devices: ReadonlyArray<Device>
  readonly layout: OptionLayout
  readonly timekeeper: (onDue: () => void) => Timekeeper
  /** How long turns that find nothing go on, milliseconds of the wall's clock; never for fewer turns than waking costs. */
  readonly busyPoll: number
  /** Whether garbage collection may be asked for; see collector.ts. */
  readonly collects: boolean
  /** A callback of an application threw; if it was a connection's, that one has been aborted. */
  readonly onThrow: (socket: SocketId, cause: unknown) => void
  /** A device has ended by itself, and the stack with it. Called once. */
  readonly onFailure: (failure: DeviceFailure) => void
}

/** Carries out what a host decides, on its devices and for its applications. */
export interface Interpreter {
  readonly sockets: Sockets
  readonly counters: InterpreterCounters
  /** Connections that an application holds. */
  readonly connections: () => number
  readonly now: () => Micros
  /** Calls have been made: what follows from them is carried out soon. */
  readonly called: () => void
  /** Begins to poll the devices. */
  readonly start: () => void
  /** Tells every owner that the stack ends, and closes every socket as close(2) does; the loop goes on. */
  readonly release: () => void
  /** No callbacks, frames or timers any more. */
  readonly stop: () => void
}

/**
 * The loop: frames in, callbacks, replies out, all in one synchronous pass per batch. While there
 * are frames it runs in every turn of the event loop; a stack with nothing to do sleeps until a
 * device wakes it or the timer is due.
 */
export const makeInterpreter = (options: InterpreterOptions): Interpreter => {
  const { host, devices, layout } = options
  const counters: InterpreterCounters = { turns: 0, batches: 0, segmentsOut: 0, joined: 0, drops: new Map(), thrown: 0 }
  const armed = devices.map(() => false)
  const collector = options.collects ? makeCollector() : NO_COLLECTOR
  const time = options.timekeeper(() => wakeUp())
  const owners = new Owners((socket, cause, listening) => {
    counters.thrown++
    if (!listening) host.abort(socket, now())
    options.onThrow(socket, cause)
  })

  let events: Array<SocketEvent> = []
  let failure: DeviceFailure | undefined
  let running = false
  /** Set inside a batch: calls made meanwhile are carried out at its end, and share its time. */
  let busy = false
  let batchTime: Micros = 0
  let pollScheduled = false
  let settleScheduled = false
  let idleTurns = 0
  /** When a frame was last found, by performance.now(); kept only where `busyPoll` asks for it. */
  let foundAt = 0
  /** Full batches in a row: more frames wait. */
  let behind = 0
  /** Frames that a turn takes from one device: SLICE to BATCH, by what the last ones took. */
  let budget = BATCH

  const now = (): Micros => (busy ? batchTime : time.now())

  const senders = devices.map(frameSender)

  const visitors = devices.map((_, index) => (frame: ReceivedFrame): void => {
    const { segmentSize } = frame
    if (segmentSize > 0) counters.joined += Math.max(0, Math.ceil((frame.length - HEADERS) / segmentSize) - 1)
    host.frame(index, frame.bytes, frame.offset, frame.length, frame.checksumVouched, batchTime)
    if (host.crowded) {
      carryOut(host.take())
      dispatch()
    }
  })

  const poll = (): void => {
    pollScheduled = false
    if (!running) return
    counters.turns++
    begin()
    let received = 0
    let more = false
    for (const [index, visit] of visitors.entries()) {
      const device = devices[index]
      if (device === undefined) continue
      const n = receiveBatch(device, visit)
      received += n
      // Less than all that was asked for is all that there was, unless it is all that the device has room for.
      more ||= device.full === true || (isSliced(device) ? n > 0 && n % SLICE === 0 : n >= budget)
    }
    // Timers only now: when we were held up, the ACK that one waits for may be among the frames, or behind a full batch.
    behind = more ? behind + 1 : 0
    if (behind === 0 || behind > PATIENCE) fireTimers()
    settle()
    if (received > 0) {
      counters.batches++
      adapt(time.now() - batchTime)
    }
    collector.worked(received, host.rested)
    goOn(received > 0)
  }

  /** An ACK may let much more out than it is long itself: others are waiting meanwhile. */
  const adapt = (took: Micros): void => {
    if (took > TURN_TIME) budget = Math.max(SLICE, budget >> 1)
    else if (took < TURN_TIME / 2) budget = Math.min(BATCH, budget << 1)
  }

  /** Where frames are long: by slices, up to a whole batch or the end of a turn's time. */
  const receiveBatch = (device: Device, visit: (frame: ReceivedFrame) => void): number => {
    if (!isSliced(device)) return device.receive(visit, budget)
    const until = time.now() + TURN_TIME / 2
    let received = 0
    for (;;) {
      const n = device.receive(visit, SLICE)
      received += n
      if (n < SLICE || received >= budget || time.now() >= until) return received
    }
  }

  const begin = (): void => {
    busy = true
    batchTime = time.now()
  }

  const fireTimers = (): void => {
    const deadline = host.nextDeadline()
    if (deadline !== OFF && deadline <= batchTime) host.advance(batchTime)
  }

  /** Callbacks, then replies, until both have nothing more to say; then the wire and the timer. */
  const settle = (): void => {
    carryOut(host.take())
    let rounds = 0
    do {
      dispatch()
      host.flush(batchTime)
      carryOut(host.take())
      // Not where as much has left as may in one turn: more callbacks would only let out more.
    } while (events.length > 0 && ++rounds < ROUNDS && !isDue(batchTime))
    for (const device of devices) device.flush()
    busy = false
    // After others have had their turn, which a clock would not give them.
    if (events.length > 0 || isDue(time.now())) pollSoon()
    else time.arm(host.nextDeadline())
  }

  /** The host has something to do by then. */
  const isDue = (at: Micros): boolean => {
    const deadline = host.nextDeadline()
    return deadline !== OFF && deadline <= at
  }

  const goOn = (found: boolean): void => {
    if (!running || failed()) return
    idleTurns = found ? 0 : idleTurns + 1
    if (found && options.busyPoll > 0) foundAt = performance.now()
    if (idleTurns < IDLE_TURNS || mayFind()) schedulePoll()
    else sleep()
  }

  /** As Linux's net.core.busy_poll: the next frame is near enough to be looked for. */
  const mayFind = (): boolean => options.busyPoll > 0 && performance.now() - foundAt < options.busyPoll

  const sleep = (): void => {
    collector.sleeps()
    for (const [index, device] of devices.entries()) {
      if (armed[index]) continue
      armed[index] = true
      device.wake(() => {
        armed[index] = false
        wakeUp()
      })
    }
  }

  const pollSoon = (): void => {
    idleTurns = 0
    schedulePoll()
  }

  /** A device has frames, or the timer is due. A turn that is to come anyway is soon enough: one more would go on beside it. */
  const wakeUp = (): void => {
    if (busy || pollScheduled) pollSoon()
    else if (running) guarded(poll)
  }

  const schedulePoll = (): void => {
    if (pollScheduled || !running) return
    pollScheduled = true
    setImmediate(() => guarded(poll))
  }

  /** A mistake of ours must not leave connections hanging: the stack ends, and says so. */
  const guarded = (turn: () => void): void => {
    try {
      turn()
    } catch (cause) {
      busy = false
      end({ device: "netfold", errno: "EFAULT", message: `internal error: ${String(cause)}` })
    }
  }

  /** What calls of applications lead to. */
  const turnWithoutFrames = (): void => {
    begin()
    settle()
    failed()
  }

  const called = (): void => {
    if (busy || settleScheduled || !running) return
    settleScheduled = true
    queueMicrotask(() => {
      settleScheduled = false
      if (!running || busy) return
      guarded(turnWithoutFrames)
      // An answer may be near: look for it before sleeping again.
      pollSoon()
    })
  }

  const carryOut = (effects: ReadonlyArray<HostEffect>): void => {
    for (const effect of effects) {
      switch (effect._tag) {
        case "SendSegment": {
          const device = devices[effect.interface]
          senders[effect.interface]?.flush()
          if (device !== undefined) counters.segmentsOut += encodeSegment(device, layout, effect)
          break
        }
        case "SendFrame":
          senders[effect.interface]?.send(effect.bytes)
          break
        case "SocketEvent":
          events.push(effect)
          break
        case "Dropped":
          counters.drops.set(effect.why, (counters.drops.get(effect.why) ?? 0) + 1)
          break
      }
    }
    for (const sender of senders) sender.flush()
  }

  const dispatch = (): void => {
    const batch = events
    if (batch.length === 0) return
    events = []
    for (const { socket, event } of batch) owners.tell(socket, event)
  }

  /** Ends the stack when a device has ended. */
  const failed = (): boolean => {
    if (failure !== undefined) return true
    for (const device of devices) {
      const cause = device.failure()
      if (cause === undefined) continue
      end(cause)
      return true
    }
    return false
  }

  const end = (cause: DeviceFailure): void => {
    if (failure !== undefined) return
    failure = cause
    running = false
    time.cancel()
    owners.endAll()
    options.onFailure(cause)
  }

  const remind = (socket: SocketId): void => {
    events.push({ _tag: "SocketEvent", socket, event: "readable" })
  }

  return {
    sockets: socketCalls({ host, owners, now, failure: () => failure, called, remind }),
    counters,
    connections: () => owners.connections,
    now,
    called,
    start: () => {
      running = true
      pollSoon()
    },
    release: () => {
      const sockets = owners.sockets()
      owners.endAll()
      if (failure !== undefined) return
      for (const socket of sockets) host.close(socket, now())
      called()
    },
    stop: () => {
      running = false
      time.cancel()
      collector.stop()
      owners.endAll()
      events = []
    },
  }
}
