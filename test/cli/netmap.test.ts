import { expect } from "bun:test"
import { Effect } from "effect"
import * as Tcp from "../../src/net/Tcp.ts"
import { Stack } from "../../src/runtime/stack.ts"
import { netmapSuite, scoped } from "../device/netmapSuite.ts"
import { concat, on, pattern } from "../net/support.ts"
import { netfold } from "./child.ts"

netmapSuite("netfold echo --device netmap", (test) => {
  test("serves a stack of another process, at the other port of a switch", async (universe) => {
    const words = ["echo", "--device", "netmap:valenfe:a", "--no-control"]
    const server = netfold(words, { env: universe.env })
    try {
      expect(await server.line(/start/)).toContain("valenfe:a")
      const sent = pattern(300_000)
      const back = await scoped(
        Effect.gen(function* () {
          const device = yield* universe.open("valenfe:b")
          const stack = yield* Stack.make({ interfaces: [{ device, addresses: ["198.18.0.9/24"] }] })
          const connection = yield* on(stack)(Tcp.connect({ host: "198.18.0.2", port: 7 }))
          const received: Array<Uint8Array> = []
          const reading = Effect.gen(function* () {
            for (let chunk = yield* connection.read; chunk._tag === "Some"; chunk = yield* connection.read) {
              received.push(chunk.value)
            }
          })
          yield* Effect.all([reading, Effect.zipRight(connection.write(sent), connection.shutdown)], { concurrency: 2 })
          return concat(received)
        }),
      )
      expect(Bun.SHA256.hash(back)).toEqual(Bun.SHA256.hash(sent))
      server.kill("SIGTERM")
      expect(await server.ended).toMatchObject({ status: 0, stderr: "" })
    } finally {
      server.kill("SIGKILL")
      await server.ended
    }
  }, 20_000)

  test("a name that netmap does not understand: one line, status 1", async (universe) => {
    const { status, stderr } = await netfold(["echo", "--device", "netmap:eth0/q"], { env: universe.env }).ended
    expect(status).toBe(1)
    expect(stderr).toStartWith("netfold: netmap:eth0/q: no port that netmap understands (EINVAL)")
    expect(stderr.trimEnd()).not.toContain("\n")
  })

  test("no library: one line that says where it is looked for", async () => {
    const env = { NETFOLD_LIBNETMAP: "/nowhere/libnetmap.so" }
    const { status, stderr } = await netfold(["serve", "--device", "netmap:vale0:a"], { env }).ended
    expect(status).toBe(1)
    expect(stderr).toStartWith(
      "netfold: vale0:a: there is no library /nowhere/libnetmap.so: set NETFOLD_LIBNETMAP to the path of libnetmap.so",
    )
    expect(stderr.trimEnd()).not.toContain("\n")
  })
})
