import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { bin, engines, scripts, version } from "../../package.json"
import { type Project, packedProject, ROOT, succeed, typeCheck } from "./packed.ts"

const MILLIS = 60_000

const read = (name: string): string => readFileSync(join(ROOT, name), "utf8")

/** Tracked, and about to be. */
const ourFiles = (): ReadonlyArray<string> => {
  const words = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--deduplicate"]
  const names = Bun.spawnSync(words, { cwd: ROOT }).stdout.toString().split("\n")
  return names.filter((name) => name !== "" && existsSync(join(ROOT, name)))
}
const inGit = Bun.which("git") !== null && Bun.spawnSync(["git", "rev-parse"], { cwd: ROOT, stderr: "ignore" }).success

describe("the packed package", () => {
  let project: Project
  beforeAll(async () => {
    project = await packedProject()
  }, MILLIS)
  afterAll(() => project.remove())

  test("holds sources, licence and README, and nothing else", () => {
    const other = project.files.filter((name) => !/^(src|ffi)\/.*\.ts$/.test(name))
    expect(other).toEqual(["LICENSE", "README.md", "package.json"])
    const sources = [...new Bun.Glob("{src,ffi}/**/*.ts").scanSync(ROOT)].sort()
    expect(project.files.filter((name) => !other.includes(name))).toEqual(sources)
  })

  test(
    "is imported by name, with its types",
    async () => {
      const source = `import { memoryPair, Stack, Tcp } from "netfold"
        import type { Effect, Scope } from "effect"
        const listening: Effect.Effect<Tcp.Listener, Tcp.TcpError, Stack | Scope.Scope> = Tcp.listen({ port: 7 })
        const [near] = memoryPair()
        console.log(typeof listening, typeof Tcp.connect, typeof Stack.make, near.name)`
      const main = await project.write("imports.ts", source)
      await typeCheck(project)
      expect(await succeed([process.execPath, main], project.directory)).toBe("object function function memory0\n")
    },
    MILLIS,
  )

  test(
    "has the command",
    async () => {
      const command = join(project.directory, "node_modules/netfold", bin.netfold)
      expect(readFileSync(command, "utf8")).toStartWith("#!/usr/bin/env bun\n")
      const printed = await succeed([process.execPath, command, "--version"], project.directory)
      expect(printed.trim()).toBe(version)
    },
    MILLIS,
  )
})

describe("the repository", () => {
  test("is run by one version of Bun", () => {
    const pinned = engines.bun.replace(">=", "")
    expect(Bun.version).toBe(pinned)
    const named = [".ci/run", "README.md"].flatMap((name) => read(name).match(/\bbun@[\d.]+/g) ?? [])
    expect(named.length).toBeGreaterThan(2)
    expect([...new Set(named)]).toEqual([`bun@${pinned}`])
  })

  test("has the scripts that the README speaks of", () => {
    const spoken = new Set([...read("README.md").matchAll(/\bbun(?:@[\d.]+)? run (\w+)/g)].map(([, name]) => name))
    expect(spoken).toContain("echo")
    expect(Object.keys(scripts)).toEqual(expect.arrayContaining([...spoken]))
  })

  test.skipIf(!inGit)("names no place of any one machine, and no registry", () => {
    // Written so that this file does not name them either.
    const places = ["work", "root", "home", "Users"].map((name) => `(?<![\\w.~}])/${name}/\\w`)
    const hosts = ["registry", "npmjs", "yarnpkg", "jsr"].map((name) => `\\b${name}\\.(?!ts\\b)[a-z]{2,}`)
    const forbidden = new RegExp([...places, ...hosts].join("|"))
    expect(ourFiles().filter((name) => forbidden.test(read(name)))).toEqual([])
  })

  test("has no address in its lockfile", () => {
    expect(read("bun.lock")).not.toContain("://")
  })
})
