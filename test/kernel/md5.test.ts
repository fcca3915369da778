import { expect } from "bun:test"
import { join } from "node:path"
import type { AuthenticationOptions } from "../../src/net/authentication.ts"
import { kernelCounter } from "./kernelSocket.ts"
import { kernelSuite } from "./namespace.ts"
import { hashAll, octets, sha256 } from "./octets.ts"
import { KERNEL, withPeers } from "./peers.ts"
import { onlyIf, program } from "./programs.ts"
import { reasonOf } from "./wait.ts"

const PEER = join(import.meta.dir, "signedPeer.py")
const PORT = 179
const KEY = "a secret between us"
const MANY = 400_000

/** The kernel's end, which sets the keys by setsockopt. */
const peer = (role: string, kind: string, key: string, more: ReadonlyArray<number> = []) =>
  program(["python3", PEER, role, kind, key, `${PORT}`, ...more.map(String)])

const python = Bun.which("python3")

/** Why a kind of signature cannot be tested here. */
const missing = (kind: string, name: string): string | undefined => {
  if (python === null) return "no python3 here"
  const { stdout } = Bun.spawnSync([python, PEER, "probe", kind, KEY, "0", "0"])
  const said = stdout.toString().trim()
  return said === "ok" ? undefined : `the kernel has no ${name}: ${said}`
}

/** What a program says, line by line. */
const lines = (stream: ReadableStream<Uint8Array>): (() => Promise<string>) => {
  const reader = stream.getReader()
  let rest = ""
  return async () => {
    while (!rest.includes("\n")) {
      const { value, done } = await reader.read()
      if (done) return rest
      rest += new TextDecoder().decode(value)
    }
    const [line = "", ...others] = rest.split("\n")
    rest = others.join("\n")
    return line
  }
}

/** The echo of a kernel server: what `data` comes back as. */
const echoed = async (
  kind: string,
  key: string,
  dial: () => Promise<Parameters<typeof hashAll>[0]>,
  data: Uint8Array,
) => {
  const server = Bun.spawn(["python3", PEER, "server", kind, key, `${PORT}`, "0"], {
    stdout: "pipe",
    stderr: "inherit",
  })
  const line = lines(server.stdout)
  expect(await line()).toBe("ready")
  const end = await dial()
  const sending = end.write(data).then(() => end.shutdown())
  const [back] = await Promise.all([hashAll(end), sending])
  expect(await line()).toBe("done")
  await server.exited
  return back
}

/** What the kernel has found wrong with the stack's signatures. */
const complaints = async () => ({
  missing: await kernelCounter("TcpExt", "TCPMD5NotFound"),
  unexpected: await kernelCounter("TcpExt", "TCPMD5Unexpected"),
  wrong: await kernelCounter("TcpExt", "TCPMD5Failure"),
  checksums: await kernelCounter("Tcp", "InCsumErrors"),
})
const before = { missing: 0, unexpected: 0, wrong: 0, checksums: 0 }

const suite = (
  kind: string,
  forbidden: string | undefined,
  title: string,
  keys: (key: string) => AuthenticationOptions,
) => {
  for (const offload of [false, true]) {
    kernelSuite(`${title} with the kernel, offload ${offload ? "on" : "off"}`, import.meta.path, (plain) => {
      const test = onlyIf(plain, forbidden)

      test("the kernel connects: 400,000 octets there and back", async () => {
        await withPeers({ offload }, async ({ stack }) => {
          Object.assign(before, await complaints())
          await stack.echo({ port: PORT, ...keys(KEY) })
          const { stdout, stderr } = await peer("client", kind, KEY, [MANY])
          expect(stdout + stderr).toBe(`${MANY} True\n`)
          expect(await complaints()).toEqual(before)
        })
      }, 20_000)

      test("the stack connects: 400,000 octets there and back", async () => {
        await withPeers({ offload }, async ({ stack }) => {
          Object.assign(before, await complaints())
          const data = octets(MANY)
          const back = await echoed(kind, KEY, () => stack.dial(PORT, keys(KEY)), data)
          expect(back).toEqual({ length: MANY, sha256: sha256(data) })
          expect(await complaints()).toEqual(before)
        })
      }, 20_000)
    })
  }
}

const noMd5 = missing("md5", "CONFIG_TCP_MD5SIG")
const md5 = (key: string): AuthenticationOptions => ({ md5: [{ peer: `${KERNEL}/32`, key }] })
suite("md5", noMd5, "TCP-MD5", md5)

for (const algorithm of ["sha1", "aes128"] as const) {
  const kind = `ao-${algorithm}`
  suite(kind, missing(kind, "CONFIG_TCP_AO"), `TCP-AO, ${algorithm},`, (key) => ({
    ao: [{ peer: `${KERNEL}/32`, key, sendId: 200, recvId: 100, algorithm }],
  }))
}

kernelSuite("TCP-MD5 that the kernel gets wrong", import.meta.path, (plain) => {
  const test = onlyIf(plain, noMd5)

  test("its key is another: its SYNs are counted and never answered", async () => {
    await withPeers({}, async ({ stack }) => {
      await stack.echo({ port: PORT, ...md5("something else") })
      expect((await peer("client", "md5", KEY, [10])).stdout).toBe("TimeoutError\n")
      expect(stack.tcpCounters["TCPMD5Failure"]).toBeGreaterThanOrEqual(3)
      expect(stack.tcpCounters["OutSegs"]).toBe(0)
    })
  }, 20_000)

  test("it has no key: its SYNs are counted and never answered", async () => {
    await withPeers({}, async ({ stack }) => {
      await stack.echo({ port: PORT, ...md5(KEY) })
      expect((await peer("client", "none", KEY, [10])).stdout).toBe("TimeoutError\n")
      expect(stack.tcpCounters["TCPMD5NotFound"]).toBeGreaterThanOrEqual(3)
      expect(stack.tcpCounters["OutSegs"]).toBe(0)
    })
  }, 20_000)

  test("the stack's key is another: the kernel counts a wrong signature", async () => {
    await withPeers({}, async ({ stack }) => {
      const wrong = await kernelCounter("TcpExt", "TCPMD5Failure")
      const server = Bun.spawn(["python3", PEER, "server", "md5", KEY, `${PORT}`, "0"], { stdout: "pipe" })
      expect(await lines(server.stdout)()).toBe("ready")
      const failing = reasonOf(stack.dial(PORT, { ...md5("something else"), userTimeout: "2 seconds" }))
      expect(await failing).toMatchObject({ _tag: "ConnectionTimedOut" })
      expect(await kernelCounter("TcpExt", "TCPMD5Failure")).toBeGreaterThan(wrong)
      server.kill()
      await server.exited
    })
  }, 20_000)
})

kernelSuite("minimum TTL with the kernel", import.meta.path, (plain) => {
  const test = onlyIf(plain, python === null ? "no python3 here" : undefined)

  test("a TTL of 255 is a neighbour's, the default of 64 is not", async () => {
    await withPeers({}, async ({ stack }) => {
      await stack.echo({ port: PORT, minTtl: 255, ttl: 255 })
      expect((await peer("client", "none", KEY, [1000, 255])).stdout).toBe("1000 True\n")
      expect((await peer("client", "none", KEY, [1000])).stdout).toBe("TimeoutError\n")
      expect(stack.tcpCounters["TCPMinTTLDrop"]).toBeGreaterThanOrEqual(3)
    })
  }, 20_000)
})
