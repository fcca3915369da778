import { expect, test } from "bun:test"
import { join } from "node:path"
import { drawQueues } from "../../docs/drawQueues.ts"
import { counters } from "../../src/tcp/counters.ts"

const ROOT = join(import.meta.dir, "../..")
const DOCS = join(ROOT, "docs")

test("docs/queues.svg is what docs/drawQueues.ts draws", async () => {
  expect(await Bun.file(join(DOCS, "queues.svg")).text()).toBe(drawQueues())
})

test("the picture names only counters that there are", () => {
  const named = [...drawQueues().matchAll(/class="mono (?:bad|cookie)"[^>]*>([^<]+)</g)].map(([, name]) => name ?? "")
  expect(named.length).toBeGreaterThan(8)
  expect(named.filter((name) => !counters.some((counter) => counter === name))).toEqual([])
})

test("the words of docs/queues.md are those of the sources", async () => {
  const page = await Bun.file(join(DOCS, "queues.md")).text()
  const files = [...new Bun.Glob("src/{tcp,host}/*.ts").scanSync(ROOT)]
  const all = (await Promise.all(files.map((file) => Bun.file(join(ROOT, file)).text()))).join("\n")
  const whys = [...page.matchAll(/`((?:RFC[0-9.-]+|Linux|gVisor):[A-Za-z_-]+)`/g)].map(([, why]) => why ?? "")
  expect(whys.length).toBeGreaterThan(8)
  expect(whys.filter((why) => !all.includes(`"${why}"`))).toEqual([])
})
