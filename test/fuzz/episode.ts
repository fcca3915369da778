import { Random } from "../properties/random.ts"
import { soundFrame } from "./frames.ts"
import { mutated } from "./mutate.ts"
import { judge } from "./oracle.ts"
import { World } from "./world.ts"

/** Frames of one episode: a world of its own each, so that a failure is found again by its number. */
export const EPISODE = 10_000
/** Blocks and sockets that the world's limits allow, with the connections that the world itself accepts. */
const MOST_BLOCKS = 6000
/** Frames that one frame may lead to: a window of data and what is due otherwise. */
const MOST_ANSWERS = 64

export interface Failure {
  readonly episode: number
  /** Which frame of the episode. */
  readonly at: number
  readonly frame: string
  readonly what: string
}

export interface EpisodeResult {
  readonly frames: number
  readonly sent: number
  /** The first frame of this episode that led to each reason. */
  readonly reasons: ReadonlyMap<string, Uint8Array>
  readonly failure: Failure | undefined
}

/** `corpus`: frames that are mutated beside those made for the world. */
export const runEpisode = (
  seed: number,
  episode: number,
  corpus: ReadonlyArray<Uint8Array>,
  frames = EPISODE,
): EpisodeResult => {
  const random = new Random(Math.imul(seed, 0x9e3779b1) ^ Math.imul(episode + 1, 0x85ebca6b))
  const world = new World()
  const reasons = new Map<string, Uint8Array>()
  let sent = 0
  const attempt = (at: number, frame: Uint8Array, step: () => string | undefined): Failure | undefined => {
    const failed = (what: string): Failure => ({ episode, at, frame: Buffer.from(frame).toString("hex"), what })
    try {
      const fault = step()
      return fault === undefined ? undefined : failed(fault)
    } catch (cause) {
      return failed(cause instanceof Error ? (cause.stack ?? cause.message) : String(cause))
    }
  }
  const pick = (): Uint8Array => corpus[random.between(0, corpus.length - 1)] ?? soundFrame(random, world.places)
  for (let at = 0; at < frames; at++) {
    const sound = random.chance(0.9) ? soundFrame(random, world.places) : pick()
    const frame = random.chance(0.7) ? mutated(sound, pick(), random) : sound
    const failure = attempt(at, frame, () => {
      const outcome = world.put(frame)
      sent += outcome.frames.length
      for (const why of outcome.whys) if (!reasons.has(why)) reasons.set(why, frame)
      if (outcome.frames.length > MOST_ANSWERS) return `${outcome.frames.length} frames were sent in answer`
      if (at % 16 === 15) {
        world.live(at >>> 4)
        sent += world.wait(random.between(0, random.chance(0.01) ? 5_000_000 : 2000)).frames.length
      }
      if (at % 1024 === 0 && world.size > MOST_BLOCKS) return `${world.size} blocks and sockets`
      return judge(frame, outcome.frames, (address) => world.owns(address))
    })
    if (failure !== undefined) return { frames: at + 1, sent, reasons, failure }
  }
  const failure = attempt(frames, new Uint8Array(0), () => {
    world.greets()
    return undefined
  })
  return { frames, sent, reasons, failure }
}
