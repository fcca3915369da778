import { describe, expect, test } from "bun:test"
import { Clock, Duration, Effect } from "effect"
import { type Device, noCounters, type ReceivedFrame } from "../../src/device/device.ts"
import { MAX_SEGMENTED_PAYLOAD } from "../../src/device/limits.ts"
import { checkedMac } from "../../src/device/mac.ts"
import { chargen, discard, echo, serviceCounters } from "../../src/net/services.ts"
import * as Tcp from "../../src/net/Tcp.ts"
import { Stack } from "../../src/runtime/stack.ts"
import { CLIENT, on, pair, run, SERVER, text } from "../net/support.ts"

/** Frames that one turn of the event loop takes at most. */
const BUDGET = 256
const TURNS = 50
const MILLI = 1000

interface Endless {
  readonly device: Device
  /** Frames handed over so far. */
  readonly frames: () => number
}

/** A device on which there is always one more frame. */
const endless = (offload: boolean): Endless => {
  const bytes = new Uint8Array(60).fill(255, 0, 6)
  const frame: ReceivedFrame = { bytes, offset: 0, length: 60, checksumVouched: false, segmentSize: 0 }
  let frames = 0
  const device: Device = {
    name: "endless",
    mac: checkedMac(0x02_00_00_00_00_01),
    capabilities: {
      mtu: 1500,
      layer: "ethernet",
      checksumOffload: offload,
      segmentationOffload: offload ? MAX_SEGMENTED_PAYLOAD : 0,
      framesStay: !offload,
    },
    counters: noCounters(),
    receive: (visit, budget) => {
      for (let n = 0; n < budget; n++) visit(frame)
      frames += budget
      return budget
    },
    reserve: () => undefined,
    commit: () => {},
    flush: () => {},
    wake: (onReady) => void setImmediate(onReady),
    failure: () => undefined,
    close: () => {},
  }
  return { device, frames: () => frames }
}

/** The most frames that are handed over between two turns that the application takes by `wait`. */
const mostBetween = ({ frames }: Endless, wait: () => Promise<unknown>): Effect.Effect<number> =>
  Effect.promise(async () => {
    let most = 0
    for (let turn = 0; turn < TURNS; turn++) {
      const before = frames()
      await wait()
      most = Math.max(most, frames() - before)
    }
    return most
  })

const immediate = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe("a device on which there is always one more frame", () => {
  for (const offload of [false, true]) {
    test(`leaves the application its turn after each batch, offload ${offload ? "on" : "off"}`, () =>
      run(
        Effect.gen(function* () {
          const flood = endless(offload)
          const stack = yield* Stack.make({ interfaces: [{ device: flood.device, addresses: [`${SERVER}/24`] }] })
          const most = yield* mostBetween(flood, immediate)
          expect(most).toBeGreaterThan(0)
          // A turn that begins before ours and one that ends it.
          expect(most).toBeLessThanOrEqual(2 * BUDGET)
          expect(stack.counters.turns).toBeGreaterThanOrEqual(TURNS / 2)
        }),
      ))
  }

  test("has one turn for each of the application's, however often its timers fire meanwhile", () =>
    run(
      Effect.gen(function* () {
        const flood = endless(true)
        const stack = yield* Stack.make({ interfaces: [{ device: flood.device, addresses: [`${SERVER}/24`] }] })
        // Nobody answers: there is a deadline to wait for.
        yield* Effect.fork(on(stack)(Tcp.connect({ host: CLIENT, port: 7 })))
        const before = stack.counters.turns
        let turns = 0
        yield* Effect.promise(async () => {
          for (const end = performance.now() + 200; performance.now() < end; turns++) await immediate()
        })
        expect(stack.counters.turns - before).toBeLessThan(1.5 * turns)
      }).pipe(Effect.withClock(hastyClock)),
    ))

  test("timers and the replies of child processes come through", () =>
    run(
      Effect.gen(function* () {
        const flood = endless(true)
        yield* Stack.make({ interfaces: [{ device: flood.device, addresses: [`${SERVER}/24`] }] })
        const order: Array<string> = []
        // A starved loop never comes to the end of this.
        yield* Effect.promise(async () => {
          for (let n = 0; n < 20; n++) await new Promise((resolve) => setTimeout(resolve, 0))
          order.push("timers")
          const child = Bun.spawn(["echo", "here"], { stdout: "pipe" })
          order.push((await child.stdout.text()).trim())
        })
        expect(order).toEqual(["timers", "here"])
        expect(flood.frames()).toBeGreaterThan(20 * BUDGET)
      }),
    ))

  test("long frames: a batch ends after its time, however many wait", () =>
    run(
      Effect.gen(function* () {
        const flood = endless(true)
        const stack = yield* Stack.make({ interfaces: [{ device: flood.device, addresses: [`${SERVER}/24`] }] })
        yield* mostBetween(flood, immediate)
        // Each look at the clock is two fifths of a millisecond later: three slices of 32 frames.
        const perTurn = flood.frames() / stack.counters.turns
        expect(perTurn).toBeLessThanOrEqual(3 * 32)
      }).pipe(Effect.withClock(slowClock(0.4 * MILLI))),
    ))
})

