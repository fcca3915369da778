import { describe, expect, setDefaultTimeout, test } from "bun:test"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { netfold } from "./child.ts"

/** Several processes a test, on a machine that may be busy. */
setDefaultTimeout(60_000)

const withRecording = async (body: (path: string) => Promise<void>): Promise<void> => {
  const directory = mkdtempSync(join(tmpdir(), "netfold-replay-"))
  try {
    const path = join(directory, "a.recording")
    const words = ["--rate", "20mbit", "--delay", "10ms", "--loss", "3%", "--size", "200kB", "--record", path]
    const { status, stderr } = await netfold(["simulate", ...words]).ended
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" })
    await body(path)
  } finally {
    rmSync(directory, { recursive: true })
  }
}

describe("netfold replay", () => {
  test("a recorded run: all as recorded; explained: each segment with its reason", () =>
    withRecording(async (path) => {
      const plain = await netfold(["replay", path]).ended
      expect(plain.status).toBe(0)
      expect(plain.stdout).toMatch(/^\d+ calls, \d+ frames received, \d+ effects: all as recorded\n$/)
      const { stdout } = await netfold(["replay", "--explain", path]).ended
      expect(stdout).toMatch(/^0\.\d{6} sends .* \[S\] .*\(RFC9293-3\.10\.1:active-OPEN\)$/m)
      expect(stdout).toMatch(/^\d\.\d{6} tells socket 1: connected$/m)
      expect(stdout).toContain("(RFC6675-5:lost)")
    }))

  test("a run of a host that would do something else: where it parts, and a status", () =>
    withRecording(async (path) => {
      // Recorded of a stack that announced another window.
      writeFileSync(
        path,
        readFileSync(path, "utf8").replace(/(?<=\\"wnd\\":)\d+/g, (wnd) => String(Number(wnd) + 1)),
      )
      const { status, stdout, stderr } = await netfold(["replay", path]).ended
      expect(status).toBe(1)
      expect(stdout).toMatch(/^call \d+ of \d+, \w+, has another outcome\nrecorded: .*wnd.*\nreplayed: .*wnd/s)
      expect(stderr).toContain("this host does not do what the recorded one did")
    }))

  test("something else than a recording: refused in a line", async () => {
    const { status, stderr } = await netfold(["replay", import.meta.path]).ended
    expect(status).toBe(1)
    expect(stderr).toContain("this is no recording of a host")
    expect(stderr.trim().split("\n")).toHaveLength(1)
  })
})
