import { describe, expect, test } from "bun:test"
import { makeKeys } from "../../src/host/keyedHash.ts"
import type { Step } from "../../src/tcp/effect.ts"
import type { Keys } from "../../src/tcp/keys.ts"
import * as listen from "../../src/tcp/listen.ts"
import { passiveOpen } from "../../src/tcp/open.ts"
import { defaultSettings, type TcpSettings } from "../../src/tcp/settings.ts"
import { defaultSocketOptions, type Listen, type Synchronized } from "../../src/tcp/tcb.ts"
import { type Micros, OFF } from "../../src/tcp/time.ts"
import type { Endpoint } from "../../src/wire/address.ts"
import {
  ACK,
  CWR,
  ECE,
  EMPTY,
  FIN,
  NO_OPTIONS,
  PSH,
  type Segment,
  SYN,
  type TcpOptions,
} from "../../src/wire/tcpSegment.ts"
import { HOST, HOST2, MINUTE, OFFER, octets, Peer, PORT, peerAddress, Scene, SECOND } from "./scene.ts"

const LOCAL: Endpoint = { address: HOST, port: PORT }
const REMOTE: Endpoint = { address: peerAddress(1), port: 40_000 }

/** A listener that answers with cookies only, and its calls of the keyed hash. */
class Baker {
  readonly calls = { cookie: 0, iss: 0, timestampOffset: 0, fastOpenCookie: 0 }
  tcb: Listen

  constructor(settings: Partial<TcpSettings> = {}, secret = 1) {
    const keys = makeKeys(new Uint8Array(32).fill(secret))
    const counting: Keys = {
      cookie: (local, remote, count) => {
        this.calls.cookie++
        return keys.cookie(local, remote, count)
      },
      iss: (local, remote, now) => {
        this.calls.iss++
        return keys.iss(local, remote, now)
      },
      timestampOffset: (local, remote) => {
        this.calls.timestampOffset++
        return keys.timestampOffset(local, remote)
      },
      fastOpenCookie: (local, remote) => {
        this.calls.fastOpenCookie++
        return keys.fastOpenCookie(local, remote)
      },
    }
    const context = { settings: { ...defaultSettings, tcpSyncookies: 2 as const, ...settings }, keys: counting }
    this.tcb = passiveOpen(context, defaultSocketOptions, { mss: 1460, burst: 0 }, 8)
  }

  hear(segment: Partial<Segment> & { readonly flags: number }, now: Micros, remote = REMOTE, local = LOCAL): Step {
    const seg: Segment = { seq: 0, ack: 0, wnd: 65_535, up: 0, options: NO_OPTIONS, payload: EMPTY, ...segment }
    const step = listen.segmentArrives(this.tcb, seg, local, remote, false, now)
    this.tcb = step.tcb
    return step
  }

  /** The cookie SYN-ACK that a SYN gets. */
  bake(now: Micros, options: Partial<TcpOptions> = {}, seq = 5000, remote = REMOTE, flags = SYN) {
    const step = this.hear({ flags, seq, options: { ...NO_OPTIONS, ...options } }, now, remote)
    const [answer] = step.effects.filter((effect) => effect._tag === "Transmit")
    if (answer === undefined) throw new Error("no SYN-ACK")
    return answer
  }
}

const whys = ({ effects }: Step): ReadonlyArray<string> =>
  effects.flatMap((effect) => (effect._tag === "Count" ? [effect.counter] : "why" in effect ? [effect.why] : []))

const spawned = ({ effects }: Step): Synchronized | undefined => {
  const spawn = effects.find((effect) => effect._tag === "Spawn")
  return spawn?._tag === "Spawn" && "snd" in spawn.tcb ? spawn.tcb : undefined
}

