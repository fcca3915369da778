import { readFileSync, writeFileSync } from "node:fs"
import { close, syscall } from "./libc.ts"
import { cString } from "./memory.ts"

// linux/mount.h; the same numbers on all machines (Linux 5.2).
const SYS_fsopen = 430
const SYS_fsconfig = 431
const SYS_fsmount = 432
const FSOPEN_CLOEXEC = 1
const FSMOUNT_CLOEXEC = 1
const FSCONFIG_CMD_CREATE = 6

/**
 * A sysfs that shows the calling thread's network namespace, mounted at no path: /sys shows the namespace that it
 * was mounted in, which is another's after unshare(2). Returns a descriptor, or a negated errno: EPERM without
 * CAP_SYS_ADMIN, ENOSYS before Linux 5.2.
 */
const openSysfs = (): number => {
  const context = syscall(SYS_fsopen, cString("sysfs").address, FSOPEN_CLOEXEC)
  if (context < 0) return context
  try {
    const created = syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE)
    return created < 0 ? created : syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC)
  } finally {
    close(context)
  }
}

/**
 * Runs `use` with the path under which sysfs shows the interface `name` of this network namespace, whose index is
 * `index`. Undefined: there is no such path for us.
 */
export const withInterfaceFiles = <A>(name: string, index: number, use: (path: string) => A): A | undefined => {
  const sysfs = openSysfs()
  try {
    const root = sysfs < 0 ? "/sys" : `/proc/self/fd/${sysfs}`
    const path = `${root}/class/net/${name}`
    return isInterface(path, index) ? use(path) : undefined
  } finally {
    if (sysfs >= 0) close(sysfs)
  }
}

/** Another namespace may have an interface of the same name; of the same index as well, hardly. */
const isInterface = (path: string, index: number): boolean => {
  try {
    return Number(readFileSync(`${path}/ifindex`, "latin1")) === index
  } catch {
    return false
  }
}

/** Sets an attribute to a number, unless it is that already; false: refused, or there is none of this name. */
export const setAttribute = (path: string, value: number): boolean => {
  try {
    if (Number(readFileSync(path, "latin1")) !== value) writeFileSync(path, String(value))
    return true
  } catch {
    return false
  }
}
