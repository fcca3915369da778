import { mkdir } from "node:fs/promises"
import { dirname, join } from "node:path"
import { openingsAgainstSegments } from "./openings.ts"
import { arrivalOrders } from "./permutations.ts"
import type { Generated } from "./script.ts"
import { statesAgainstSegments } from "./states.ts"

/**
 * The systematic part of the corpus: `bun test/packetdrill/generate/generate.ts` writes it anew.
 * What comes out is checked in like the rest, to be read and to be run by any packetdrill.
 */
export const generated = (): ReadonlyArray<Generated> => [
  ...arrivalOrders(),
  ...statesAgainstSegments(),
  ...openingsAgainstSegments(),
]

if (import.meta.main) {
  const root = join(import.meta.dir, "..")
  for (const { path, text } of generated()) {
    await mkdir(dirname(join(root, path)), { recursive: true })
    await Bun.write(join(root, path), text)
  }
}
