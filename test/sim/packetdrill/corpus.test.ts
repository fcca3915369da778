import { describe, expect, test } from "bun:test"
import { join } from "node:path"
import { formatFailure } from "../../../src/sim/packetdrill/report.ts"
import { runScript } from "../../../src/sim/packetdrill/runner.ts"
import { generated } from "../../packetdrill/generate/generate.ts"
import { corpus, ROOT } from "./corpus.ts"
import { knownFailures } from "./knownFailures.ts"

describe("the corpus", async () => {
  for (const { name, source, options } of await corpus(["ipv4", "ipv6"])) {
    test(name, () => {
      const outcome = runScript(source, options)
      const report = outcome._tag === "Failed" ? formatFailure(name, outcome.failure) : outcome._tag
      if (knownFailures.has(name))
        expect(outcome._tag, `${name} is no longer to be listed as failing`).not.toBe("Passed")
      else expect(report).toBe("Passed")
    })
  }
})

test("the generated scripts are what their generator writes", async () => {
  for (const { path, text } of generated()) expect(await Bun.file(join(ROOT, path)).text(), path).toBe(text)
})
