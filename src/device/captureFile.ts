import { closeSync, openSync, writeSync } from "node:fs"

/** Octets that are gathered before they are written. */
const GATHERED = 64 * 1024

/** A file that is written from its beginning to its end, in large pieces. */
export interface CaptureFile {
  readonly write: (bytes: Uint8Array) => void
  /** Why nothing is written any more: the disk is full, say. */
  readonly failure: Error | undefined
  readonly close: () => void
}

/** Empties the file first. Throws what open(2) says. */
export const openCaptureFile = (path: string): CaptureFile => {
  const fd = openSync(path, "w")
  const gathered = new Uint8Array(GATHERED)
  let length = 0
  let failure: Error | undefined

  const out = (bytes: Uint8Array): void => {
    try {
      for (let at = 0; at < bytes.length && failure === undefined; ) at += writeSync(fd, bytes, at, bytes.length - at)
    } catch (cause) {
      failure = cause instanceof Error ? cause : new Error(String(cause))
    }
  }

  const flush = (): void => {
    if (length > 0) out(gathered.subarray(0, length))
    length = 0
  }

  return {
    write: (bytes) => {
      if (failure !== undefined) return
      if (length + bytes.length > GATHERED) flush()
      if (bytes.length > GATHERED) return out(bytes)
      gathered.set(bytes, length)
      length += bytes.length
    },
    get failure() {
      return failure
    },
    close: () => {
      flush()
      closeSync(fd)
    },
  }
}
