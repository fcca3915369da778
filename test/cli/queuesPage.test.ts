import { afterAll, beforeAll, expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { netfold } from "./child.ts"

/** A machine under load starts a process in seconds; half-open requests last for 63 of them. */
const PATIENCE = 20_000

/** The first example of docs/queues.md, as a reader runs it. */
const ROOT = join(import.meta.dir, "../..")
const runtimeDirectory = mkdtempSync(join(tmpdir(), "netfold-queues-"))
const env = { ...process.env, NETFOLD_RUNTIME_DIR: runtimeDirectory }
const said = (text: string): string =>
  text
    .replaceAll(/pid=\d+/g, "pid=N")
    .replaceAll(/(198\.18\.0\.1):\d+/g, "$1:P")
    .replaceAll(/(ListenOverflows|ListenDrops|accept-queue-full) +\d+ /g, "$1 N ")

let page = ""
let overflow: Bun.Subprocess<"ignore", "pipe", "inherit"> | undefined

beforeAll(async () => {
  page = await Bun.file(join(ROOT, "docs/queues.md")).text()
  overflow = Bun.spawn([process.execPath, join(ROOT, "docs/overflow.ts")], { env, stdin: "ignore", stdout: "pipe" })
  const { value } = await overflow.stdout.getReader().read()
  expect(page).toContain(new TextDecoder().decode(value))
}, PATIENCE)

afterAll(() => {
  overflow?.kill()
  rmSync(runtimeDirectory, { recursive: true })
})

test.each([
  ["ss -ltn --name overflow"],
  ["ss -tn --name overflow state syn-recv"],
  ["nstat -a --name overflow '*Listen*' 'Drop:Linux*'"],
])(
  "netfold %s prints what docs/queues.md shows",
  async (command) => {
    const words = command.split(" ").map((word) => word.replaceAll("'", ""))
    const { status, stdout, stderr } = await netfold(words, { env: { NETFOLD_RUNTIME_DIR: runtimeDirectory } }).ended
    expect([status, stderr]).toEqual([0, ""])
    const [, shown = ""] = page.split(`$ netfold ${command}\n`)
    const expected = shown.split(/^(?:\$|```)/m)[0] ?? ""
    expect(said(stdout)).toBe(said(expected))
  },
  PATIENCE,
)
