import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import type { SocketId } from "../../src/host/types.ts"
import { ACK, FIN, RST } from "../../src/wire/tcpSegment.ts"
import { OFFER, octets, Peer, peerAddress, Scene, SECOND } from "./scene.ts"

/** What may happen to a listener, in any order. */
type Act =
  | { readonly act: "syn" | "again" | "third" | "wrong" | "reset" | "text" | "fin" | "fast"; readonly peer: number }
  | { readonly act: "accept" | "close" | "backlog" }
  | { readonly act: "wait"; readonly millis: number }

const PEERS = 6

const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 12, arbitrary: fc.record({ act: fc.constantFrom("syn", "third"), peer: fc.nat(PEERS - 1) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      act: fc.constantFrom("again", "wrong", "reset", "text", "fin", "fast"),
      peer: fc.nat(PEERS - 1),
    }),
  },
  { weight: 4, arbitrary: fc.record({ act: fc.constantFrom("accept", "close", "backlog") }) },
  { weight: 3, arbitrary: fc.record({ act: fc.constant("wait"), millis: fc.nat(20_000) }) },
)

class Story {
  readonly scene: Scene
  readonly listener: SocketId
  private peers: ReadonlyArray<Peer>
  private readonly accepted: Array<SocketId> = []
  private port = 40_000

  constructor(cookies: 0 | 1 | 2, backlog: number, abort: boolean) {
    const settings = { tcpSyncookies: cookies, tcpAbortOnOverflow: abort, tcpFastopen: 0x202, tcpMaxSynBacklog: 16 }
    this.scene = new Scene({ settings })
    this.listener = this.scene.listen({ backlog, fastOpen: 2 })
    this.peers = Array.from({ length: PEERS }, (_, n) => this.fresh(n))
  }

  happen(what: Act): void {
    const { scene } = this
    switch (what.act) {
      case "accept": {
        const socket = scene.host.accept(this.listener)
        if (socket !== undefined) this.accepted.push(socket)
        break
      }
      case "close": {
        const socket = this.accepted.shift()
        if (socket !== undefined) scene.host.close(socket, scene.now)
        break
      }
      case "backlog":
        scene.host.startListening(this.listener, 2)
        break
      case "wait":
        scene.wait(what.millis * 1000)
        break
      default:
        this.tell(what.act, what.peer)
    }
    scene.settle()
    scene.took()
  }

  /** What the listener has counted is what there is. */
  check(): void {
    const { scene } = this
    const { requests, young, waiting } = scene.queues(this.listener)
    const half = scene.host.sockets().filter(({ tcb }) => tcb._tag === "SYN-RECEIVED" && tcb.open === "passive").length
    const fast = scene.host.sockets().filter(({ tcb }) => tcb._tag === "SYN-RECEIVED" && tcb.open === "fast").length
    const { tcb, recvQ } = scene.status(this.listener)
    expect({ requests, waiting, fast: tcb._tag === "LISTEN" ? tcb.fastOpens : -1 }).toEqual({
      requests: half,
      waiting: recvQ,
      fast,
    })
    expect(young).toBeGreaterThanOrEqual(0)
    expect(young).toBeLessThanOrEqual(requests)
  }

  /** Everything is given up, and time passes: nothing may remain. */
  end(): void {
    const { scene } = this
    scene.host.close(this.listener, scene.now)
    for (const socket of this.accepted) scene.host.abort(socket, scene.now)
    scene.wait(1000 * SECOND)
    expect(scene.states()).toEqual([])
    expect(scene.host.sockets()).toEqual([])
    // Its port is free for one who shares with nobody.
    scene.host.close(scene.listen(), scene.now)
  }

  private tell(what: Exclude<Act, { act: "accept" | "close" | "backlog" | "wait" }>["act"], n: number): void {
    const peer = this.peers[n]
    if (peer === undefined) return
    switch (what) {
      case "syn":
        this.peers = this.peers.with(n, this.fresh(n))
        this.peers[n]?.syn()
        return
      case "fast":
        this.peers = this.peers.with(n, this.fresh(n))
        this.peers[n]?.syn({ payload: octets("fast"), options: OFFER })
        return
      case "again":
        peer.syn()
        return
      case "third":
        peer.third()
        return
      case "wrong":
        peer.send({ ack: peer.ack + 77 })
        return
      case "reset":
        peer.send({ flags: RST })
        return
      case "text":
        peer.text("text")
        return
      case "fin":
        peer.send({ flags: FIN | ACK })
        return
    }
  }

  private fresh(n: number): Peer {
    return new Peer(this.scene, { address: peerAddress(n), port: this.port++ })
  }
}

describe("whatever comes in whatever order", () => {
  test("a listener's counts are those of its blocks, and nothing is left of it in the end", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(0 as const, 1 as const, 2 as const),
        fc.integer({ min: 0, max: 4 }),
        fc.boolean(),
        fc.array(act, { minLength: 1, maxLength: 60 }),
        (cookies, backlog, abort, acts) => {
          const story = new Story(cookies, backlog, abort)
          for (const one of acts) {
            story.happen(one)
            story.check()
          }
          story.end()
        },
      ),
      { seed: 1, numRuns: 1000 },
    )
  }, 30_000)
})
