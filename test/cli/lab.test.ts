import { describe, expect, test } from "bun:test"
import { whyForbidden } from "../../ffi/namespace.ts"
import { protectCommand } from "../../src/cli/lab.ts"
import { netfold } from "./child.ts"

const forbidden = whyForbidden()
const kernelTest = test.skipIf(forbidden !== undefined)

/** A program that a kernel socket inside the lab echoes with, and that exits with 7 if the echo is right. */
const CLIENT = `
const socket = require("node:net").connect(7, process.argv[1], () => socket.end("through the lab"))
let got = ""
socket.on("data", (bytes) => { got += bytes })
socket.on("close", () => process.exit(got === "through the lab" ? 7 : 1))
`

describe("netfold lab", () => {
  kernelTest(
    "runs a command beside a stack and exits with its status",
    async () => {
      const ended = await netfold(["lab", process.execPath, "-e", CLIENT, "198.18.0.2"]).ended
      expect(ended).toEqual({ status: 7, stdout: "", stderr: "" })
    },
    30_000,
  )

  kernelTest(
    "takes other addresses",
    async () => {
      const words = [
        "lab",
        "--address",
        "10.9.8.7/24",
        "--kernel-address=10.9.8.1",
        process.execPath,
        "-e",
        CLIENT,
        "10.9.8.7",
      ]
      expect((await netfold(words).ended).status).toBe(7)
    },
    30_000,
  )

  kernelTest(
    "reports a command that a signal ended, and one that is not there, as shells do",
    async () => {
      const [killed, missing] = await Promise.all([
        netfold(["lab", "sh", "-c", "kill -9 $$"]).ended,
        netfold(["lab", "no-such-command"]).ended,
      ])
      expect(killed.status).toBe(137)
      expect(missing.status).toBe(127)
      expect(missing.stderr).toContain("no-such-command: command not found")
    },
    30_000,
  )

  kernelTest(
    "passes standard input on, and keeps standard output the command's own",
    async () => {
      const ended = await netfold(["lab", "cat"], { stdin: "just this" }).ended
      expect(ended).toEqual({ status: 0, stdout: "just this", stderr: "" })
    },
    30_000,
  )
})

describe("the words after lab", () => {
  const words = (...argv: ReadonlyArray<string>) => protectCommand(["bun", "main.ts", ...argv]).slice(2)

  test("are the command's from the first that is no option of lab", () => {
    expect(words("lab", "ping", "-c", "1", "198.18.0.2")).toEqual(["lab", "--", "ping", "-c", "1", "198.18.0.2"])
    expect(words("lab", "--address", "10.0.0.2/24", "sh", "-c", "ls")).toEqual([
      "lab",
      "--address",
      "10.0.0.2/24",
      "--",
      "sh",
      "-c",
      "ls",
    ])
    expect(words("lab", "--address=10.0.0.2/24", "sh")).toEqual(["lab", "--address=10.0.0.2/24", "--", "sh"])
  })

  test("are left alone where there is no command, or it is marked already", () => {
    expect(words("lab")).toEqual(["lab"])
    expect(words("lab", "--help")).toEqual(["lab", "--help"])
    expect(words("lab", "--", "ls", "-l")).toEqual(["lab", "--", "ls", "-l"])
    expect(words("echo", "lab")).toEqual(["echo", "lab"])
  })
})
