import { describe, expect, test } from "bun:test"
import type { SocketId } from "../../src/host/types.ts"
import { ACK } from "../../src/wire/tcpSegment.ts"
import { HOST, octets, Peer, PORT, peerAddress, Scene, sent } from "./scene.ts"

/** gVisor's discipline: a listener handles 100 segments in a turn, 1000 more may wait. */
const TURN = 100
const INBOX = 1000

/** Puts SYNs of so many peers before the host. */
const flood = (scene: Scene, count: number, port = PORT): void => {
  for (let n = 0; n < count; n++) {
    const address = peerAddress(n)
    scene.put(new Peer(scene, { address, port: 1024 + n, to: { address: HOST, port } }).synPacket())
  }
}

const established = (scene: Scene, port = 8080): { readonly peer: Peer; readonly socket: SocketId } => {
  const listener = scene.listen({ port })
  const peer = new Peer(scene, { to: { address: HOST, port } }).connect()
  return { peer, socket: scene.accept(listener) }
}

describe("a listener's turn", () => {
  test("is 100 segments; the next 100 follow at the end of the batch", () => {
    const scene = new Scene()
    scene.listen({ backlog: 4096 })
    flood(scene, 350)
    const first = sent(scene.turn()).length
    expect(first).toBe(2 * TURN)
    // More is wanted at once: no timer is waited for.
    expect(scene.host.nextDeadline()).toBeLessThanOrEqual(scene.now)
    expect(sent(scene.turn()).length).toBe(TURN)
    expect(sent(scene.turn()).length).toBe(50)
    expect(scene.turn()).toEqual([])
  })

  test("does not delay segments of connections that come behind the flood in the same batch", () => {
    const scene = new Scene()
    scene.listen({ backlog: 4096 })
    const { peer, socket } = established(scene)
    flood(scene, 900)
    scene.put(peer.after({ payload: octets("urgent") }))
    expect(scene.read(socket)).toBe("urgent")
    const answers = sent(scene.turn())
    expect(answers).toContain("<ACK>")
    expect(answers.filter((answer) => answer === "<SYN,ACK>").length).toBeLessThanOrEqual(2 * TURN)
  })

  test("does not delay another listener", () => {
    const scene = new Scene()
    scene.listen({ backlog: 4096 })
    const quiet = scene.listen({ port: 81 })
    flood(scene, 900)
    const peer = new Peer(scene, { address: peerAddress(5), to: { address: HOST, port: 81 } })
    scene.put(peer.synPacket())
    scene.turn()
    peer.listenFor()
    expect(peer.synAck).toBeDefined()
    peer.third()
    expect(scene.queues(quiet).waiting).toBe(1)
  })

  test("does not delay third segments of requests that are known", () => {
    const scene = new Scene()
    const listener = scene.listen({ backlog: 4096 })
    const peer = new Peer(scene, { address: peerAddress(3000) })
    peer.syn()
    flood(scene, 900)
    scene.put(peer.after({ flags: ACK }))
    expect(scene.queues(listener).waiting).toBe(1)
  })

  test("1000 segments wait at most; what comes beyond is dropped and counted", () => {
    const scene = new Scene()
    scene.listen({ backlog: 4096 })
    flood(scene, TURN + INBOX + 50)
    expect(scene.counted()).toMatchObject({ ListenDrops: 50 })
    scene.settle()
    expect(scene.dropped()).toEqual(Array(50).fill("gVisor:listener-inbox-full"))
    expect(sent(scene.turn())).toEqual([])
    expect(scene.states()).toHaveLength(TURN + INBOX)
  })

  test("keeps the order in which segments came", () => {
    const scene = new Scene()
    scene.listen({ backlog: 4096 })
    flood(scene, 350)
    scene.settle()
    expect(scene.took().map(({ to }) => to.port)).toEqual(Array.from({ length: 350 }, (_, n) => 1024 + n))
  })

  test("a listener that closes forgets what waits for it", () => {
    const scene = new Scene()
    const listener = scene.listen({ backlog: 4096 })
    flood(scene, 350)
    scene.host.close(listener, scene.now)
    scene.settle()
    expect(scene.states()).toEqual([])
  })

  test("text of a segment that had to wait is intact though its memory is used again", () => {
    const scene = new Scene({ settings: { tcpSyncookies: 2 } })
    const listener = scene.listen({ backlog: 4096 })
    const peer = new Peer(scene, { address: peerAddress(3000) })
    peer.syn()
    flood(scene, 300)
    scene.put(peer.after({ payload: octets("intact") }))
    scene.settle()
    expect(scene.read(scene.accept(listener))).toBe("intact")
  })

  test("a flood of a thousand batches: an established connection is answered in every one", () => {
    const scene = new Scene()
    scene.listen({ backlog: 4096 })
    const { peer, socket } = established(scene)
    for (let batch = 0; batch < 100; batch++) {
      flood(scene, 256)
      scene.put(peer.after({ payload: octets("ping") }))
      peer.seq += 4
      expect(scene.read(socket)).toBe("ping")
      scene.host.write(socket, octets("pong"), scene.now)
      const answers = sent(scene.turn())
      expect(answers).toContain("<ACK>+4")
      for (const { segment } of scene.took()) if (segment.payload.length > 0) peer.ack += 4
      scene.now += 100
    }
  })
})
