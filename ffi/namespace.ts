import { existsSync, readFileSync } from "node:fs"
import { SystemError } from "./errno.ts"
import { bringUp } from "./interface.ts"
import { close } from "./libc.ts"
import { openTunFile, tunFileProblem } from "./tun.ts"

/**
 * A network namespace of one's own, without root where the kernel allows it.
 *
 * A process with threads cannot enter a user namespace (unshare(2): EINVAL), and Bun has threads before its
 * first line runs; forking one by a raw clone(2) leaves a JavaScript engine without its helper
 * threads. So a new program must be started inside, and `unshare` of util-linux (busybox has it
 * too), which every Linux system carries, does just that: it makes the namespaces, maps the
 * caller to root in them, and becomes the command. No further privilege is involved.
 */

/** linux/capability.h */
const CAP_SYS_ADMIN = 21

/** Whether this process may make a network namespace by itself, so that no user namespace is needed. */
const mayMakeNamespaces = (): boolean => {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "latin1"))?.[1] ?? "0"
  return ((BigInt(`0x${effective}`) >> BigInt(CAP_SYS_ADMIN)) & 1n) === 1n
}

/**
 * The argument vector that runs `argv` in a new network namespace: empty but for a `lo` that is down, gone with its
 * last process. Signals and the exit status are the command's own, as is everything else but the user
 * id, which without CAP_SYS_ADMIN reads 0 inside. /sys still shows the interfaces of the
 * namespace outside; /proc/net shows those inside.
 */
export const enterCommand = (argv: ReadonlyArray<string>): Array<string> => {
  const flags = mayMakeNamespaces() ? ["-n"] : ["-U", "-r", "-n"]
  return ["unshare", ...flags, "--", ...argv]
}

/** Inside, where a new namespace's `lo` is down: 127.0.0.1 and ::1 work from here on. Throws SystemError. */
export const bringUpLoopback = (): void => bringUp("lo")

/** Why `enterCommand` would not yield a namespace, in one line that names what forbids it, or undefined. */
export const whyNoNamespace = (): string | undefined => {
  if (Bun.which("unshare") === null) return "the command `unshare` (util-linux) is not on the PATH"
  if (!existsSync("/proc/self/ns/net")) return "this kernel has no network namespaces (CONFIG_NET_NS)"
  // Only an attempt knows: limits, security modules and seccomp filters all have a say.
  const attempt = Bun.spawnSync(enterCommand(["true"]), { stdout: "ignore", stderr: "pipe" })
  if (attempt.success) return undefined
  return forbiddingSysctl() ?? `unshare refused: ${attempt.stderr.toString().trim() || `exit ${attempt.exitCode}`}`
}

/** Settings that forbid user namespaces to an ordinary user: the sysctl, the value that forbids, the one that allows. */
const SYSCTLS = [
  ["user.max_user_namespaces", "0", "10000"],
  ["user.max_net_namespaces", "0", "10000"],
  ["kernel.unprivileged_userns_clone", "0", "1"],
  ["kernel.apparmor_restrict_unprivileged_userns", "1", "0"],
] as const

const forbiddingSysctl = (): string | undefined => {
  if (!existsSync("/proc/self/ns/user"))
    return "this kernel has no user namespaces (CONFIG_USER_NS), and this is not root"
  for (const [name, forbids, allows] of SYSCTLS) {
    const value = sysctl(name)
    if (value === forbids) return `${name} is ${value}: as root, sysctl -w ${name}=${allows}`
  }
  return undefined
}

const sysctl = (name: string): string | undefined => {
  try {
    return readFileSync(`/proc/sys/${name.replaceAll(".", "/")}`, "latin1").trim()
  } catch {
    // Not every kernel has every setting.
    return undefined
  }
}

/** Why this process cannot open /dev/net/tun, in one line, or undefined. A namespace changes nothing about that. */
export const whyNoTun = (): string | undefined => {
  try {
    close(openTunFile())
    return undefined
  } catch (cause) {
    return cause instanceof SystemError ? tunFileProblem(cause.code) : String(cause)
  }
}

/** Why a stack on a TAP in a namespace of its own (`bun run lab`, the kernel tests) cannot be had, in one line, or undefined. */
export const whyForbidden = (): string | undefined => whyNoTun() ?? whyNoNamespace()
