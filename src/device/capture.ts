import { Data, Effect, type Scope } from "effect"
import { LINKTYPE_ETHERNET, LINKTYPE_RAW, MICROSECONDS } from "../wire/pcapng.ts"
import { enhancedPacket, interfaceDescription, sectionHeader } from "../wire/pcapngWriter.ts"
import { type CaptureFile, openCaptureFile } from "./captureFile.ts"
import type { Device } from "./device.ts"

/** The file of a capture cannot be written. */
export class CaptureError extends Data.TaggedError("CaptureError")<{
  readonly path: string
  readonly message: string
}> {}

/**
 * The device, with all that it sends and receives in a pcapng file, until the end of the scope. Frames
 * are as the stack sees them: offloaded ones uncut, their sums unfinished, as tcpdump shows them too.
 */
export const captured = (device: Device, path: string): Effect.Effect<Device, CaptureError, Scope.Scope> =>
  Effect.gen(function* () {
    const clock = yield* Effect.clock
    const failed = (cause: unknown): CaptureError =>
      new CaptureError({ path, message: `${path}: ${cause instanceof Error ? cause.message : String(cause)}` })
    const writer = yield* Effect.acquireRelease(
      Effect.try({ try: () => openCaptureFile(path), catch: failed }),
      finish(path),
    )
    const { layer } = device.capabilities
    writer.write(sectionHeader("netfold"))
    writer.write(
      interfaceDescription({
        linkType: layer === "ethernet" ? LINKTYPE_ETHERNET : LINKTYPE_RAW,
        snapLength: 0,
        name: device.name,
        resolution: MICROSECONDS,
      }),
    )
    // Whatever the fine clock counts from, the file counts from 1970.
    const epoch = BigInt(Math.round(clock.unsafeCurrentTimeMillis() * 1000)) - clock.unsafeCurrentTimeNanos() / 1000n
    const keep = (direction: "inbound" | "outbound", frame: Uint8Array): void => {
      writer.write(
        enhancedPacket({
          interfaceId: 0,
          timestamp: epoch + clock.unsafeCurrentTimeNanos() / 1000n,
          direction,
          originalLength: frame.length,
          data: frame,
          comment: undefined,
        }),
      )
    }
    return capturing(device, keep)
  })

const finish = (path: string) => (file: CaptureFile) =>
  Effect.gen(function* () {
    file.close()
    if (file.failure === undefined) return
    yield* Effect.logWarning(`${path}: the capture ends where it could not be written: ${file.failure.message}`)
  })

type Keep = (direction: "inbound" | "outbound", frame: Uint8Array) => void

const capturing = (device: Device, keep: Keep): Device => {
  let reserved: Uint8Array | undefined
  return {
    name: device.name,
    mac: device.mac,
    capabilities: device.capabilities,
    counters: device.counters,
    receive: (visit, budget) =>
      device.receive((frame) => {
        keep("inbound", frame.bytes.subarray(frame.offset, frame.offset + frame.length))
        visit(frame)
      }, budget),
    reserve: (length) => {
      reserved = device.reserve(length)
      return reserved
    },
    commit: (length, offload) => {
      if (reserved !== undefined) keep("outbound", reserved.subarray(0, length))
      reserved = undefined
      device.commit(length, offload)
    },
    flush: () => device.flush(),
    wake: (onReady) => device.wake(onReady),
    failure: () => device.failure(),
    close: () => device.close(),
  }
}
