/** The C shim beside this file as a shared library, compiled when it is first needed and kept by its contents. */
import { dlopen } from "bun:ffi"
import { existsSync, mkdirSync, readFileSync, renameSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { cString } from "../../../ffi/memory.ts"

const SOURCE = join(import.meta.dir, "netmap.c")

export interface Shim {
  readonly path: string
  /** Where ports live from here on: two universes do not see each other. */
  readonly directory: (path: string) => void
  /** The version of netmap's interface that the library claims to be built for. */
  readonly version: (version: number) => void
  /** Whether there is a kernel module. */
  readonly module: (loaded: boolean) => void
}

/** The system's C compiler, or undefined. */
export const compiler = (): string | undefined => Bun.which("cc") ?? Bun.which("gcc") ?? Bun.which("clang") ?? undefined

/** Path of the compiled library. Throws what the compiler has to say. */
export const shimLibrary = (cc: string): string => {
  const name = `netfold-shim-${Bun.hash(readFileSync(SOURCE)).toString(16)}-${process.getuid?.() ?? 0}`
  const directory = join(tmpdir(), name)
  const library = join(directory, "libnetmap.so")
  if (existsSync(library)) return library
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const own = `${library}.${process.pid}`
  const { success, stderr } = Bun.spawnSync([cc, "-O2", "-shared", "-fPIC", "-pthread", "-o", own, SOURCE])
  if (!success) throw new Error(`${cc}: ${stderr}`)
  // Whole or not at all, whoever else is building it.
  renameSync(own, library)
  return library
}

export const openShim = (path: string): Shim => {
  const { symbols } = dlopen(path, {
    netfold_shim_directory: { args: ["ptr"], returns: "void" },
    netfold_shim_version: { args: ["i32"], returns: "void" },
    netfold_shim_module: { args: ["i32"], returns: "void" },
  })
  return {
    path,
    directory: (directory) => symbols.netfold_shim_directory(cString(directory).address),
    version: (version) => symbols.netfold_shim_version(version),
    module: (loaded) => symbols.netfold_shim_module(loaded ? 1 : 0),
  }
}
