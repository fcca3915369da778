import { expect } from "bun:test"
import { IFF_UP, interfaceAddress4, interfaceFlags, interfaceIndex } from "../../ffi/interface.ts"
import { chargenPattern } from "../../src/net/services.ts"
import { type Child, type ChildOptions, netfold } from "../cli/child.ts"
import { KernelSocket } from "./kernelSocket.ts"
import { kernelSuite } from "./namespace.ts"
import { octets, readAll, readExactly, sha256, string, text } from "./octets.ts"
import { persistentTap } from "./persistentTap.ts"
import { NOBODY, needing, onlyIf, onlyOneUser, output, program } from "./programs.ts"

const KERNEL = 0xc6120001
const MAIN = new URL("../../src/cli/main.ts", import.meta.url).pathname

/** Runs a test's body with a command, which is ended if the body has not done so. */
const withCommand = async (
  words: ReadonlyArray<string>,
  body: (command: Child) => Promise<void>,
  options: ChildOptions = {},
): Promise<void> => {
  const command = netfold(words, options)
  try {
    await body(command)
  } finally {
    command.kill("SIGKILL")
    await command.ended
  }
}

const dial = (port: number, host = "198.18.0.2"): Promise<KernelSocket> =>
  KernelSocket.begin({ host, port }).connected()

/** What comes back of what is sent, up to the other's end. */
const echoOf = async (port: number, said: string): Promise<string> => {
  const socket = await dial(port)
  try {
    await socket.write(text(said))
    socket.shutdown()
    return string(await readAll(socket))
  } finally {
    socket.close()
  }
}

kernelSuite("netfold echo --device tap", import.meta.path, (test) => {
  test("makes, names and addresses its interface, and serves on its own address", async () => {
    await withCommand(["echo", "--device", "tap:nf-echo"], async (command) => {
      await command.line(/start/)
      expect(interfaceAddress4("nf-echo")).toEqual({ word: KERNEL, prefixLength: 24 })
      expect(interfaceFlags("nf-echo") & IFF_UP).toBe(IFF_UP)
      const bytes = octets(1_000_000)
      const socket = await dial(7)
      const [back] = await Promise.all([readAll(socket), socket.write(bytes).then(() => socket.shutdown())])
      expect(sha256(back)).toBe(sha256(bytes))
      socket.close()
      // Without --address it has one of each IP version.
      const other = await dial(7, "2001:db8::2")
      await other.write(text("hello"))
      expect(string(await readExactly(other, 5))).toBe("hello")
      other.close()
    })
  })

  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    test(`${signal}: a FIN for every connection, status 0, and nothing left behind`, async () => {
      await withCommand(["echo", "--device", "tap"], async (command) => {
        await command.line(/start/)
        expect(interfaceIndex("tap0")).toBeDefined()
        const sockets = await Promise.all([dial(7), dial(7), dial(7)])
        for (const socket of sockets) {
          await socket.write(text("hello"))
          expect(string(await readExactly(socket, 5))).toBe("hello")
        }
        command.kill(signal)
        for (const socket of sockets) {
          expect(await socket.failure()).toBe("")
          expect(socket.info.state).toBe("CLOSE-WAIT")
          socket.close()
        }
        expect(await command.ended).toMatchObject({ status: 0, stderr: "" })
        expect(interfaceIndex("tap0")).toBeUndefined()
      })
    })
  }

  test("--all-ports: answers on every port", async () => {
    await withCommand(["echo", "--device", "tap", "--all-ports"], async (command) => {
      await command.line(/start/)
      for (const port of [1, 7, 80, 65_535]) expect(await echoOf(port, `port ${port}`)).toBe(`port ${port}`)
    })
  })

  test("--port, --address and --kernel-address: where it is told to", async () => {
    const words = ["--port", "4000", "--address", "198.19.7.9/29", "--kernel-address", "198.19.7.10"]
    await withCommand(["echo", "--device", "tap", ...words], async (command) => {
      await command.line(/start/)
      expect(interfaceAddress4("tap0")).toEqual({ word: 0xc613070a, prefixLength: 29 })
      const socket = await dial(4000, "198.19.7.9")
      await socket.write(text("there"))
      expect(string(await readExactly(socket, 5))).toBe("there")
      socket.close()
    })
  })

  test("an interface that another process uses: one line that says so, status 1", async () => {
    await withCommand(["echo", "--device", "tap:nf-busy"], async (first) => {
      await first.line(/start/)
      const { status, stdout, stderr } = await netfold(["echo", "--device", "tap:nf-busy"]).ended
      expect({ status, stdout }).toEqual({ status: 1, stdout: "" })
      expect(stderr).toBe("netfold: nf-busy: another process is using this interface (EBUSY)\n")
    })
  })

  needing(test, "ip")(
    "its interface is removed: one line that says so, status 1",
    async () => {
      await withCommand(["echo", "--device", "tap:nf-gone"], async (command) => {
        await command.line(/start/)
        await output("ip", "link", "del", "nf-gone")
        const { status, stderr } = await command.ended
        expect(status).toBe(1)
        expect(stderr).toMatch(/^netfold: .*nf-gone: the interface is gone.*\n$/)
      })
    },
    30_000,
  )
})