describe("what a cookie keeps", () => {
  const NOTHING = { scaling: false, sndScale: 0, sack: false, timestamps: false }
  const rows: ReadonlyArray<
    readonly [what: string, offer: Partial<TcpOptions>, agreed: Partial<Synchronized["link"]["agreed"]>]
  > = [
    ["no option", {}, { ...NOTHING, peerMss: 536 }],
    ["MSS 1460", { mss: 1460 }, { ...NOTHING, peerMss: 1460 }],
    ["MSS 1459", { mss: 1459 }, { ...NOTHING, peerMss: 1440 }],
    ["MSS 1440", { mss: 1440 }, { ...NOTHING, peerMss: 1440 }],
    ["MSS 1300", { mss: 1300 }, { ...NOTHING, peerMss: 1300 }],
    ["MSS 1299", { mss: 1299 }, { ...NOTHING, peerMss: 536 }],
    ["MSS 9000", { mss: 9000 }, { ...NOTHING, peerMss: 1460 }],
    [
      "window scale and SACK without timestamps",
      { mss: 1460, windowScale: 7, sackPermitted: true },
      { ...NOTHING, peerMss: 1460 },
    ],
    ["timestamps", { mss: 1460, tsVal: 1, tsEcr: 0 }, { ...NOTHING, timestamps: true, peerMss: 1460 }],
    [
      "timestamps and SACK",
      { mss: 1460, tsVal: 1, tsEcr: 0, sackPermitted: true },
      { ...NOTHING, timestamps: true, sack: true, peerMss: 1460 },
    ],
    ...[0, 7, 14].map(
      (windowScale) =>
        [
          `timestamps, SACK and window scale ${windowScale}`,
          { ...OFFER, windowScale },
          { timestamps: true, sack: true, scaling: true, sndScale: windowScale, rcvScale: 10, peerMss: 1460 },
        ] as const,
    ),
    [
      "timestamps and window scale",
      { mss: 1460, tsVal: 1, tsEcr: 0, windowScale: 3 },
      { timestamps: true, sack: false, scaling: true, sndScale: 3, peerMss: 1460 },
    ],
  ]
  for (const now of [0, 63_000, SECOND, 59 * SECOND, 4_000_000_000 * 1000])
    test.each(rows)(`%s, at ${now} us`, (_, offer, agreed) => {
      const baker = new Baker()
      const synAck = baker.bake(now, offer)
      const options = { ...NO_OPTIONS, tsVal: offer.tsVal, tsEcr: synAck.options.tsVal }
      const step = baker.hear({ flags: ACK, seq: 5001, ack: synAck.seq + 1, options, wnd: 1000 }, now + SECOND)
      const tcb = spawned(step)
      expect(tcb?._tag).toBe("ESTABLISHED")
      expect(tcb?.link.agreed).toMatchObject(agreed)
      expect(tcb?.snd.wnd).toBe(1000 * 2 ** (agreed.sndScale ?? 0))
      expect([tcb?.snd.una, tcb?.rcv.nxt]).toEqual([(synAck.seq + 1) >>> 0, 5001])
      expect(whys(step)).toEqual(["SyncookiesRecv", "RFC4987-3.6:cookie"])
    })

  test.each([
    ["with timestamps", { mss: 1460, tsVal: 1, tsEcr: 0 }, true],
    ["without, where no bit of a clock can hold it", { mss: 1460 }, false],
  ] as const)("ECN that a SYN asks for, %s", (_, offer, kept) => {
    const baker = new Baker()
    const synAck = baker.bake(SECOND, offer, 5000, REMOTE, SYN | ECE | CWR)
    expect((synAck.flags & ECE) !== 0).toBe(kept)
    const options = { ...NO_OPTIONS, tsVal: "tsVal" in offer ? 1 : undefined, tsEcr: synAck.options.tsVal }
    const step = baker.hear({ flags: ACK, seq: 5001, ack: synAck.seq + 1, options }, 2 * SECOND)
    expect(spawned(step)?.link.agreed.ecn).toBe(kept)
  })

  test("what is offered back is what will be kept", () => {
    const baker = new Baker()
    const { options } = baker.bake(SECOND, { mss: 1460, windowScale: 7, sackPermitted: true })
    expect([options.windowScale, options.sackPermitted, options.tsVal]).toEqual([undefined, false, undefined])
    const all = baker.bake(SECOND, OFFER).options
    expect([all.windowScale, all.sackPermitted, all.tsEcr]).toEqual([10, true, 1000])
  })

  test("its timestamp is at most 64 ticks behind the clock, and never ahead of it", () => {
    const baker = new Baker()
    const offset = makeKeys(new Uint8Array(32).fill(1)).timestampOffset(LOCAL, REMOTE)
    for (let ticks = 1000; ticks < 1200; ticks++) {
      const behind = (ticks + offset - (baker.bake(ticks * 1000, OFFER).options.tsVal ?? 0)) >>> 0
      expect(behind).toBeLessThan(64)
    }
  })

  test("text and FIN of the third segment arrive", () => {
    const scene = new Scene({ settings: { tcpSyncookies: 2 } })
    const listener = scene.listen()
    const peer = new Peer(scene)
    peer.syn()
    peer.send({ flags: ACK | PSH | FIN, payload: octets("all at once") })
    const socket = scene.accept(listener)
    expect(scene.read(socket)).toBe("all at once")
    expect(scene.read(socket)).toBe("(end)")
    expect(scene.status(socket).state).toBe("CLOSE-WAIT")
  })

  test("a handshake by cookie is not measured", () => {
    const scene = new Scene({ settings: { tcpSyncookies: 2 } })
    const listener = scene.listen()
    const peer = new Peer(scene)
    peer.syn()
    scene.now += 5 * SECOND
    peer.third()
    const { tcb } = scene.status(scene.accept(listener))
    expect("rto" in tcb ? [tcb.rto.srtt, tcb.rto.rto] : undefined).toEqual([0, SECOND])
  })
})

