import { describe, expect, test } from "bun:test"
import { fastOpenCookie, parseFastOpenKey } from "../../src/tcp/fastOpenKey.ts"
import { sipHash } from "../../src/tcp/sipHash.ts"
import { parseAddress } from "../../src/wire/addressText.ts"

const counting = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => i)

describe("SipHash-2-4", () => {
  // The first is of the paper's appendix A, the others of the vectors that come with its reference code.
  test.each([
    [15, "e545be4961ca29a1"],
    [0, "310e0edd47db6f72"],
    [1, "fd67dc93c539f874"],
    [8, "6224939a79f5f593"],
    [63, "724506eb4c328a95"],
  ])("%d octets", (length, digest) => {
    expect(sipHash(counting(16), counting(length)).toHex()).toBe(digest)
  })
})

describe("a Fast Open key", () => {
  test.each([
    ["a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4", "a1a1a1a1b2b2b2b2c3c3c3c3d4d4d4d4"],
    ["1-2-3-04030201", "01000000020000000300000001020304"],
    ["0-0-0-0,1-0-0-0", `${"00".repeat(16)}01${"00".repeat(15)}`],
    ["", undefined],
    ["a1a1a1a1-b2b2b2b2-c3c3c3c3", undefined],
    ["g-0-0-0", undefined],
    ["0-0-0-0,", undefined],
    ["100000000-0-0-0", undefined],
  ])("%p", (text, octets) => {
    expect(parseFastOpenKey(text)?.toHex()).toBe(octets)
  })

  // What Linux answers between these addresses under these keys, as its own packetdrill tests say.
  test.each([
    ["a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4", "192.168.0.1", "192.0.2.1", "3021b9d889017eeb"],
    ["0-0-0-0", "192.168.0.1", "192.0.2.1", "b7c12350a90dc8f5"],
    ["a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4", "fd3d:a0b:17d6::1", "fd3d:fa7b:d17d::1", "c1d1e9742a47a9bc"],
    ["0-0-0-0", "fd3d:a0b:17d6::1", "fd3d:fa7b:d17d::1", "82af1a8f9a205c34"],
  ])("%s between %s and %s: Linux's cookie", (text, server, client, cookie) => {
    const [key, local, remote] = [parseFastOpenKey(text), parseAddress(server), parseAddress(client)]
    if (key === undefined || local === undefined || remote === undefined) throw new Error("not parsed")
    expect(fastOpenCookie(key, local, remote).toHex()).toBe(cookie)
  })
})
