import { expect, test } from "bun:test"
import { join } from "node:path"
import { drawCongestion } from "../../../docs/drawCongestion.ts"

test("docs/congestion.svg is what docs/drawCongestion.ts draws", async () => {
  expect(await Bun.file(join(import.meta.dir, "../../../docs/congestion.svg")).text()).toBe(drawCongestion())
})