describe("cookies of listeners that share a port (SO_REUSEPORT)", () => {
  const shared = { reusePort: true, backlog: 8 }

  test("return to whichever has the flow by then, one that has come since among them", () => {
    const scene = new Scene({ settings: { tcpSyncookies: 2 } })
    const first = scene.listen(shared)
    const peers = Array.from({ length: 6 }, (_, n) => new Peer(scene, { address: peerAddress(n) }))
    for (const peer of peers) peer.syn()
    const second = scene.listen(shared)
    for (const peer of peers) expect(peer.third()).toEqual([])
    const shares = [first, second].map((listener) => scene.queues(listener).waiting)
    expect(shares[0]).toBeGreaterThan(0)
    expect(shares[1]).toBeGreaterThan(0)
    expect(scene.counted()).toMatchObject({ SyncookiesRecv: 6, PassiveOpens: 6 })
  })

  test("are known to the others when the one that sent them has closed", () => {
    const scene = new Scene({ settings: { tcpSyncookies: 2 } })
    const [first, second] = [scene.listen(shared), scene.listen(shared)]
    const peers = Array.from({ length: 6 }, (_, n) => new Peer(scene, { address: peerAddress(n) }))
    for (const peer of peers) peer.syn()
    scene.host.close(first, scene.now)
    for (const peer of peers) expect(peer.third()).toEqual([])
    expect(scene.queues(second).waiting).toBe(6)
  })

  test("mean nothing to a listener of another address", () => {
    const scene = new Scene({ settings: { tcpSyncookies: 2 } })
    scene.listen({ ...shared, address: HOST })
    const other = scene.listen({ ...shared, address: HOST2 })
    new Peer(scene).syn()
    const { tcb } = scene.status(other)
    expect(tcb._tag === "LISTEN" && tcb.cookiesAt).toBe(OFF)
  })
})

