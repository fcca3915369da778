import { describe, expect, test } from "bun:test"
import { B, Pair } from "./lab.ts"

/** A connection from a to b, and its two ends. */
const connected = (receiveBuffer = 0) => {
  const pair = new Pair()
  const listener = pair.b.listen(7, { receiveBuffer })
  const socket = pair.a.connect(B, 7)
  pair.settle()
  return { pair, socket, accepted: pair.b.accept(listener) }
}

const octets = (text: string) => new TextEncoder().encode(text)

describe("urgent data (RFC 9293 section 3.8.5)", () => {
  test("ESTABLISHED, SEND with the urgent flag: the peer hears of it, and reads it in its turn", () => {
    const { pair, socket, accepted } = connected()
    pair.a.write(socket, "calm ")
    expect(pair.a.host.write(socket, octets("urgent"), pair.now, true)).toBe(6)
    pair.settle()
    expect(pair.b.heard(accepted)).toContain("urgent")
    expect(pair.b.read(accepted)).toBe("calm urgent")
  })

  test("ESTABLISHED, SEND without the flag: nobody hears of anything urgent", () => {
    const { pair, socket, accepted } = connected()
    pair.a.write(socket, "calm")
    pair.settle()
    expect(pair.b.heard(accepted)).not.toContain("urgent")
  })

  test("ESTABLISHED, SEND with the urgent flag beyond a closed window: nothing is lost", () => {
    const { pair, socket, accepted } = connected(2000)
    pair.a.write(socket, new Uint8Array(2000))
    pair.settle()
    pair.a.host.write(socket, octets("!"), pair.now, true)
    pair.wait(5_000_000)
    let arrived = ""
    for (let second = 0; second < 10; second++) {
      arrived += pair.b.read(accepted)
      pair.wait(1_000_000)
    }
    expect(pair.b.heard(accepted)).toContain("urgent")
    expect(arrived).toBe(`${"\0".repeat(2000)}!`)
  })
})
