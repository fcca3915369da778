import { existsSync, lstatSync, mkdirSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** Who we are and where our files go, as the system says it. */
export interface Surroundings {
  readonly uid: number
  readonly env: Readonly<Record<string, string | undefined>>
  readonly temporary: string
  /** Where systemd keeps users' runtime directories. */
  readonly runUser: string
}

export const surroundings = (): Surroundings => ({
  uid: process.geteuid?.() ?? 0,
  env: process.env,
  temporary: tmpdir(),
  runUser: "/run/user",
})

const NAME = "netfold"
/** pid, and a number where another process with that pid (of another namespace) has taken the name. */
const SOCKET = /^([0-9]+)(-[0-9]+)?\.sock$/
const OTHERS = 0o077

/**
 * Where control sockets may be, best first: NETFOLD_RUNTIME_DIR and nowhere else where it is set; the user's runtime directory (XDG Base Directory
 * Specification), systemd's without the variable, and a directory of our own under the temporary one.
 */
export const candidates = ({ uid, env, temporary, runUser }: Surroundings): ReadonlyArray<string> => {
  const own = env["NETFOLD_RUNTIME_DIR"]
  if (own?.startsWith("/")) return [own]
  const runtime = env["XDG_RUNTIME_DIR"]
  const bases = [...(runtime?.startsWith("/") ? [runtime] : []), join(runUser, String(uid))]
  return [...new Set(bases.map((base) => join(base, NAME))), join(temporary, `${NAME}-${uid}`)]
}

/** The first candidate that can be made, or is there, ours and nobody else's; else why none is. */
export const prepare = (around: Surroundings): { readonly path: string } | { readonly problem: string } => {
  const problems: Array<string> = []
  for (const path of candidates(around)) {
    const problem = make(path) ?? problemOf(path, around.uid)
    if (problem === undefined) return { path }
    problems.push(problem)
  }
  return { problem: problems.join("; ") }
}

const make = (path: string): string | undefined => {
  if (existsSync(path)) return undefined
  try {
    mkdirSync(path, { mode: 0o700 })
    return undefined
  } catch (cause) {
    return `${path} cannot be made (${codeOf(cause)})`
  }
}

/** Why what is in this directory cannot be trusted, or undefined. A symbolic link is not followed: anybody can make one in /tmp. */
export const problemOf = (path: string, uid: number): string | undefined => {
  try {
    const stat = lstatSync(path)
    if (!stat.isDirectory()) return `${path} is no directory`
    if (stat.uid !== uid) return `${path} belongs to user ${stat.uid}, not ${uid}`
    return (stat.mode & OTHERS) === 0 ? undefined : `${path} is open to others: chmod 700 ${path}`
  } catch (cause) {
    return `${path} cannot be read (${codeOf(cause)})`
  }
}

export interface ControlFile {
  readonly path: string
  /** Of the process that made it. */
  readonly pid: number
}

/** The control sockets in the directories that are ours. */
export const files = (around: Surroundings): ReadonlyArray<ControlFile> =>
  candidates(around)
    .filter((path) => existsSync(path) && problemOf(path, around.uid) === undefined)
    .flatMap((directory) =>
      readdirSync(directory).flatMap((name) => {
        const [, pid] = SOCKET.exec(name) ?? []
        return pid === undefined ? [] : [{ path: join(directory, name), pid: Number(pid) }]
      }),
    )

/** A control socket, and what `nstat` has left beside it. */
export const removeTraces = (path: string): void => {
  for (const file of [path, path.replace(/\.sock$/, ".nstat")]) rmSync(file, { force: true })
}

/** No process has this pid. One of another user's still is one. */
export const isDead = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return false
  } catch (cause) {
    return codeOf(cause) === "ESRCH"
  }
}

/** POSIX errno name of what a system call threw. */
export const codeOf = (cause: unknown): string =>
  cause instanceof Error && "code" in cause ? String(cause.code) : String(cause)
