import { Data, Either } from "effect"
import { nameProblem } from "../../ffi/ifreq.ts"

/** Which device to open, as `--device` says it. */
export type DeviceSpec =
  | { readonly _tag: "Memory" }
  /** Without a name the kernel numbers it: tap0, tap1, ... */
  | { readonly _tag: "Tap"; readonly name: string | undefined }

/** A spelling that names no device. */
export class DeviceSpecError extends Data.TaggedError("DeviceSpecError")<{
  readonly spec: string
  readonly message: string
}> {}

const ALLOWED = "memory, tap or tap:NAME"

/** Reads `memory`, `tap` and `tap:NAME`. */
export const parseDeviceSpec = (spec: string): Either.Either<DeviceSpec, DeviceSpecError> => {
  const colon = spec.indexOf(":")
  const kind = colon < 0 ? spec : spec.slice(0, colon)
  const name = colon < 0 ? undefined : spec.slice(colon + 1)
  const refuse = (why: string) => Either.left(new DeviceSpecError({ spec, message: `device "${spec}": ${why}` }))
  switch (kind) {
    case "memory":
      return name === undefined ? Either.right({ _tag: "Memory" }) : refuse("memory takes no name")
    case "tap": {
      const problem = name === undefined ? undefined : nameProblem(name)
      return problem === undefined ? Either.right({ _tag: "Tap", name }) : refuse(`the interface name ${problem}`)
    }
    case "netmap":
      return refuse(`netmap is not there yet; a device is ${ALLOWED}`)
    default:
      return refuse(`a device is ${ALLOWED}`)
  }
}
