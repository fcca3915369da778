/** Payloads of so many octets and more are lent to their reader, where they can be: fewer are as soon copied. */
export const LENT = 2048

/** Octets that were delivered and not yet read: copies, small ones gathered, so that single octets stay cheap. */
export class ReceiveQueue {
  private chunks: Array<Uint8Array> = NONE
  private head = 0
  /** The last chunk's whole memory, where there is room behind it. */
  private spare: Uint8Array | undefined = undefined
  /** Memory that is not ours: chunks that lie in it are copied before its owner uses it again. */
  private lender: ArrayBufferLike | undefined = undefined
  /** Its reader has asked for a loan, and will again. */
  borrows = false
  length = 0

  /** Copies `bytes`. */
  push(bytes: Uint8Array): void {
    this.length += bytes.length
    if (bytes.length < SMALL && this.head < this.chunks.length) this.gather(bytes)
    else {
      this.spare = undefined
      this.append(bytes.slice())
    }
  }

  /** Keeps `bytes`, which nobody else may change any more. */
  take(bytes: Uint8Array): void {
    if (bytes.length < SMALL && this.head < this.chunks.length) return this.push(bytes)
    this.length += bytes.length
    this.spare = undefined
    this.append(bytes)
  }

  /** Keeps `bytes` uncopied until `own`, which is due once if the result is true. Only one memory's at a time. */
  lend(bytes: Uint8Array): boolean {
    const { lender } = this
    if (lender !== undefined && lender !== bytes.buffer) {
      this.push(bytes)
      return false
    }
    this.lender = bytes.buffer
    this.take(bytes)
    return lender === undefined
  }

  /** Copies what was lent and not read. */
  own(): void {
    const { lender, chunks } = this
    if (lender === undefined) return
    this.lender = undefined
    for (let index = this.head; index < chunks.length; index++) {
      const chunk = chunks[index]
      if (chunk?.buffer === lender) chunks[index] = chunk.slice()
    }
  }

  /** The next octets, at most `max` of them, for the caller to keep; undefined when there are none. */
  shift(max: number): Uint8Array | undefined {
    const chunk = this.next(max)
    return chunk !== undefined && this.lender !== undefined && chunk.buffer === this.lender ? chunk.slice() : chunk
  }

  /** The same, but what was lent is not copied: it is there until `own`. */
  borrow(max: number): Uint8Array | undefined {
    this.borrows = true
    return this.next(max)
  }

  private next(max: number): Uint8Array | undefined {
    const chunk = this.chunks[this.head]
    if (chunk === undefined || max <= 0) return undefined
    if (chunk.length > max) {
      this.chunks[this.head] = chunk.subarray(max)
      this.length -= max
      return chunk.subarray(0, max)
    }
    this.length -= chunk.length
    this.head++
    if (this.head === this.chunks.length) {
      if (this.head === 1) this.chunks.pop()
      else this.chunks = NONE
      this.head = 0
      this.spare = undefined
    } else if (this.head > 32 && this.head * 2 > this.chunks.length) {
      this.chunks = this.chunks.slice(this.head)
      this.head = 0
    }
    return chunk
  }

  /** The octets that `shift` would give next, copied and left; across chunks, unlike `shift`. */
  peek(max: number): Uint8Array | undefined {
    if (this.length === 0 || max <= 0) return undefined
    const out = new Uint8Array(Math.min(max, this.length))
    let at = 0
    for (let index = this.head; at < out.length; index++) {
      const chunk = this.chunks[index]
      if (chunk === undefined) break
      const part = chunk.length > out.length - at ? chunk.subarray(0, out.length - at) : chunk
      out.set(part, at)
      at += part.length
    }
    return out
  }

  clear(): void {
    this.chunks = NONE
    this.head = 0
    this.spare = undefined
    this.lender = undefined
    this.length = 0
  }

  private append(chunk: Uint8Array): void {
    if (this.chunks === NONE) this.chunks = [chunk]
    else this.chunks.push(chunk)
  }

  private gather(bytes: Uint8Array): void {
    const index = this.chunks.length - 1
    const last = this.chunks[index]
    if (last === undefined) return
    const { spare } = this
    if (spare !== undefined) {
      const used = last.byteOffset - spare.byteOffset + last.length
      if (used + bytes.length <= spare.length) {
        spare.set(bytes, used)
        this.chunks[index] = spare.subarray(used - last.length, used + bytes.length)
        return
      }
    }
    const gathered = new Uint8Array(GATHER)
    gathered.set(bytes, 0)
    this.spare = gathered
    this.chunks.push(gathered.subarray(0, bytes.length))
  }
}

/** Of all queues that have never held anything. */
const NONE: Array<never> = []

/** Chunks below this are gathered. */
const SMALL = 512
/** Memory that gathers them. */
const GATHER = 4096
