import { Data } from "effect"
import { SystemError } from "../../ffi/errno.ts"
import { TUN_PATH, tunFileProblem } from "../../ffi/tun.ts"

interface Details {
  /** The interface that was asked for. */
  readonly device: string
  /** One line for a person: what is wrong and what to do about it. */
  readonly message: string
}

/** Neither CAP_NET_ADMIN nor an interface that belongs to this user, or no access to /dev/net/tun. */
export class TapPermissionDenied extends Data.TaggedError("TapPermissionDenied")<Details> {}
/** Another process is attached to the interface. */
export class TapBusy extends Data.TaggedError("TapBusy")<Details> {}
/** The name cannot be an interface's. */
export class TapNameInvalid extends Data.TaggedError("TapNameInvalid")<Details> {}
/** This kernel offers no /dev/net/tun. */
export class TapUnavailable extends Data.TaggedError("TapUnavailable")<Details> {}
/** `existing` asked for an interface that is not there. */
export class TapNotFound extends Data.TaggedError("TapNotFound")<Details> {}
/** An interface of this name exists and cannot be taken: not a TAP, or a new one was asked for. */
export class TapExists extends Data.TaggedError("TapExists")<Details> {}
/** An option that the device cannot have: an MTU, a MAC or a prefix length out of range. */
export class TapOptionInvalid extends Data.TaggedError("TapOptionInvalid")<Details> {}
/** Any other system call that failed. */
export class TapSystemError extends Data.TaggedError("TapSystemError")<
  Details & { readonly call: string /** POSIX name. */; readonly errno: string }
> {}

export type TapError =
  | TapPermissionDenied
  | TapBusy
  | TapNameInvalid
  | TapUnavailable
  | TapNotFound
  | TapExists
  | TapOptionInvalid
  | TapSystemError

const ROOTLESS = "without root: bun run lab"

/** Says what a failed system call means for whoever wanted the interface `device`. */
export const explain = (name: string, cause: unknown): TapError => {
  // A name that the kernel was to complete has no number yet.
  const device = name.replace("%d", "")
  if (!(cause instanceof SystemError)) {
    return new TapSystemError({ device, call: "open", errno: "", message: `${device}: ${String(cause)}` })
  }
  const { call, code } = cause
  if (call === `open ${TUN_PATH}`) return explainOpen(device, cause)
  if (code === "EPERM" || code === "EACCES") {
    const message = `${device}: ${call} is not permitted (${code}): it needs CAP_NET_ADMIN, or an interface that belongs to this user; ${ROOTLESS}`
    return new TapPermissionDenied({ device, message })
  }
  if (code === "EBUSY") {
    return new TapBusy({ device, message: `${device}: another process is using this interface (EBUSY)` })
  }
  if (call === "TUNSETIFF" && code === "EINVAL") {
    const message = `${device}: an interface of this name exists and is no TAP or TUN of the kind asked for (EINVAL)`
    return new TapExists({ device, message })
  }
  return new TapSystemError({ device, call, errno: code, message: `${device}: ${call} failed (${code})` })
}

const explainOpen = (device: string, { call, code }: SystemError): TapError => {
  const message = `${device}: ${tunFileProblem(code)}`
  switch (code) {
    case "EACCES":
      return new TapPermissionDenied({
        device,
        message: `${message} (an interface needs CAP_NET_ADMIN besides; ${ROOTLESS})`,
      })
    case "EPERM":
      return new TapPermissionDenied({ device, message })
    case "ENOENT":
    case "ENODEV":
    case "ENXIO":
      return new TapUnavailable({ device, message })
    default:
      return new TapSystemError({ device, call, errno: code, message })
  }
}
