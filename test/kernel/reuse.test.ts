import { expect } from "bun:test"
import { NO_OFFLOAD } from "../../src/device/device.ts"
import { isTcp } from "./handTcp.ts"
import { kernelSuite } from "./namespace.ts"
import { octets, readAll, readExactly, string, text } from "./octets.ts"
import { FAMILIES, type Family, type Pair, type Peers, peersOver, type StackPeer, withPeers } from "./peers.ts"
import { SocketError } from "./posix.ts"
import { type Passing, sieved } from "./sieve.ts"
import { found, reasonOf, until } from "./wait.ts"

const ROUNDS = 60
/** Old segments that come again in the midst of each new connection, from either side. */
const STALE = 40
const PORT = 40_000
/**
 * Octets that a connection of `again` takes of the sequence space, at most, and the clock that its successor's begins by
 * (RFC 9293 section 3.4.1; both sides' ticks last 64 ns): it must have gone on by as much, or what is old is in the new window.
 */
const MOST_OCTETS = 60_000
const TICK_MILLIS = 64e-6

/** Remembers what was on the wire, and plays it again. */
const recorder = () => {
  const fromKernel: Array<Passing> = []
  const fromStack: Array<Uint8Array> = []
  let again: ReadonlyArray<Passing> = []
  return {
    sieve: {
      received: (batch: ReadonlyArray<Passing>) => {
        fromKernel.push(...batch.filter(({ bytes }) => isTcp(bytes)))
        const stale = again
        again = []
        return [...stale, ...batch]
      },
      sent: (frame: Uint8Array) => {
        if (isTcp(frame)) fromStack.push(frame.slice())
        return true
      },
    },
    /** Takes what there is so far, for `replay`. */
    cut: () => {
      const kernel = fromKernel.splice(0).slice(-STALE)
      const stack = fromStack.splice(0).slice(-STALE)
      return { kernel, stack }
    },
    replay: ({ device }: StackPeer, old: { kernel: ReadonlyArray<Passing>; stack: ReadonlyArray<Uint8Array> }) => {
      again = old.kernel
      for (const frame of old.stack) {
        device.reserve(frame.length)?.set(frame)
        device.commit(frame.length, NO_OFFLOAD)
      }
      device.flush()
    },
  }
}

/** How a connection ends with data on its way both ways; the other side may not know yet when the next one is made. */
const endings: ReadonlyArray<(pair: Pair) => void> = [
  ({ theirs }) => theirs.abort(),
  ({ ours, theirs }) => {
    ours.abort()
    theirs.abort()
  },
  // Unread data: a RST.
  ({ theirs }) => theirs.close(),
  ({ ours, theirs }) => {
    ours.close()
    theirs.abort()
  },
]

/** Ends a connection in the midst of things. */
const cutOff = async (pair: Pair, round: number): Promise<void> => {
  pair.theirs.writeNow(octets(50_000, 1000 + round))
  pair.ours.connection.plain.tryWrite(octets(5000, 2000 + round))
  // What the stack has been given leaves in a microtask.
  await Promise.resolve()
  endings[round % endings.length]?.(pair)
}

/** Says what only this connection may say, both ways, while segments of the one before come again. */
const converse = async ({ ours, theirs }: Pair, round: number): Promise<void> => {
  const question = octets(3000 + round, 2 * round)
  const answer = octets(4000 + round, 2 * round + 1)
  await Promise.all([theirs.write(question), ours.write(answer)])
  expect(await readExactly(ours, question.length)).toEqual(question)
  expect(await readExactly(theirs, answer.length)).toEqual(answer)
}

/** One connection after the other between the same two ports. */
const again = async (
  family: Family,
  timestamps: boolean,
  next: (peers: Peers, round: number) => Promise<Pair>,
): Promise<void> => {
  const wire = recorder()
  await withPeers(
    { family, kernelSettings: { tcp_timestamps: timestamps ? 1 : 0 }, through: (device) => sieved(device, wire.sieve) },
    async (peers) => {
      const sockets = new Set<number>()
      let before: Pair | undefined
      for (let round = 0; round < ROUNDS; round++) {
        await Bun.sleep(MOST_OCTETS * TICK_MILLIS)
        const old = wire.cut()
        const pair = await next(peers, round)
        sockets.add(pair.ours.connection.plain.id)
        wire.replay(peers.stack, old)
        // The end of a connection that is over is dead, and does nothing to its successor.
        if (before !== undefined) {
          expect(before.ours.connection.plain.tryWrite(text("from the grave"))).toBe(-1)
          before.ours.abort()
        }
        await converse(pair, round)
        await cutOff(pair, round)
        before = pair
      }
      expect(sockets.size).toBe(ROUNDS)
    },
  )
}

