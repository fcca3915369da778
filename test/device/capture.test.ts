import { describe, expect, test } from "bun:test"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Logger } from "effect"
import { captured } from "../../src/device/capture.ts"
import { NO_OFFLOAD } from "../../src/device/device.ts"
import { memoryPair } from "../../src/device/memory.ts"
import { readPcapng } from "../../src/wire/pcapngReader.ts"

describe("a captured device", () => {
  test("writes what leaves and what arrives, with its time and its way", async () => {
    const directory = mkdtempSync(join(tmpdir(), "netfold-capture-"))
    const path = join(directory, "a.pcapng")
    try {
      const before = Date.now()
      await Effect.runPromise(
        Effect.scoped(
          Effect.gen(function* () {
            const [near, far] = memoryPair({ names: ["near", "far"] })
            const device = yield* captured(near, path)
            device.reserve(60)?.fill(1, 0, 60)
            device.commit(60, NO_OFFLOAD)
            device.flush()
            far.reserve(70)?.fill(2, 0, 70)
            far.commit(70, NO_OFFLOAD)
            far.flush()
            let seen = 0
            device.receive(({ length }) => (seen = length), 10)
            expect(seen).toBe(70)
          }),
        ),
      )
      const file = readPcapng(new Uint8Array(readFileSync(path)))
      expect(file.problem).toBeUndefined()
      expect(file.interfaces).toMatchObject([{ name: "near", linkType: 1 }])
      expect(file.packets.map(({ direction, data }) => [direction, data.length, data[0]])).toEqual([
        ["outbound", 60, 1],
        ["inbound", 70, 2],
      ])
      for (const { timestamp } of file.packets) {
        expect(Math.abs(Number(timestamp) / 1000 - before)).toBeLessThan(60_000)
      }
    } finally {
      rmSync(directory, { recursive: true })
    }
  })

  test("a disk without room: the stack goes on, and a warning says where the capture ends", async () => {
    const warnings: Array<string> = []
    const logger = Logger.make(({ message }) => warnings.push(String(message)))
    const [near, far] = memoryPair()
    const seen = await Effect.runPromise(
      Effect.scoped(
        Effect.gen(function* () {
          const device = yield* captured(near, "/dev/full")
          let frames = 0
          for (let n = 0; n < 100; n++) {
            far.reserve(1400)?.fill(2, 0, 1400)
            far.commit(1400, NO_OFFLOAD)
            far.flush()
            frames += device.receive(() => {}, 10)
          }
          return frames
        }),
      ).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger))),
    )
    expect(seen).toBe(100)
    expect(warnings).toHaveLength(1)
    expect(warnings[0]).toContain("/dev/full: the capture ends")
  })

  test("a file that cannot be made: CaptureError, and no device", async () => {
    const [near] = memoryPair()
    const error = await Effect.runPromise(Effect.flip(Effect.scoped(captured(near, "/dev/null/at/all.pcapng"))))
    expect(error._tag).toBe("CaptureError")
    expect(error.message).toContain("/dev/null/at/all.pcapng")
  })
})
