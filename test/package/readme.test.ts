import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { type Project, packedProject, ROOT, succeed, typeCheck } from "./packed.ts"

const MILLIS = 60_000

/** Each `ts` block of the README is a whole program; what it prints stands in it behind "//=>". */
const programs = [...readFileSync(join(ROOT, "README.md"), "utf8").matchAll(/^```ts\n(.*?)^```$/gms)].map(
  ([, source = ""], index) => ({
    name: `readme${index + 1}.ts`,
    source,
    prints: [...source.matchAll(/\/\/=> (.*)$/gm)].map(([, line]) => `${line}\n`).join(""),
  }),
)

describe("the README's programs", () => {
  let project: Project
  beforeAll(async () => {
    project = await packedProject()
    for (const { name, source } of programs) await project.write(name, source)
  }, MILLIS)
  afterAll(() => project.remove())

  test("are there", () => expect(programs.length).toBeGreaterThan(0))
  test("have right types", () => typeCheck(project), MILLIS)
  test.each(programs)(
    "$name prints what it says",
    async ({ name, prints }) => {
      expect(await succeed([process.execPath, name], project.directory)).toBe(prints)
    },
    MILLIS,
  )
})

const deno = Bun.which("deno")
const underDeno = deno === null ? describe.skip : describe

underDeno(`the README's programs under Deno${deno === null ? " (skipped: no deno on the PATH)" : ""}`, () => {
  let project: Project
  beforeAll(async () => {
    project = await packedProject()
    await project.vendor()
    for (const { name, source } of programs) await project.write(name, source)
  }, MILLIS)
  afterAll(() => project.remove())

  test.each(programs)(
    "$name prints what it says",
    async ({ name, prints }) => {
      expect(await succeed([deno ?? "deno", "run", "--allow-all", name], project.directory)).toBe(prints)
    },
    MILLIS,
  )
})
