import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"

/**
 * Frames worth keeping: for each reason that the host ever gave, the shortest frame known that
 * made it give it. One line each, the reason and the frame's octets; sorted, so that a change reads well.
 */
export type Corpus = Map<string, Uint8Array>

const FILE = join(import.meta.dir, "corpus.txt")

export const readCorpus = (): Corpus => {
  const corpus: Corpus = new Map()
  for (const line of existsSync(FILE) ? readFileSync(FILE, "latin1").split("\n") : []) {
    const [why, frame] = line.split(" ")
    if (why !== undefined && frame !== undefined) corpus.set(why, new Uint8Array(Buffer.from(frame, "hex")))
  }
  return corpus
}

export const writeCorpus = (corpus: Corpus): void => {
  const lines = [...corpus].map(([why, frame]) => `${why} ${Buffer.from(frame).toString("hex")}`)
  writeFileSync(FILE, `${lines.sort().join("\n")}\n`)
}

/** Takes what is new, or shorter; how many reasons are new. */
export const learn = (corpus: Corpus, reasons: ReadonlyMap<string, Uint8Array>): number => {
  let fresh = 0
  for (const [why, frame] of reasons) {
    const known = corpus.get(why)
    if (known === undefined) fresh++
    if (known === undefined || frame.length < known.length) corpus.set(why, frame)
  }
  return fresh
}
