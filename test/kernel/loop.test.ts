import { expect } from "bun:test"
import { kernelSuite } from "./namespace.ts"
import { readExactly, string, text } from "./octets.ts"
import { STACK, withPeers } from "./peers.ts"
import { needing } from "./programs.ts"
import { found, until } from "./wait.ts"

/** Turns that find nothing before a stack sleeps, and the one that found something. */
const TURNS_AWAKE = 66
/** That a timer has, in all. */
const TICKS = 10
const IDLE_MILLIS = 2000

kernelSuite("A stack on which nobody speaks", import.meta.path, (test) => {
  test("1,000 connections are open: the loop stands still, and the first frame wakes it", async () => {
    await withPeers({ offload: true, napi: true }, async ({ stack, kernel }) => {
      await stack.echo({ port: 7, backlog: 1000 })
      const sockets = await Promise.all(Array.from({ length: 1000 }, () => kernel.dial(7)))
      await until("all to be accepted", () => stack.connections() === 1000)
      const { counters, device } = stack
      let seen = -1
      // Asleep: a millisecond's rest in which it has had no turn.
      await found("sleep", () => {
        const before = seen
        seen = counters.turns
        return seen === before ? true : undefined
      })
      const [turns, frames] = [counters.turns, device.counters.rxPackets]
      await Bun.sleep(IDLE_MILLIS)
      // The kernel may ask whether its neighbour is still there.
      const heard = device.counters.rxPackets - frames
      expect(heard).toBeLessThan(10)
      expect(counters.turns - turns).toBeLessThanOrEqual(TURNS_AWAKE * heard + TICKS)
      for (const socket of [sockets[0], sockets[999]]) {
        if (socket === undefined) return expect.unreachable()
        await socket.write(text("awake?"))
        expect(string(await readExactly(socket, 6))).toBe("awake?")
      }
    })
  })
})

kernelSuite("A greedy client", import.meta.path, (test) => {
  const ECHOES = 50
  /** Those that find frames: what a TAP's queue holds is ahead of a request, and a turn takes 256 frames of it. Some more, as the kernel goes on. */
  const FEW_TURNS = 64

  for (const offload of [false, true]) {
    const clients = [
      ["takes all that it can get", `nc ${STACK} 19 > /dev/null`],
      ["sends as much as it can", `nc ${STACK} 7 < /dev/zero > /dev/null`],
    ] as const
    for (const [what, command] of clients) {
      needing(test, "nc")(
        `${what}, offload ${offload ? "on" : "off"}: others and the application have their turn`,
        async () => {
          await withPeers({ offload, napi: true }, async ({ stack, kernel }) => {
            await stack.generate({ port: 19 })
            await stack.echo({ port: 7 })
            const greedy = Bun.spawn(["sh", "-c", `exec ${command}`], { stdin: "ignore", stdout: "ignore" })
            try {
              const octets = () => stack.device.counters.rxBytes + stack.device.counters.txBytes
              await until("the greedy one to be at it", () => octets() > 10_000_000)
              const other = await kernel.dial(7)
              const before = octets()
              const turns: Array<number> = []
              let immediates = 0
              for (let n = 0; n < ECHOES; n++) {
                const from = stack.counters.batches
                await other.write(text("x"))
                await readExactly(other, 1)
                turns.push(stack.counters.batches - from)
                // The application's own: it would never come in a loop that one connection has for itself.
                await new Promise<void>((resolve) => setTimeout(resolve, 0))
                await new Promise<void>((resolve) => setImmediate(() => resolve(void immediates++)))
              }
              expect(octets() - before).toBeGreaterThan(ECHOES * 1000)
              expect(immediates).toBe(ECHOES)
              turns.sort((x, y) => x - y)
              expect(turns[ECHOES / 2]).toBeLessThanOrEqual(FEW_TURNS)
            } finally {
              greedy.kill()
              await greedy.exited
            }
          })
        },
      )
    }
  }
})
