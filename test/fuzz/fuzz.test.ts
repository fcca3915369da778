import { describe, expect, test } from "bun:test"
import { readCorpus } from "./corpus.ts"
import { runEpisode } from "./episode.ts"
import { judge } from "./oracle.ts"
import { World } from "./world.ts"

const corpus = [...readCorpus()]

describe("a host with listeners and connections in every state", () => {
  test.each(corpus)("the frame that once led to %s: nothing that must not be sent", (_, frame) => {
    const world = new World()
    expect(judge(frame, world.put(frame).frames, (address) => world.owns(address))).toBeUndefined()
  })

  test.each([0, 1, 2, 3])(
    "10,000 mutated frames of seed 1, episode %d: no fault, every block within its bounds",
    (episode) => {
      const { failure, sent, reasons } = runEpisode(
        1,
        episode,
        corpus.map(([, frame]) => frame),
      )
      expect(failure).toBeUndefined()
      // The frames have got everywhere.
      expect(sent).toBeGreaterThan(100)
      expect(reasons.size).toBeGreaterThan(40)
    },
    60_000,
  )

  test("the same seed and episode: the same answers and reasons", () => {
    const once = runEpisode(5, 0, [], 3000)
    const again = runEpisode(5, 0, [], 3000)
    expect(again).toEqual(once)
  })
})