describe("a cookie is refused", () => {
  const GOOD = ["SyncookiesRecv", "RFC4987-3.6:cookie"]
  const REFUSED = ["RFC4987-3.6:no-cookie-of-ours", "SyncookiesFailed"]
  const returned = (
    baker: Baker,
    cookie: number,
    now: Micros,
    segment: Partial<Segment> = {},
    remote = REMOTE,
    local = LOCAL,
  ) => whys(baker.hear({ flags: ACK, seq: 5001, ack: (cookie + 1) >>> 0, ...segment }, now, remote, local))
  /** Keeps the listener ready for cookies. */
  const keep = (baker: Baker, now: Micros) => baker.bake(now, {}, 1, { ...REMOTE, port: 9 })

  test("when it is two minutes old, and not before the second minute ends", () => {
    for (const born of [0, 30, 59.999999]) {
      const baker = new Baker()
      const { seq } = baker.bake(born * SECOND)
      keep(baker, 110 * SECOND)
      expect(returned(baker, seq, 2 * MINUTE - 1)).toEqual(GOOD)
      expect(returned(baker, seq, 2 * MINUTE)).toEqual(REFUSED)
    }
  })

  test("whenever its minute would come round again", () => {
    const baker = new Baker()
    const { seq } = baker.bake(SECOND)
    for (const minutes of [128, 255, 256, 257, 512, 65_536, 2 ** 24]) {
      const now = minutes * MINUTE + 2 * SECOND
      keep(baker, now)
      expect(returned(baker, seq, now)).toEqual(REFUSED)
    }
  })

  test("from another address, another port, to another port of ours, or behind another ISN", () => {
    const baker = new Baker()
    const { seq } = baker.bake(SECOND, { mss: 1460 })
    const now = 2 * SECOND
    expect(returned(baker, seq, now, {}, { ...REMOTE, address: peerAddress(2) })).toEqual(REFUSED)
    expect(returned(baker, seq, now, {}, { ...REMOTE, port: 40_001 })).toEqual(REFUSED)
    expect(returned(baker, seq, now, {}, REMOTE, { ...LOCAL, port: 81 })).toEqual(REFUSED)
    expect(returned(baker, seq, now, { seq: 6001 })).toEqual(REFUSED)
    // The ISN next to it reads as the next smaller MSS: so it does in Linux, whose sum this is.
    expect(returned(baker, seq, now)).toEqual(GOOD)
  })

  test("of another secret", () => {
    const { seq } = new Baker({}, 2).bake(SECOND)
    const baker = new Baker()
    keep(baker, SECOND)
    expect(returned(baker, seq, SECOND)).toEqual(REFUSED)
  })

  test("when it is made up: of 100,000 guesses at most a handful pass, as 4 of 2^24 times 2 of 2^8 should", () => {
    const baker = new Baker()
    keep(baker, SECOND)
    let state = 1
    let passed = 0
    for (let n = 0; n < 100_000; n++) {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
      if (returned(baker, state, SECOND)[0] !== "RFC4987-3.6:no-cookie-of-ours") passed++
    }
    expect(passed).toBeLessThanOrEqual(2)
  })

  test("whose timestamp echoes options that the settings forbid", () => {
    for (const forbidden of [{ tcpWindowScaling: false }, { tcpSack: false }, { tcpTimestamps: false }]) {
      const { seq, options } = new Baker().bake(SECOND, OFFER)
      const baker = new Baker(forbidden)
      keep(baker, SECOND)
      const stamps = { ...NO_OPTIONS, tsVal: 1001, tsEcr: options.tsVal }
      expect(returned(baker, seq, SECOND, { options: stamps })).toEqual([
        "Linux:cookie-of-a-disabled-option",
        "SyncookiesRecv",
      ])
    }
  })

  test("with a reset that its sender accepts", () => {
    const scene = new Scene({ settings: { tcpSyncookies: 2 } })
    scene.listen()
    const peer = new Peer(scene)
    peer.syn()
    scene.counted()
    peer.ack += 1 << 20
    expect(peer.third()).toEqual(["<RST> RFC4987-3.6:no-cookie-of-ours"])
    expect(scene.took()[0]?.segment.seq).toBe(peer.ack)
    expect(scene.counted()).toEqual({ SyncookiesFailed: 1, OutRsts: 1 })
    expect(scene.states()).toEqual([])
  })
})

describe("the price of a segment, in keyed hashes", () => {
  const spent = (baker: Baker, act: () => unknown): number => {
    const before = { ...baker.calls }
    act()
    return baker.calls.cookie - before.cookie
  }

  test("a SYN that is answered by a cookie: two", () => {
    const baker = new Baker()
    expect(spent(baker, () => baker.bake(SECOND, OFFER))).toBe(2)
  })

  test("a third ACK while no cookie is out: none at all", () => {
    const baker = new Baker({ tcpSyncookies: 1 })
    const step = baker.hear({ flags: ACK, ack: 77 }, SECOND)
    expect(whys(step)).toEqual(["RFC9293-3.10.7.2:ACK"])
    expect(baker.calls).toEqual({ cookie: 0, iss: 0, timestampOffset: 0, fastOpenCookie: 0 })
  })

  test("a third ACK two minutes after the last cookie: none", () => {
    const baker = new Baker()
    const { seq } = baker.bake(SECOND)
    expect(spent(baker, () => baker.hear({ flags: ACK, ack: seq + 1 }, SECOND + 2 * MINUTE + 1))).toBe(0)
  })

  test("an ACK that is made up: one for most, two for those that guess the minute", () => {
    const baker = new Baker()
    baker.bake(SECOND)
    let state = 7
    const prices = Array.from({ length: 2000 }, () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
      const ack = state
      return spent(baker, () => baker.hear({ flags: ACK, ack }, SECOND))
    })
    expect(new Set(prices)).toEqual(new Set([1, 2]))
    // Two of 256 minutes are good.
    expect(prices.filter((price) => price === 2).length).toBeLessThan(40)
  })
})

