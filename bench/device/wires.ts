import type { Device } from "../../src/device/device.ts"
import type { Case } from "../measure.ts"
import { batchesFor, drain, FRAMES, frameFor, receive, row, transmit } from "./frames.ts"

/** Two devices of this process joined to each other: all that is measured is the device. */
export const wireCases = (line: string, near: Device, far: Device, length: number): ReadonlyArray<Case> => {
  const there = frameFor(far.mac, near.mac, length)
  const back = frameFor(near.mac, far.mac, length)
  const cases: Array<Case> = []
  for (const batch of batchesFor(length)) {
    cases.push(
      {
        ...row(line, "write", length, batch),
        prepare: () => drain(far),
        run: () => {
          transmit(near, there, FRAMES, batch)
          return FRAMES
        },
      },
      {
        ...row(line, "read", length, batch),
        prepare: () => {
          drain(far)
          transmit(near, there, FRAMES, FRAMES)
        },
        run: () => receive(far, FRAMES, batch, length),
      },
      {
        ...row(line, "round trip", length, batch),
        prepare: () => {
          drain(far)
          drain(near)
        },
        run: () => {
          for (let done = 0; done < FRAMES; done += batch) {
            transmit(near, there, batch, batch)
            receive(far, batch, batch, length)
            transmit(far, back, batch, batch)
            receive(near, batch, batch, length)
          }
          return FRAMES
        },
      },
    )
  }
  return cases
}
