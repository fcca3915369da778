import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { netfold } from "./child.ts"

const OPEN = `0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+0 < S 0:0(0) win 32792 <mss 1000>
`
const SCRIPTS = {
  "good.pkt": `${OPEN}+0 > S. 0:0(0) ack 1 <mss 1460>\n`,
  "bad.pkt": `${OPEN}+0 > S. 0:0(0) ack 2 <mss 1460>\n`,
  "changed.pkt": `${OPEN}+0 > S. 0:0(0) ack 1 <mss 1460>
+.1 < . 1:1(0) ack 1 win 100
+0 accept(3, ..., ...) = 4
+0 write(4, ..., 10) = 10
+0 > P. 1:11(10) ack 1
+.1 < . 1:1(0) ack 11 win 50
+1 > . 11:11(0) ack 1
`,
  "unsupported.pkt": `${OPEN}+0 mmap(NULL, 4096, 1, 1, 3, 0) = 0\n`,
  "typo.pkt": "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 < S 0:0(1) win 1\n",
  "defined.pkt": `${OPEN}#ifdef WRONG\n+0 > R 0:0(0)\n#endif\n+0 > S. 0:0(0) ack 1 <mss SIZE>\n`.replace(
    "mss SIZE",
    "...",
  ),
  "fixed.pkt": `--ip_version=ipv4\n${OPEN}+0 > S. 0:0(0) ack 1 <mss 1460>\n`,
  "more/left.pkt": `${OPEN}`,
}

let root = ""
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "netfold-packetdrill-"))
  mkdirSync(join(root, "more"))
  for (const [name, text] of Object.entries(SCRIPTS)) writeFileSync(join(root, name), text)
})
afterAll(() => rmSync(root, { recursive: true }))

const run = async (...words: ReadonlyArray<string>) =>
  netfold(["packetdrill", ...words.map((word) => (word.endsWith(".pkt") ? join(root, word) : word))]).ended

describe("exit status and summary", () => {
  test.each([
    [["good.pkt", "bad.pkt"], 1, "2 runs: 1 passed, 1 failed, 0 unsupported"],
    [["-D", "WRONG=1", "defined.pkt"], 1, "1 failed"],
    [["--strict", "more/left.pkt"], 1, "1 failed"],
    [["--mtu=1400", "good.pkt"], 1, "expected <mss 1460>, got <mss 1360>"],
    [["--profile", "freebsd", "good.pkt"], 0, "1 passed"],
    [["--ip_version=ipv4", "--local_ip=192.168.0.1", "--gateway_ip=192.168.0.1", "--verbose", "good.pkt"], 0, "ok  "],
    [["--ip_version", "ipv4-mapped-ipv6", "-v", "good.pkt"], 0, "good.pkt (ipv4-mapped-ipv6)"],
    [["--list-unsupported", "unsupported.pkt"], 0, "     1  the call mmap"],
    [["--mutate", "good.pkt"], 0, "0 survived: 100.00 %"],
    [["*.pkt"], 1, "7 runs: 3 passed, 3 failed, 1 unsupported"],
  ] as const)("%j", async (words, status, text) => {
    const ended = await run(...words)
    expect(ended.stdout + ended.stderr).toContain(text)
    expect(ended.status).toBe(status)
  })

  test.each([
    [["nowhere.pkt"], 1, "no such script"],
    [[], 2, "script"],
    [["--workers", "0", "good.pkt"], 2, "--workers"],
    [["--profile", "amiga", "good.pkt"], 2, "linux, freebsd"],
    [["--junit", "/nowhere/x.xml", "good.pkt"], 1, "/nowhere/x.xml"],
  ] as const)("%j is refused", async (words, status, text) => {
    const ended = await run(...words)
    expect(ended.stderr).toContain(text)
    expect(ended.status).toBe(status)
  })
})

describe("a failure shows", () => {
  test("line, packet expected, packet seen, and why it was sent", async () => {
    const { stdout } = await run("bad.pkt")
    expect(stdout).toContain("bad.pkt:5:1: packet: the packet sent is not the one expected")
    expect(stdout).toContain("expected  S. 0:0(0) ack 2 <mss 1460>")
    expect(stdout).toContain("seen      S. 0:0(0) ack 1 win")
    expect(stdout).toMatch(/because RFC9293-\S+/)
    expect(stdout).toContain("- ack: expected 2, got 1")
  })

  test("the connection before, and what the event changed", async () => {
    const { stdout } = await run("changed.pkt")
    expect(stdout).toContain("before    ESTABLISHED snd.una=11 snd.nxt=11 snd.wnd=50")
    expect(stdout).toContain("after     ESTABLISHED")
  })

  test("where a script is not one", async () => {
    expect((await run("typo.pkt")).stdout).toContain(
      "typo.pkt:2:8: syntax: sequence numbers and payload length disagree",
    )
  })
})

test("results for programs: one record, and JUnit's XML", async () => {
  const file = join(root, "out.xml")
  const { stdout, status } = await run("--json", "--junit", file, "good.pkt", "bad.pkt", "unsupported.pkt")
  expect(status).toBe(1)
  const record = JSON.parse(stdout)
  expect(record.summary).toMatchObject({ runs: 3, passed: 1, failed: 1, unsupported: 1 })
  expect(record.results.map(({ result }: { result: string }) => result)).toEqual(["passed", "failed", "unsupported"])
  expect(record.results[1].failure).toMatchObject({ at: { line: 5, column: 1 }, kind: "packet" })
  const xml = readFileSync(file, "utf8")
  expect(xml).toContain('tests="3" failures="1" errors="0" skipped="1"')
  expect(xml).toContain('<skipped message="the call mmap"/>')
  expect(xml).toContain("S. 0:0(0) ack 2 &lt;mss 1460&gt;")
})

test("many scripts over several workers come back in order", async () => {
  const names = Array.from({ length: 200 }, (_, i) => join(root, "more", `n${String(i).padStart(3, "0")}.pkt`))
  for (const name of names) writeFileSync(name, SCRIPTS["good.pkt"])
  const { stdout } = await netfold(["packetdrill", "--json", "--workers", "3", ...names]).ended
  expect(JSON.parse(stdout).results.map(({ script }: { script: string }) => script)).toEqual(names)
  for (const name of names) rmSync(name)
})