describe("tcpSyncookies", () => {
  test("0: a cookie of before is not asked for", () => {
    const baker = new Baker({ tcpSyncookies: 0 })
    const { seq } = new Baker().bake(SECOND)
    expect(whys(baker.hear({ flags: ACK, seq: 5001, ack: seq + 1 }, SECOND))).toEqual(["RFC9293-3.10.7.2:ACK"])
  })

  test("0 since the cookie was sent: its ACK is reset as any, and costs no hash", () => {
    const baker = new Baker()
    const { seq } = baker.bake(SECOND)
    const { context } = baker.tcb
    baker.tcb = { ...baker.tcb, context: { ...context, settings: { ...context.settings, tcpSyncookies: 0 } } }
    const before = baker.calls.cookie
    expect(whys(baker.hear({ flags: ACK, seq: 5001, ack: seq + 1 }, SECOND))).toEqual(["RFC9293-3.10.7.2:ACK"])
    expect(baker.calls.cookie).toBe(before)
  })

  test("1: an ACK of a cookie is accepted though a repeated SYN has made a request meanwhile", () => {
    const scene = new Scene()
    const listener = scene.listen({ backlog: 0 })
    const other = new Peer(scene, { address: peerAddress(2) })
    other.syn()
    const peer = new Peer(scene)
    expect(peer.syn()).toEqual(["<SYN,ACK> RFC4987-3.6:SYN-cookie"])
    const { ack, tsEcr } = peer
    other.packet({ flags: ACK })
    scene.batch([other.after({ flags: 4 /* RST */ })])
    expect(peer.syn()).toEqual(["<SYN,ACK> RFC9293-3.10.7.2:SYN"])
    scene.counted()
    peer.ack = ack
    peer.tsEcr = tsEcr
    expect(peer.third()).toEqual([])
    expect(scene.counted()).toMatchObject({ SyncookiesRecv: 1, PassiveOpens: 1 })
    expect(scene.queues(listener)).toMatchObject({ requests: 0, waiting: 1 })
  })

  test("2: a connection made by cookie carries data both ways", () => {
    const scene = new Scene({ settings: { tcpSyncookies: 2 } })
    const listener = scene.listen()
    const peer = new Peer(scene).connect()
    expect(scene.counted()).toEqual({
      TCPReqQFullDoCookies: 1,
      SyncookiesSent: 1,
      SyncookiesRecv: 1,
      PassiveOpens: 1,
    })
    const socket = scene.accept(listener)
    peer.text("hello")
    expect(scene.read(socket)).toBe("hello")
    scene.host.write(socket, octets("world"), scene.now)
    expect(scene.turn()).toEqual(["<ACK>+5 RFC9293-3.10.2:send"])
    const said = scene.took().at(-1)
    expect([said?.segment.seq, said?.segment.options.tsVal !== undefined]).toEqual([peer.ack, true])
  })

  test("2 with a full accept queue: the ACK of a cookie is dropped, and accepted when there is room", () => {
    const scene = new Scene({ settings: { tcpSyncookies: 2 } })
    const listener = scene.listen({ backlog: 0 })
    const [one, two] = [new Peer(scene), new Peer(scene, { address: peerAddress(2) })]
    one.syn()
    two.syn()
    one.third()
    scene.counted()
    expect(two.text("hi")).toEqual(["drop Linux:accept-queue-full"])
    expect(scene.counted()).toEqual({ SyncookiesRecv: 1, ListenOverflows: 1, ListenDrops: 1 })
    scene.accept(listener)
    two.seq -= 2
    two.text("hi")
    expect(scene.read(scene.accept(listener))).toBe("hi")
  })
})
