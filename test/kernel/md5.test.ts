import { expect } from "bun:test"
import { join } from "node:path"
import type { AuthenticationOptions } from "../../src/net/authentication.ts"
import { kernelCounter } from "./kernelSocket.ts"
import { kernelSuite } from "./namespace.ts"
import { hashAll, octets, sha256 } from "./octets.ts"
import { ENDS, FAMILIES, type Family, withPeers } from "./peers.ts"
import { onlyIf, program } from "./programs.ts"
import { reasonOf } from "./wait.ts"

const PEER = join(import.meta.dir, "signedPeer.py")
const PORT = 179
const KEY = "a secret between us"
const MANY = 400_000

/** The kernel's end, which sets the keys by setsockopt. */
const peer = (role: string, kind: string, key: string, family: Family, more: ReadonlyArray<number> = []) =>
  program(["python3", PEER, role, kind, key, `${family}`, `${PORT}`, ...more.map(String)])

/** The same of each IP version at once; what each says. */
const peers = async (kind: string, key: string, more: ReadonlyArray<number>): Promise<ReadonlyArray<string>> => {
  const ended = await Promise.all(FAMILIES.map((family) => peer("client", kind, key, family, more)))
  return ended.map(({ stdout }) => stdout)
}
const TIMED_OUT = ["TimeoutError\n", "TimeoutError\n"]

const python = Bun.which("python3")

/** Why a kind of signature cannot be tested here. */
const missing = (kind: string, name: string): string | undefined => {
  if (python === null) return "no python3 here"
  const { stdout } = Bun.spawnSync([python, PEER, "probe", kind, KEY, "4", "0", "0"])
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
  family: Family,
  dial: () => Promise<Parameters<typeof hashAll>[0]>,
  data: Uint8Array,
) => {
  const server = Bun.spawn(["python3", PEER, "server", kind, key, `${family}`, `${PORT}`, "0"], {
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

const MANNERS = FAMILIES.flatMap((family) => [false, true].map((offload) => ({ family, offload })))
/** The kernel's address of either version. */
const OTHER = FAMILIES.map((family) => `${ENDS[family].kernel}/${family === 4 ? 32 : 128}`)

const suite = (
  kind: string,
  forbidden: string | undefined,
  title: string,
  keys: (key: string) => AuthenticationOptions,
) => {
  for (const { family, offload } of MANNERS) {
    kernelSuite(
      `${title} with the kernel, offload ${offload ? "on" : "off"}, over IPv${family}`,
      import.meta.path,
      (plain) => {
        const test = onlyIf(plain, forbidden)

        test("the kernel connects: 400,000 octets there and back", async () => {
          await withPeers({ offload, family }, async ({ stack }) => {
            Object.assign(before, await complaints())
            await stack.echo({ port: PORT, ...keys(KEY) })
            const { stdout, stderr } = await peer("client", kind, KEY, family, [MANY])
            expect(stdout + stderr).toBe(`${MANY} True\n`)
            expect(await complaints()).toEqual(before)
          })
        }, 20_000)

        test("the stack connects: 400,000 octets there and back", async () => {
          await withPeers({ offload, family }, async ({ stack }) => {
            Object.assign(before, await complaints())
            const data = octets(MANY)
            const back = await echoed(kind, KEY, family, () => stack.dial(PORT, keys(KEY)), data)
            expect(back).toEqual({ length: MANY, sha256: sha256(data) })
            expect(await complaints()).toEqual(before)
          })
        }, 20_000)
      },
    )
  }
}

const noMd5 = missing("md5", "CONFIG_TCP_MD5SIG")
const md5 = (key: string): AuthenticationOptions => ({ md5: OTHER.map((peer) => ({ peer, key })) })
suite("md5", noMd5, "TCP-MD5", md5)

for (const algorithm of ["sha1", "aes128"] as const) {
  const kind = `ao-${algorithm}`
  suite(kind, missing(kind, "CONFIG_TCP_AO"), `TCP-AO, ${algorithm},`, (key) => ({
    ao: OTHER.map((peer) => ({ peer, key, sendId: 200, recvId: 100, algorithm })),
  }))
}

/** These wait for time-outs: a kernel of each version does at once. */
kernelSuite(
  "TCP-MD5 that the kernel gets wrong, over both IP versions",
  import.meta.path,
  (plain) => {
    const test = onlyIf(plain, noMd5)

    test("its key is another: its SYNs are counted and never answered", async () => {
      await withPeers({ family: 6 }, async ({ stack }) => {
        await stack.echo({ port: PORT, ...md5("something else") })
        expect(await peers("md5", KEY, [10])).toEqual(TIMED_OUT)
        expect(stack.tcpCounters["TCPMD5Failure"]).toBeGreaterThanOrEqual(6)
        expect(stack.tcpCounters["OutSegs"]).toBe(0)
      })
    }, 20_000)

    test("it has no key: its SYNs are counted and never answered", async () => {
      await withPeers({ family: 6 }, async ({ stack }) => {
        await stack.echo({ port: PORT, ...md5(KEY) })
        expect(await peers("none", KEY, [10])).toEqual(TIMED_OUT)
        expect(stack.tcpCounters["TCPMD5NotFound"]).toBeGreaterThanOrEqual(6)
        expect(stack.tcpCounters["OutSegs"]).toBe(0)
      })
    }, 20_000)

    test("the stack's key is another: the kernel counts a wrong signature", async () => {
      await withPeers({ family: 6 }, async ({ stack }) => {
        const wrong = await kernelCounter("TcpExt", "TCPMD5Failure")
        const servers = FAMILIES.map((family) =>
          Bun.spawn(["python3", PEER, "server", "md5", KEY, `${family}`, `${PORT}`, "0"], { stdout: "pipe" }),
        )
        for (const { stdout } of servers) expect(await lines(stdout)()).toBe("ready")
        const options = { ...md5("something else"), userTimeout: "2 seconds" } as const
        const failing = FAMILIES.map((family) => reasonOf(stack.dial(PORT, { ...options, host: ENDS[family].kernel })))
        for (const reason of await Promise.all(failing)) expect(reason).toMatchObject({ _tag: "ConnectionTimedOut" })
        expect(await kernelCounter("TcpExt", "TCPMD5Failure")).toBeGreaterThanOrEqual(wrong + 2)
        for (const server of servers) {
          server.kill()
          await server.exited
        }
      })
    }, 20_000)
  },
  { apart: true },
)

kernelSuite(
  "minimum TTL with the kernel, over both IP versions",
  import.meta.path,
  (plain) => {
    const test = onlyIf(plain, python === null ? "no python3 here" : undefined)

    test("a TTL of 255 is a neighbour's, the default of 64 is not", async () => {
      await withPeers({ family: 6 }, async ({ stack }) => {
        await stack.echo({ port: PORT, minTtl: 255, ttl: 255 })
        const [near, far] = await Promise.all([peers("none", KEY, [1000, 255]), peers("none", KEY, [1000])])
        expect(near).toEqual(["1000 True\n", "1000 True\n"])
        expect(far).toEqual(TIMED_OUT)
        expect(stack.tcpCounters["TCPMinTTLDrop"]).toBeGreaterThanOrEqual(6)
      })
    }, 20_000)
  },
  { apart: true },
)