const realClock = Clock.make()

/** A clock that goes on by so many microseconds whenever somebody looks at it. */
const slowClock = (micros: number): Clock.Clock => {
  let now = 0n
  const look = (): bigint => {
    now += BigInt(micros) * 1000n
    return now
  }
  return {
    [Clock.ClockTypeId]: Clock.ClockTypeId,
    unsafeCurrentTimeNanos: look,
    unsafeCurrentTimeMillis: () => Number(look() / 1_000_000n),
    currentTimeNanos: Effect.sync(look),
    currentTimeMillis: Effect.sync(() => Number(look() / 1_000_000n)),
    sleep: (duration) => realClock.sleep(duration),
  }
}

/** A clock that wakes everybody after a millisecond: too early, which whoever waits has to bear with. */
const hastyClock: Clock.Clock = {
  [Clock.ClockTypeId]: Clock.ClockTypeId,
  unsafeCurrentTimeNanos: () => realClock.unsafeCurrentTimeNanos(),
  unsafeCurrentTimeMillis: () => realClock.unsafeCurrentTimeMillis(),
  currentTimeNanos: realClock.currentTimeNanos,
  currentTimeMillis: realClock.currentTimeMillis,
  sleep: () => realClock.sleep(Duration.millis(1)),
}

describe("a greedy connection", () => {
  const ECHOES = 30
  for (const greedy of ["into the server", "out of the server"] as const) {
    test(`${greedy}: the echoes of another are answered within a few turns`, () =>
      run(
        Effect.gen(function* () {
          // In flight: less than one turn takes.
          const { server, client } = yield* pair({ tcpRmem: [4096, 100_000, 100_000] }, {})
          const counters = serviceCounters()
          const listen = (port: number, service: Parameters<Tcp.Listener["onConnection"]>[0]) =>
            Effect.map(on(server)(Tcp.listen({ port, noDelay: true })), (listener) => listener.onConnection(service))
          yield* listen(7, echo(serviceCounters()))
          yield* listen(9, discard(counters))
          yield* listen(19, chargen(counters))
          const dial = (port: number) => on(client)(Tcp.connect({ host: SERVER, port, noDelay: true }))
          const moved =
            greedy === "into the server" ? sends(yield* dial(9), counters) : reads(yield* dial(19), counters)
          const other = yield* dial(7)
          const turns: Array<number> = []
          const before = moved()
          for (let n = 0; n < ECHOES; n++) {
            const from = server.counters.turns
            yield* other.write(text("x"))
            yield* other.read
            turns.push(server.counters.turns - from)
          }
          // It was greedy all the while.
          expect(moved() - before).toBeGreaterThan(ECHOES * 10_000)
          expect(Math.max(...turns)).toBeLessThanOrEqual(8)
        }),
      ))
  }
})

type Counters = ReturnType<typeof serviceCounters>

/** Sends for as long as it lasts. */
const sends = ({ plain }: Tcp.Connection, counters: Counters): (() => number) => {
  const much = new Uint8Array(1 << 20)
  const fill = (): void => {
    while (plain.tryWrite(much) > 0);
  }
  plain.on({ onReadable: () => {}, onDrain: fill })
  fill()
  return () => counters.bytesIn
}

/** Takes whatever comes. */
const reads = ({ plain }: Tcp.Connection, counters: Counters): (() => number) => {
  plain.on({ onData: () => {} })
  return () => counters.bytesOut
}
