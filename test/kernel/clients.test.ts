import { expect } from "bun:test"
import { readFileSync } from "node:fs"
import { connect, createServer } from "node:net"
import { kernelSuite } from "./namespace.ts"
import { octets, readAll, sha256, string, text } from "./octets.ts"
import { ENDS, FAMILIES, type Family, peersOver } from "./peers.ts"
import { needing, program } from "./programs.ts"
import { until } from "./wait.ts"

const MESSAGE = Array.from({ length: 20_000 }, (_, line) => `line ${line}\n`).join("")

/** Whether somebody in this namespace listens on a port. */
const isListening = (family: Family, port: number): boolean => {
  const end = `:${port.toString(16).toUpperCase().padStart(4, "0")} ${"0".repeat(family === 4 ? 8 : 32)}:0000 0A`
  return readFileSync(family === 4 ? "/proc/net/tcp" : "/proc/net/tcp6", "utf8").includes(end)
}

const bracketed = (host: string): string => (host.includes(":") ? `[${host}]` : host)

for (const family of FAMILIES) {
  const withPeers = peersOver(family)
  const { kernel: KERNEL, stack: STACK } = ENDS[family]
  kernelSuite(`Programs that know nothing of the stack, over IPv${family}`, import.meta.path, (test) => {
    const withNc = needing(test, "nc")
    const withSocat = needing(test, "socat")

    withNc("nc as a client: its half-close comes through, and all comes back", async () => {
      await withPeers({}, async ({ stack }) => {
        await stack.echo({ port: 7 })
        const { status, stdout, stderr } = await program(["nc", "-N", STACK, "7"], MESSAGE)
        expect({ status, stderr }).toEqual({ status: 0, stderr: "" })
        expect(stdout).toBe(MESSAGE)
      })
    })

    withSocat("socat as a client: its half-close comes through, and all comes back", async () => {
      await withPeers({ offload: true }, async ({ stack }) => {
        await stack.echo({ port: 7 })
        const { status, stdout, stderr } = await program(
          ["socat", "-t", "20", "-", `TCP:${bracketed(STACK)}:7`],
          MESSAGE,
        )
        expect({ status, stderr }).toEqual({ status: 0, stderr: "" })
        expect(stdout).toBe(MESSAGE)
      })
    })

    withNc("nc as a server: the stack's data and half-close come through, and nc's answer", async () => {
      await withPeers({}, async ({ stack }) => {
        const serving = program(["nc", "-N", "-l", KERNEL, "5000"], "what nc says\n")
        await until("nc listening", () => isListening(family, 5000))
        const ours = await stack.dial(5000)
        await ours.write(text(MESSAGE))
        ours.shutdown()
        expect(string(await readAll(ours))).toBe("what nc says\n")
        expect(await serving).toEqual({ status: 0, stdout: MESSAGE, stderr: "" })
      })
    })

    withSocat("socat as a server that echoes: all comes back", async () => {
      await withPeers({}, async ({ stack }) => {
        const serving = program(["socat", `TCP${family}-LISTEN:5001,bind=${bracketed(KERNEL)}`, "EXEC:cat"])
        await until("socat listening", () => isListening(family, 5001))
        const ours = await stack.dial(5001)
        const [back] = await Promise.all([readAll(ours), ours.write(text(MESSAGE)).then(() => ours.shutdown())])
        expect(string(back)).toBe(MESSAGE)
        expect((await serving).status).toBe(0)
      })
    })

    test("node:net as a client and as a server: all comes back", async () => {
      await withPeers({}, async ({ stack }) => {
        const bytes = octets(1_000_000)
        await stack.echo({ port: 7 })
        const socket = connect({ host: STACK, port: 7, allowHalfOpen: true })
        socket.end(bytes)
        const chunks: Array<Uint8Array> = []
        for await (const chunk of socket) chunks.push(chunk)
        expect(sha256(new Uint8Array(Buffer.concat(chunks)))).toBe(sha256(bytes))

        const server = createServer({ allowHalfOpen: true }, (peer) => peer.pipe(peer))
        try {
          await new Promise<void>((resolve) => server.listen(5002, KERNEL, resolve))
          const ours = await stack.dial(5002)
          const [back] = await Promise.all([readAll(ours), ours.write(bytes).then(() => ours.shutdown())])
          expect(sha256(back)).toBe(sha256(bytes))
        } finally {
          server.close()
        }
      })
    })

    test("Bun.connect: all comes back", async () => {
      await withPeers({}, async ({ stack }) => {
        await stack.echo({ port: 7 })
        const bytes = octets(100_000)
        let at = 0
        const chunks: Array<Uint8Array> = []
        const { promise, resolve } = Promise.withResolvers<void>()
        const socket = await Bun.connect({
          hostname: STACK,
          port: 7,
          socket: {
            open: (own) => {
              at += own.write(bytes)
            },
            drain: (own) => {
              at += own.write(bytes.subarray(at))
            },
            data: (_own, chunk) => {
              chunks.push(new Uint8Array(chunk))
              if (chunks.reduce((sum, { length }) => sum + length, 0) >= bytes.length) resolve()
            },
          },
        })
        await promise
        socket.end()
        expect(sha256(new Uint8Array(Buffer.concat(chunks)))).toBe(sha256(bytes))
      })
    })
  })
}
