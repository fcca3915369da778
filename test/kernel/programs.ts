import { test as bunTest } from "bun:test"
import { readFileSync, writeFileSync } from "node:fs"
import type { KernelTest } from "./namespace.ts"

/** Registers cases that need these programs: skipped, with the reason in their names, where one is missing. */
export const needing = (test: KernelTest, ...programs: ReadonlyArray<string>): KernelTest =>
  onlyIf(test, programs.filter((program) => Bun.which(program) === null).map((program) => `no ${program} here`)[0])

/** Registers cases unless something forbids them. */
export const onlyIf = (test: KernelTest, forbidden: string | undefined): KernelTest =>
  forbidden === undefined ? test : (name) => bunTest.skip(`${name} (skipped: ${forbidden})`, () => {})

/** The user without privileges, by Linux's convention. */
export const NOBODY = 65_534

/** Why a program cannot become another user, here or in the namespace to come; undefined where it can. */
export const onlyOneUser: string | undefined = (() => {
  if (process.getuid?.() !== 0) return "becoming another user needs root"
  const ranges = readFileSync("/proc/self/uid_map", "utf8").trim().split("\n")
  const isMapped = ranges.some((line) => {
    const [first = 0, , count = 0] = line.trim().split(/\s+/).map(Number)
    return NOBODY >= first && NOBODY < first + count
  })
  return isMapped ? undefined : "becoming another user needs root"
})()

export interface Outcome {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program to its end, while the stack in this process goes on. */
export const program = async (words: ReadonlyArray<string>, stdin?: string): Promise<Outcome> => {
  const child = Bun.spawn([...words], {
    stdin: stdin === undefined ? "ignore" : new TextEncoder().encode(stdin),
    stdout: "pipe",
    stderr: "pipe",
  })
  const [stdout, stderr, status] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited])
  return { status, stdout, stderr }
}

/** What a program that must succeed prints. */
export const output = async (...words: ReadonlyArray<string>): Promise<string> => {
  const { status, stdout, stderr } = await program(words)
  if (status !== 0) throw new Error(`${words.join(" ")}: exit status ${status}\n${stdout}${stderr}`)
  return stdout
}

/** Runs `body` with sysctls of this namespace, such as "net.ipv4.tcp_sack", set otherwise. */
export const withSysctls = async (
  values: Readonly<Record<string, number | string>>,
  body: () => Promise<void>,
): Promise<void> => {
  const files = Object.entries(values).map(([name, value]) => ({ path: pathOf(name), value }))
  const before = files.map(({ path }) => readFileSync(path, "utf8"))
  try {
    for (const { path, value } of files) writeFileSync(path, `${value}\n`)
    await body()
  } finally {
    for (const [index, { path }] of files.entries()) writeFileSync(path, before[index] ?? "")
  }
}

const pathOf = (name: string): string => `/proc/sys/${name.replaceAll(".", "/")}`