for (const family of FAMILIES) {
  const withPeers = peersOver(family)
  kernelSuite(
    `${ROUNDS} connections between the same two ports, each aborted, over IPv${family}`,
    import.meta.path,
    (test) => {
      for (const timestamps of [true, false]) {
        const how = `old segments in the midst of new ones, ${timestamps ? "with" : "without"} timestamps`

        test(`made by the kernel, ${how}: each gets its own data only`, async () => {
          let listener: ReturnType<StackPeer["hear"]> | undefined
          await again(family, timestamps, async ({ stack, kernel }) => {
            listener ??= stack.hear({ port: 7 })
            const accepting = (await listener).accept()
            const [ours, theirs] = await Promise.all([accepting, kernel.dial(7, { localPort: PORT })])
            return { ours, theirs }
          })
        })

        test(`made by the stack, ${how}: each gets its own data only`, async () => {
          let listener: ReturnType<Peers["kernel"]["hear"]> | undefined
          await again(family, timestamps, async ({ stack, kernel }) => {
            listener ??= kernel.hear()
            // The stack's own end may not know yet that the other has gone.
            await until("the port", () => stack.list().every(({ local }) => local.port !== PORT))
            const [theirs, ours] = await Promise.all([
              listener.accept(),
              stack.dial(listener.port, { local: { port: PORT } }),
            ])
            return { ours, theirs }
          })
        })
      }

      test("three ports in turn, aborted in the midst of a burst: nothing is mixed up", async () => {
        await withPeers({}, async ({ stack, kernel }) => {
          const listener = await stack.hear({ port: 7 })
          for (let round = 0; round < ROUNDS; round++) {
            const dialing = [0, 1, 2].map(async (n) => {
              const theirs = await kernel.dial(7, { localPort: PORT + n })
              await theirs.write(Uint8Array.of(n))
              return theirs
            })
            const pairs = new Map<number, Pair>()
            const sockets = await Promise.all(dialing)
            for (let n = 0; n < 3; n++) {
              const ours = await listener.accept()
              const index = ours.connection.remote.port - PORT
              const theirs = sockets[index]
              expect(await readExactly(ours, 1)).toEqual(Uint8Array.of(index))
              if (theirs !== undefined) pairs.set(index, { ours, theirs })
            }
            expect([...pairs.keys()].sort()).toEqual([0, 1, 2])
            await Promise.all([...pairs].map(([n, pair]) => converse(pair, round * 3 + n)))
            for (const [n, pair] of pairs) await cutOff(pair, round + n)
          }
          await until("the stack forgetting them all", () => stack.connections() === 0)
        })
      })
    },
  )
}

/** The stack's connections, by state. */
const states = (stack: StackPeer) => stack.list().flatMap(({ state }) => (state === "LISTEN" ? [] : [state]))

/** A conversation that ends in order; `first` closes first and is left in TIME-WAIT. */
const finished = async ({ ours, theirs }: Pair, first: "stack" | "kernel"): Promise<void> => {
  await converse({ ours, theirs }, 0)
  const [one, other] = first === "stack" ? [ours, theirs] : [theirs, ours]
  one.shutdown()
  expect(await readAll(other)).toHaveLength(0)
  other.shutdown()
  expect(await readAll(one)).toHaveLength(0)
  theirs.close()
}

for (const family of FAMILIES) {
  const withPeers = peersOver(family)
  kernelSuite(
    `A port that is used again while its last connection is in TIME-WAIT, over IPv${family}`,
    import.meta.path,
    (test) => {
      for (const timestamps of [true, false]) {
        const how = timestamps ? "with timestamps" : "without"

        test(`at the stack, and the kernel connects anew, ${how}: accepted`, async () => {
          await withPeers({ kernelSettings: { tcp_timestamps: timestamps ? 1 : 0 } }, async ({ stack, kernel }) => {
            const listener = await stack.hear({ port: 7 })
            const meet = async (): Promise<Pair> => {
              const [ours, theirs] = await Promise.all([listener.accept(), kernel.dial(7, { localPort: PORT })])
              return { ours, theirs }
            }
            await finished(await meet(), "stack")
            expect(states(stack)).toEqual(["TIME-WAIT"])
            await finished(await meet(), "stack")
            expect(stack.tcpCounters["TWRecycled"]).toBe(1)
            expect(states(stack)).toEqual(["TIME-WAIT"])
          })
        })

        test(`at the kernel, and the stack connects anew, ${how}: accepted`, async () => {
          await withPeers({ kernelSettings: { tcp_timestamps: timestamps ? 1 : 0 } }, async ({ stack, kernel }) => {
            const listener = kernel.hear()
            const meet = async (): Promise<Pair> => {
              const options = { local: { port: PORT } }
              const [theirs, ours] = await Promise.all([listener.accept(), stack.dial(listener.port, options)])
              return { ours, theirs }
            }
            for (let round = 0; round < 3; round++) {
              await finished(await meet(), "kernel")
              await until("LAST-ACK ending", () => states(stack).length === 0)
            }
            expect(stack.tcpCounters["TCPSynRetrans"]).toBe(0)
          })
        })
      }

      test("at the kernel, which connects anew from it by tcp_tw_reuse: accepted", async () => {
        await withPeers({ kernelSettings: { tcp_tw_reuse: 1 } }, async ({ stack, kernel }) => {
          const listener = await stack.hear({ port: 7 })
          const [ours, theirs] = await Promise.all([listener.accept(), kernel.dial(7, { localPort: PORT })])
          await finished({ ours, theirs }, "kernel")
          // The kernel may let a second pass before it believes that timestamps have moved on.
          const begun = await found("the kernel using its port again", () => {
            try {
              return kernel.begin(7, { localPort: PORT })
            } catch (cause) {
              if (cause instanceof SocketError && cause.code === "EADDRNOTAVAIL") return undefined
              throw cause
            }
          })
          const [second] = await Promise.all([listener.accept(), begun.connected()])
          await begun.write(text("once more"))
          expect(string(await readExactly(second, 9))).toBe("once more")
        })
      })

      test("at the stack, which wants to connect anew from it: AddressInUse", async () => {
        await withPeers({}, async ({ stack, kernel }) => {
          const listener = kernel.hear()
          const options = { local: { port: PORT } }
          const [theirs, ours] = await Promise.all([listener.accept(), stack.dial(listener.port, options)])
          await finished({ ours, theirs }, "stack")
          expect(states(stack)).toEqual(["TIME-WAIT"])
          expect(await reasonOf(stack.dial(listener.port, options))).toMatchObject({ _tag: "AddressInUse" })
        })
      })
    },
  )
}
