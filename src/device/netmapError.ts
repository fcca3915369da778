import { Data } from "effect"
import { SystemError } from "../../ffi/errno.ts"
import { LIBRARY_VARIABLE, NETMAP_PATH, netmapModuleLoaded } from "../../ffi/netmap.ts"
import { NetmapIncompatible, NetmapLibraryMissing } from "../../ffi/netmapError.ts"

interface Details {
  /** The port that was asked for. */
  readonly device: string
  /** One line for a person: what is wrong and what to do about it. */
  readonly message: string
}

/** libnetmap is not where it was looked for. */
export class NetmapLibraryNotFound extends Data.TaggedError("NetmapLibraryNotFound")<Details> {}
/** The library is there, the kernel's netmap is not. */
export class NetmapModuleMissing extends Data.TaggedError("NetmapModuleMissing")<Details> {}
/** Another version of netmap's interface, or memory that is laid out in another way. */
export class NetmapMismatch extends Data.TaggedError("NetmapMismatch")<Details> {}
/** A name that netmap does not understand, or a selection of rings that the port does not have. */
export class NetmapPortInvalid extends Data.TaggedError("NetmapPortInvalid")<Details> {}
/** No interface of this name that netmap could take. */
export class NetmapNotFound extends Data.TaggedError("NetmapNotFound")<Details> {}
/** /dev/netmap may not be opened by this user. */
export class NetmapPermissionDenied extends Data.TaggedError("NetmapPermissionDenied")<Details> {}
/** Somebody has the port for himself. */
export class NetmapBusy extends Data.TaggedError("NetmapBusy")<Details> {}
/** An option that the device cannot have. */
export class NetmapOptionInvalid extends Data.TaggedError("NetmapOptionInvalid")<Details> {}
/** Any other call that failed. */
export class NetmapSystemError extends Data.TaggedError("NetmapSystemError")<
  Details & { readonly call: string /** POSIX name. */; readonly errno: string }
> {}

export type NetmapError =
  | NetmapLibraryNotFound
  | NetmapModuleMissing
  | NetmapMismatch
  | NetmapPortInvalid
  | NetmapNotFound
  | NetmapPermissionDenied
  | NetmapBusy
  | NetmapOptionInvalid
  | NetmapSystemError

/** Says what a failed call means for whoever wanted the port `device`. */
export const explain = (device: string, cause: unknown, moduleLoaded = netmapModuleLoaded()): NetmapError => {
  if (cause instanceof NetmapLibraryMissing) {
    const also = moduleLoaded ? "" : `; the kernel has no netmap either (no ${NETMAP_PATH})`
    const message = `${device}: ${cause.message}: set ${LIBRARY_VARIABLE} to the path of libnetmap.so${also}`
    return new NetmapLibraryNotFound({ device, message })
  }
  if (cause instanceof NetmapIncompatible) return new NetmapMismatch({ device, message: `${device}: ${cause.message}` })
  if (!(cause instanceof SystemError)) {
    return new NetmapSystemError({ device, call: "open", errno: "", message: `${device}: ${String(cause)}` })
  }
  const { call, code } = cause
  switch (code) {
    case "ENOENT":
    case "ENODEV": {
      const message = `${device}: libnetmap is there, the kernel's module is not (no ${NETMAP_PATH}, ${code}): as root, modprobe netmap`
      return new NetmapModuleMissing({ device, message })
    }
    case "EINVAL": {
      const why = call.startsWith("nmport_") ? "no port that netmap understands" : call
      const message = `${device}: ${why} (EINVAL): write netmap:eth0, netmap:vale0:a or a pipe netmap:x{1, with -N for one ring or ^ for the host's`
      return new NetmapPortInvalid({ device, message })
    }
    case "ENXIO":
      return new NetmapNotFound({ device, message: `${device}: netmap finds no interface of this name (ENXIO)` })
    case "EACCES":
    case "EPERM":
      return new NetmapPermissionDenied({
        device,
        message: `${device}: this user may not open ${NETMAP_PATH} (${code}): as root, chmod 0666 ${NETMAP_PATH}`,
      })
    case "EBUSY":
      return new NetmapBusy({ device, message: `${device}: another process has this port for itself (EBUSY)` })
    default:
      return new NetmapSystemError({ device, call, errno: code, message: `${device}: ${call} failed (${code})` })
  }
}
