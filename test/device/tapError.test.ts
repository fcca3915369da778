import { expect, test } from "bun:test"
import { Errno, SystemError } from "../../ffi/errno.ts"
import { explain, type TapError } from "../../src/device/tapError.ts"

const cases: ReadonlyArray<readonly [string, number, TapError["_tag"], string]> = [
  ["open /dev/net/tun", Errno.EACCES, "TapPermissionDenied", "as root, chmod 0666 /dev/net/tun"],
  ["open /dev/net/tun", Errno.EACCES, "TapPermissionDenied", "without root: bun run lab"],
  ["open /dev/net/tun", Errno.EPERM, "TapPermissionDenied", "its container must be given the device"],
  ["open /dev/net/tun", Errno.ENOENT, "TapUnavailable", "there is no /dev/net/tun (ENOENT): as root, modprobe tun"],
  ["open /dev/net/tun", Errno.ENODEV, "TapUnavailable", "modprobe tun"],
  ["open /dev/net/tun", Errno.EMFILE, "TapSystemError", "/dev/net/tun cannot be opened (EMFILE)"],
  ["TUNSETIFF", Errno.EPERM, "TapPermissionDenied", "it needs CAP_NET_ADMIN"],
  ["TUNSETIFF", Errno.EPERM, "TapPermissionDenied", "bun run lab"],
  ["TUNSETIFF", Errno.EBUSY, "TapBusy", "another process is using this interface (EBUSY)"],
  ["TUNSETIFF", Errno.EINVAL, "TapExists", "is no TAP or TUN of the kind asked for (EINVAL)"],
  ["SIOCSIFADDR", Errno.EINVAL, "TapSystemError", "SIOCSIFADDR failed (EINVAL)"],
  ["SIOCSIFMTU", 999, "TapSystemError", "SIOCSIFMTU failed (errno 999)"],
]
test.each([...cases])("%s, errno %d: %s, %p", (call, errno, tag, said) => {
  const error = explain("tap7", new SystemError(call, errno))
  expect(error._tag).toBe(tag)
  expect(error.device).toBe("tap7")
  expect(error.message).toStartWith("tap7: ")
  expect(error.message).toContain(said)
  expect(error.message).not.toContain("\n")
})

test("the sign of an errno does not matter", () => {
  expect(new SystemError("poll", -Errno.EINTR)).toMatchObject({ errno: 4, code: "EINTR", message: "poll: EINTR" })
})
