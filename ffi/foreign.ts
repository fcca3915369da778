import type * as BunFfi from "bun:ffi"

/**
 * Foreign functions as bun:ffi has them, of whichever engine runs this: on Deno a thin translation
 * (foreignDeno.ts). Everything else in this folder imports from here.
 */
const load = async (): Promise<Pick<typeof BunFfi, "dlopen" | "FFIType" | "ptr" | "read" | "toArrayBuffer">> => {
  if ("Bun" in globalThis) return import("bun:ffi")
  if ("Deno" in globalThis) return (await import("./foreignDeno.ts")).foreign
  throw new Error("netfold's devices need Bun or Deno: no other engine's foreign functions are known here")
}

export type { Pointer } from "bun:ffi"
export const { dlopen, FFIType, ptr, read, toArrayBuffer } = await load()