kernelSuite("netfold serve on an interface that somebody else has configured", import.meta.path, (test) => {
  test("echo 7, discard 9 and chargen 19; the interface stays as it was, and outlives the command", async () => {
    const tap = persistentTap("nf-own", { word: KERNEL, prefixLength: 24 })
    try {
      await withCommand(["serve", "--device", "tap:nf-own", "--address", "198.18.0.2/24"], async (command) => {
        await command.line(/start/)

        expect(await echoOf(7, "echo")).toBe("echo")

        const discard = await dial(9)
        await discard.write(octets(1_000_000))
        discard.shutdown()
        expect(await readAll(discard)).toHaveLength(0)
        discard.close()

        const chargen = await dial(19)
        await chargen.write(text("not looked at"))
        const shown = string(await readExactly(chargen, 100 * 74))
        expect(shown).toBe(string(new Uint8Array([...chargenPattern(), ...chargenPattern()]).subarray(0, 100 * 74)))
        const lines = shown.split("\r\n")
        // RFC 864's figure begins so, at its own place in the ring.
        expect(lines[1]).toBe("!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefgh")
        expect(lines[2]).toBe("\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghi")
        // It goes on for as long as somebody reads; a client that has enough resets.
        chargen.close()

        const idle = await dial(7)
        await idle.write(text("accepted"))
        expect(string(await readExactly(idle, 8))).toBe("accepted")
        command.kill("SIGINT")
        expect(await idle.failure()).toBe("")
        idle.close()
        expect(await command.ended).toMatchObject({ status: 0, stderr: "" })
      })
      expect(interfaceAddress4("nf-own")).toEqual({ word: KERNEL, prefixLength: 24 })
      expect(interfaceFlags("nf-own") & IFF_UP).toBe(IFF_UP)
    } finally {
      tap.remove()
    }
  })
})

/** Each lab is a world of its own: they run side by side, and the first case to ask starts them all. */
const labs = (() => {
  let running: Record<"ping" | "nc" | "refused" | "status", Child["ended"]> | undefined
  return () => {
    running ??= {
      ping: netfold(["lab", "ping", "-c", "1", "198.18.0.2"]).ended,
      // -N: the end of the input is the end of the data.
      nc: netfold(["lab", "nc", "-N", "198.18.0.2", "7"], { stdin: "through nc\n" }).ended,
      refused: netfold(["lab", "nc", "-z", "198.18.0.2", "81"]).ended,
      status: netfold(["lab", "sh", "-c", "grep -q tap0 /proc/net/dev && exit 42"]).ended,
    }
    return running
  }
})()

kernelSuite("netfold lab", import.meta.path, (test) => {
  needing(test, "ping")(
    "lab ping -c 1 198.18.0.2: answered, status 0",
    async () => {
      const { status, stdout } = await labs().ping
      expect(stdout).toContain("1 packets transmitted, 1 received, 0% packet loss")
      expect(status).toBe(0)
    },
    30_000,
  )

  needing(test, "nc")(
    "lab nc 198.18.0.2 7: what is typed comes back",
    async () => {
      expect(await labs().nc).toEqual({ status: 0, stdout: "through nc\n", stderr: "" })
    },
    30_000,
  )

  needing(test, "nc")(
    "lab nc to a port where nobody listens: nc's own status",
    async () => {
      expect(await labs().refused).toEqual({ status: 1, stdout: "", stderr: "" })
    },
    30_000,
  )

  test("the command's status, and nothing of the lab's interface outside", async () => {
    expect(await labs().status).toEqual({ status: 42, stdout: "", stderr: "" })
    expect(interfaceIndex("tap0")).toBeUndefined()
  })
})

kernelSuite("netfold as a user without privileges", import.meta.path, (test) => {
  const asNobody = onlyIf(needing(test, "setpriv"), onlyOneUser)
  const become = ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups", "--bounding-set=-all"]

  for (const command of ["echo", "serve"]) {
    asNobody(
      `${command} --device tap: one line that says what is missing and what works without, status 1`,
      async () => {
        const words = [process.execPath, MAIN, command, "--device", "tap:nf-none"]
        const { status, stdout, stderr } = await program([...become, ...words])
        expect({ status, stdout }).toEqual({ status: 1, stdout: "" })
        expect(stderr).toMatch(/^netfold: [^\n]+\n$/)
        expect(stderr).toMatch(/CAP_NET_ADMIN|\/dev\/net\/tun/)
        expect(stderr).toContain("lab")
        expect(interfaceIndex("nf-none")).toBeUndefined()
      },
      30_000,
    )
  }
})
