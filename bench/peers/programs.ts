import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** Programs compiled for one run of the bench, in a folder that goes away with it. */
export interface Programs {
  /** The client, and the server for the kernel's own stack. */
  readonly load: string | Missing
  readonly lwip: string | Missing
  readonly gvisor: string | Missing
  readonly remove: () => void
}

/** Why a program is not there, and what would bring it. */
export interface Missing {
  readonly why: string
}

const source = (name: string): string => join(import.meta.dir, name)
/** Where Debian's packages of Go libraries put their sources. */
const DEBIAN_GO = "/usr/share/gocode"
const GVISOR = `${DEBIAN_GO}/src/gvisor.dev/gvisor/pkg/tcpip/stack`

export const compilePrograms = (): Programs => {
  const directory = mkdtempSync(join(tmpdir(), "netfold-bench-"))
  return {
    load: compileC(join(directory, "load"), source("../client/load.c")),
    lwip: compileLwip(directory),
    gvisor: compileGvisor(directory),
    remove: () => rmSync(directory, { recursive: true, force: true }),
  }
}

const compileLwip = (directory: string): string | Missing =>
  existsSync("/usr/include/lwip/lwip/tcp.h")
    ? compileC(join(directory, "lwip"), source("lwip/server.c"), ["-I/usr/include/lwip", "-llwip"])
    : { why: "lwIP's library is not installed (Debian: liblwip-dev)" }

export const compileC = (program: string, from: string, words: ReadonlyArray<string> = []): string | Missing => {
  const compiler = ["cc", "gcc", "clang"].find((name) => Bun.which(name) !== null)
  if (compiler === undefined) return { why: `no C compiler (cc, gcc or clang) to compile ${from} with` }
  return run([compiler, "-O2", "-o", program, from, ...words], program)
}

const compileGvisor = (directory: string): string | Missing => {
  if (Bun.which("go") === null) return { why: "no Go compiler (Debian: golang-go)" }
  if (!existsSync(GVISOR)) return { why: "gVisor's sources are not installed (Debian: golang-gvisor-gvisor-dev)" }
  const program = join(directory, "gvisor")
  const words = ["go", "build", "-o", program, "."]
  return run(words, program, {
    cwd: source("gvisor"),
    env: { ...process.env, GO111MODULE: "off", GOPATH: DEBIAN_GO, GOFLAGS: "", GOCACHE: join(directory, "go-cache") },
  })
}

const run = (
  words: ReadonlyArray<string>,
  program: string,
  where: { readonly cwd?: string; readonly env?: Record<string, string | undefined> } = {},
): string | Missing => {
  const built = Bun.spawnSync([...words], { ...where, stderr: "pipe" })
  if (built.success) return program
  return { why: `${words.join(" ")}: ${built.stderr.toString().trim().split("\n")[0] ?? ""}` }
}
