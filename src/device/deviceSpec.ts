import { Data, Either } from "effect"
import { nameProblem } from "../../ffi/ifreq.ts"

/** Which device to open, as `--device` says it. */
export type DeviceSpec =
  | { readonly _tag: "Memory" }
  /** Without a name the kernel numbers it: tap0, tap1, ... */
  | { readonly _tag: "Tap"; readonly name: string | undefined }
  /** As a TAP, without Ethernet: tun0, tun1, ... */
  | { readonly _tag: "Tun"; readonly name: string | undefined }
  /** As netmap writes it: `vale0:a`, `eth0`. */
  | { readonly _tag: "Netmap"; readonly port: string }

/** A spelling that names no device. */
export class DeviceSpecError extends Data.TaggedError("DeviceSpecError")<{
  readonly spec: string
  readonly message: string
}> {}

const ALLOWED = "memory, tap, tap:NAME, tun, tun:NAME or netmap:PORT"

/** Reads `memory`, `tap`, `tap:NAME`, `tun`, `tun:NAME` and `netmap:PORT`. What netmap makes of a port it says itself. */
export const parseDeviceSpec = (spec: string): Either.Either<DeviceSpec, DeviceSpecError> => {
  const colon = spec.indexOf(":")
  const kind = colon < 0 ? spec : spec.slice(0, colon)
  const name = colon < 0 ? undefined : spec.slice(colon + 1)
  const refuse = (why: string) => Either.left(new DeviceSpecError({ spec, message: `device "${spec}": ${why}` }))
  switch (kind) {
    case "memory":
      return name === undefined ? Either.right({ _tag: "Memory" }) : refuse("memory takes no name")
    case "tap":
    case "tun": {
      const problem = name === undefined ? undefined : nameProblem(name)
      if (problem !== undefined) return refuse(`the interface name ${problem}`)
      return Either.right({ _tag: kind === "tap" ? "Tap" : "Tun", name })
    }
    case "netmap":
      return name === undefined || name === ""
        ? refuse("netmap wants a port: netmap:eth0, netmap:vale0:a")
        : Either.right({ _tag: "Netmap", port: name })
    default:
      return refuse(`a device is ${ALLOWED}`)
  }
}
