import { expect } from "bun:test"
import { join } from "node:path"
import { kernelSuite } from "./namespace.ts"
import { octets } from "./octets.ts"
import { ENDS, FAMILIES, peersOver } from "./peers.ts"
import { needing, program } from "./programs.ts"
import { until } from "./wait.ts"

const PEER = join(import.meta.dir, "fastOpenPeer.py")
const PORT = 7007
/** Both sides of both: client 1, server 2. */
const ON = 3
const kernelSettings = { tcp_fastopen: ON }
const settings = { tcpFastopen: ON }

for (const family of FAMILIES) {
  const withPeers = peersOver(family)
  const { kernel: KERNEL, stack: STACK } = ENDS[family]
  kernelSuite(`TCP Fast Open with the kernel, over IPv${family}`, import.meta.path, (test) => {
    const withPython = needing(test, "python3")

    withPython("the kernel connects three times: a cookie first, then its data is read from the SYN", () =>
      withPeers({ kernelSettings, settings }, async ({ stack }) => {
        await stack.echo({ port: PORT, fastOpen: 5 })
        const { stdout, stderr } = await program(["python3", PEER, "client", STACK, `${PORT}`, "3"])
        expect(stdout + stderr).toBe("early 0 after the handshake\nearly 1 in the SYN\nearly 2 in the SYN\n")
        expect(stack.tcpCounters["TCPFastOpenCookieReqd"]).toBe(1)
        expect(stack.tcpCounters["TCPFastOpenPassive"]).toBe(2)
      }),
    )

    withPython("the kernel connects, the stack has fast open off: the data follows the handshake", () =>
      withPeers({ kernelSettings, settings: { tcpFastopen: 0 } }, async ({ stack }) => {
        await stack.echo({ port: PORT, fastOpen: 5 })
        const { stdout, stderr } = await program(["python3", PEER, "client", STACK, `${PORT}`, "2"])
        expect(stdout + stderr).toBe("early 0 after the handshake\nearly 1 after the handshake\n")
      }),
    )

    withPython("the stack connects three times: the kernel gives a cookie, then reads the data from the SYN", () =>
      withPeers({ kernelSettings, settings }, async ({ stack }) => {
        const server = Bun.spawn(["python3", PEER, "server", KERNEL, `${PORT}`, "3"], {
          stdout: "pipe",
          stderr: "inherit",
        })
        let said = ""
        const reading = (async () => {
          for await (const part of server.stdout) said += new TextDecoder().decode(part)
        })()
        await until("the kernel listens", () => said.includes("ready"))
        for (let turn = 0; turn < 3; turn++) {
          const end = await stack.dial(PORT, { fastOpen: new TextEncoder().encode(`early ${turn}`) })
          expect(new TextDecoder().decode(await end.read())).toBe(`early ${turn}`)
          end.close()
        }
        await Promise.all([reading, server.exited])
        expect(said).toBe("ready\nearly 0 after the handshake\nearly 1 in the SYN\nearly 2 in the SYN\n")
        expect(stack.tcpCounters["TCPFastOpenActive"]).toBe(2)
      }),
    )

    withPython("the stack connects with more than a SYN holds: the rest follows, in order and once", () =>
      withPeers({ kernelSettings, settings }, async ({ stack, kernel }) => {
        const data = octets(5000)
        const server = Bun.spawn(["python3", PEER, "server", KERNEL, `${PORT}`, "1"], {
          stdout: "pipe",
          stderr: "inherit",
        })
        let said = ""
        const reading = (async () => {
          for await (const part of server.stdout) said += new TextDecoder().decode(part)
        })()
        await until("the kernel listens", () => said.includes("ready"))
        const first = await stack.dial(PORT, { fastOpen: new TextEncoder().encode("cookie, please") })
        await first.read()
        first.close()
        await Promise.all([reading, server.exited])
        const listener = kernel.hear()
        const end = await stack.dial(listener.port, { fastOpen: data })
        const theirs = await listener.accept()
        const parts: Array<Uint8Array> = []
        for (let n = 0; n < data.length; ) {
          const part = await theirs.read()
          if (part === undefined) break
          parts.push(part)
          n += part.length
        }
        expect(Buffer.concat(parts)).toEqual(Buffer.from(data))
        end.close()
      }),
    )
  })
}
