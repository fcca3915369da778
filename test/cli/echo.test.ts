import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { connect, createServer, type Socket as NodeSocket } from "node:net"
import { type Child, netfold } from "./child.ts"
import { freePort } from "./freePort.ts"

const dial = (port: number): Promise<NodeSocket> =>
  new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true }, () => resolve(socket))
    socket.on("error", reject)
  })

const readAll = (socket: NodeSocket): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const chunks: Array<Buffer> = []
    socket.on("data", (chunk: Buffer) => chunks.push(chunk))
    socket.on("end", () => resolve(Buffer.concat(chunks)))
    socket.on("error", reject)
  })

const residentKib = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1] ?? 0)

const pattern = (length: number): Buffer =>
  Buffer.from(Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 8)) & 0xff))

describe("netfold echo over memory", () => {
  let port = 0
  let child: Child

  beforeAll(async () => {
    port = await freePort()
    child = netfold(["echo", "--port", String(port), "--json"])
    await child.line(/"message":"start"/)
  })

  afterAll(() => {
    child.kill("SIGKILL")
  })

  test("echoes a kernel client, and its half-close comes back as one", async () => {
    const socket = await dial(port)
    const data = pattern(8 << 20)
    const reading = readAll(socket)
    socket.end(data)
    const got = await reading
    expect(Bun.SHA256.hash(got)).toEqual(Bun.SHA256.hash(data))
    socket.destroy()
  }, 30_000)

  test("goes on reading after an empty half of a conversation, one octet at a time", async () => {
    const socket = await dial(port)
    socket.setNoDelay(true)
    const reading = readAll(socket)
    for (const octet of "hello") {
      socket.write(octet)
      await new Promise((resolve) => setImmediate(resolve))
    }
    socket.end()
    expect((await reading).toString()).toBe("hello")
  })

  test("makes a client that does not read wait, with bounded memory, and loses nothing", async () => {
    const socket = await dial(port)
    socket.pause()
    const chunk = pattern(1 << 20)
    // More than all buffers on the way can grow to hold.
    const total = 320
    let sent = 0
    const send = (): void => {
      while (sent < total) {
        sent++
        if (!socket.write(chunk)) {
          socket.once("drain", send)
          return
        }
      }
      socket.end()
    }
    const before = residentKib(child.pid)
    send()
    // Until nothing has moved for a while: the windows are closed.
    let stuck = -1
    while (stuck !== sent) {
      stuck = sent
      await Bun.sleep(300)
    }
    expect(sent).toBeLessThan(total)
    expect(residentKib(child.pid) - before).toBeLessThan(400 << 10)
    const hash = new Bun.SHA256()
    let length = 0
    socket.on("data", (bytes: Buffer) => {
      hash.update(bytes)
      length += bytes.length
    })
    const ended = new Promise((resolve) => socket.on("end", resolve))
    socket.resume()
    await ended
    const wanted = new Bun.SHA256()
    for (let i = 0; i < total; i++) wanted.update(chunk)
    expect(length).toBe(total << 20)
    expect(hash.digest("hex")).toBe(wanted.digest("hex"))
    socket.destroy()
  }, 60_000)

  test("survives a client that resets, and serves many at once", async () => {
    const rude = await dial(port)
    rude.write("x")
    await new Promise((resolve) => rude.once("data", resolve))
    rude.resetAndDestroy()
    const clients = await Promise.all(Array.from({ length: 50 }, () => dial(port)))
    const answers = await Promise.all(
      clients.map((socket, index) => {
        const reading = readAll(socket)
        socket.end(`client ${index}`)
        return reading
      }),
    )
    expect(answers.map(String)).toEqual(clients.map((_, index) => `client ${index}`))
  }, 30_000)

  test("ends at SIGINT with FINs, a last record, and status 0", async () => {
    const socket = await dial(port)
    socket.write("open")
    await new Promise((resolve) => socket.once("data", resolve))
    const ending = new Promise((resolve, reject) => {
      socket.on("end", resolve)
      socket.on("error", reject)
    })
    child.kill("SIGINT")
    await ending
    socket.destroy()
    const { status, stdout, stderr } = await child.ended
    expect(stderr).toBe("")
    expect(status).toBe(0)
    const last = JSON.parse(stdout.trim().split("\n").at(-1) ?? "{}")
    // Segments sent again are none of this: an event loop that is late lets a tail loss probe go out (RFC 8985 section 7.2).
    expect(last).toMatchObject({ message: "stop", annotations: { open: 1 } })
  }, 30_000)
})

describe("netfold", () => {
  const fails = async (
    words: ReadonlyArray<string>,
    status: number,
    message: RegExp,
    env: Readonly<Record<string, string>> = {},
  ): Promise<void> => {
    const ended = await netfold(words, { env }).ended
    expect(ended.stderr).toMatch(message)
    expect(ended.stderr.trim().split("\n").length).toBe(1)
    expect(ended.stderr).not.toMatch(/\bat .*:\d+/)
    expect(ended.stdout).toBe("")
    expect(ended.status).toBe(status)
  }

  test("refuses options that make no sense, in one line, with status 2", async () => {
    await Promise.all([
      fails(["echo", "--port", "99999"], 2, /--port: a port is 1 to 65535/),
      fails(["echo", "--device", "carrier-pigeon"], 2, /device "carrier-pigeon"/),
      fails(["echo", "--address", "198.18.0.2"], 2, /--address "198\.18\.0\.2".*198\.18\.0\.2\/24/),
      fails(["serve", "--device", "tap:name-that-is-too-long"], 2, /interface name/),
      fails(["echo", "--nonsense"], 2, /--nonsense/),
      fails(["nonsense"], 2, /echo.*serve.*lab/),
    ])
  }, 30_000)

  test("refuses to ask a network for addresses where none could answer, and says why", async () => {
    await Promise.all([
      fails(["echo", "--dhcp"], 1, /memory device/),
      fails(["http", "--slaac"], 1, /memory device/),
      fails(["echo", "--device", "tun", "--dhcp"], 1, /TUN/),
      fails(["lab", "--host-name", "x", "true"], 1, /--dhcp/),
      fails(["serve", "--dhcp", "--workers", "2"], 1, /one stack, without --workers/),
      fails(["serve", "--slaac", "--workers", "2"], 1, /one stack, without --workers/),
    ])
  }, 30_000)

  test("ping and traceroute: one of -4 and -6 at most, with status 2 as ping(8)", async () => {
    await Promise.all([
      fails(["ping", "-4", "-6", "-c1", "::1"], 2, /only one of -4 and -6/),
      fails(["traceroute", "-4", "-6", "192.0.2.1"], 2, /only one of -4 and -6/),
      fails(["ping", "--device", "memory", "192.0.2.1"], 2, /memory device/),
    ])
  }, 30_000)

  test("says who is in the way of a port in use, with status 1", async () => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    const address = server.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    await fails(["echo", "--port", String(port)], 1, /in use.*--port/)
    server.close()
  }, 30_000)

  test(
    "refuses settings that make no sense, with status 1",
    () => fails(["echo"], 1, /NETFOLD_PROFILE.*plan9/, { NETFOLD_PROFILE: "plan9" }),
    30_000,
  )

  test(
    "will not serve on a device that nobody can reach",
    () => fails(["serve", "--device", "memory"], 1, /memory/),
    30_000,
  )
})
