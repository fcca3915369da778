import fc from "fast-check"
import { defaultSettings, freebsd, linux, type TcpSettings } from "../../src/tcp/settings.ts"
import { defaultSocketOptions, type PathLimits, type SocketOptions } from "../../src/tcp/tcb.ts"
import type { ChannelSpec } from "./channel.ts"

/** What the application at one end does. Times in microseconds. */
export interface Plan {
  readonly total: number
  /** Largest single write. */
  readonly chunk: number
  readonly writeEvery: number
  readonly readEvery: number
  /** Largest single read. */
  readonly readSize: number
  /** Reads nothing before: the window closes meanwhile. */
  readonly readFrom: number
  readonly closes: "when-written" | "after-peer" | "never"
}

/** The settings in play, few enough to be read in a counterexample. */
export interface EndSpec {
  readonly iss: number
  readonly profile: "linux" | "freebsd"
  readonly timestamps: boolean
  readonly scaling: boolean
  readonly sack: boolean
  readonly rfc1337: boolean
  /** How it sends: congestion control, loss recovery, ECN, path MTU. */
  readonly sending: Partial<TcpSettings>
  readonly options: Partial<SocketOptions>
  readonly path: PathLimits
  readonly plan: Plan
}

export const settingsOf = (end: EndSpec): TcpSettings => ({
  ...defaultSettings,
  profile: end.profile === "linux" ? linux : freebsd,
  tcpTimestamps: end.timestamps,
  tcpWindowScaling: end.scaling,
  tcpSack: end.sack,
  tcpRfc1337: end.rfc1337,
  ...end.sending,
})

export const optionsOf = (end: EndSpec): SocketOptions => ({ ...defaultSocketOptions, ...end.options })

export interface Scenario {
  readonly seed: number
  readonly open: "passive" | "simultaneous"
  readonly a: EndSpec
  readonly b: EndSpec
  readonly there: ChannelSpec
  readonly back: ChannelSpec
}

const SECOND = 1_000_000

const anyOptions = fc.record({
  noDelay: fc.boolean(),
  cork: fc.boolean(),
  receiveBuffer: fc.oneof(
    fc.constantFrom(0, 1, 2, 127, 128, 65_535, 65_536, 1 << 20, 1 << 30),
    fc.integer({ min: 1, max: 300 }),
    fc.integer({ min: 300, max: 20_000 }),
  ),
  sendBuffer: fc.oneof(fc.constantFrom(0, 0, 1, 1 << 20), fc.integer({ min: 1, max: 10_000 })),
})

const anyPath: fc.Arbitrary<PathLimits> = fc.record({
  mss: fc.oneof(fc.constantFrom(88, 536, 1220, 1460, 8960, 65_495), fc.integer({ min: 88, max: 65_495 })),
  burst: fc.constantFrom(0, 0, 4096, 65_280),
})

const anyPlan: fc.Arbitrary<Plan> = fc.record({
  total: fc.oneof(fc.constantFrom(0, 1), fc.nat(300), fc.nat(10_000), fc.nat(200_000)),
  chunk: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 3000 }), fc.constant(1 << 20)),
  writeEvery: fc.constantFrom(0, 100, 10_000, 300_000),
  readEvery: fc.constantFrom(0, 1000, 50_000, 2 * SECOND),
  readSize: fc.oneof(fc.constantFrom(1, 1 << 30), fc.integer({ min: 1, max: 5000 })),
  readFrom: fc.constantFrom(0, 0, 0, SECOND, 40 * SECOND),
  closes: fc.constantFrom("when-written", "after-peer"),
})

const anySending = fc.record({
  tcpCongestionControl: fc.constantFrom("cubic", "reno", "bbr"),
  tcpRecovery: fc.constantFrom(1, 1, 0, 3, 5),
  tcpEarlyRetrans: fc.constantFrom(3, 3, 0),
  tcpFrto: fc.constantFrom(2, 0),
  tcpEcn: fc.constantFrom(2, 1, 0),
  tcpMtuProbing: fc.constantFrom(0, 1, 2),
  tcpMinTsoSegs: fc.constantFrom(2, 1, 64),
  tcpRetransCollapse: fc.boolean(),
})

const anyIss = fc.oneof(
  fc.integer({ min: 0xffff_ff00, max: 0xffff_ffff }),
  fc.constantFrom(0, 0x7fff_fff0, 0xffff_ffff),
  fc.nat(0xffff_ffff),
)

const anyEnd: fc.Arbitrary<EndSpec> = fc.record({
  iss: anyIss,
  profile: fc.constantFrom("linux", "freebsd"),
  timestamps: fc.boolean(),
  scaling: fc.boolean(),
  sack: fc.boolean(),
  rfc1337: fc.boolean(),
  sending: anySending,
  options: anyOptions,
  path: anyPath,
  plan: anyPlan,
})

export const perfect: ChannelSpec = {
  loss: 0,
  duplicate: 0,
  reorder: 0,
  delay: 1000,
  jitter: 0,
  late: 0,
  joined: true,
}

export const anyChannel: fc.Arbitrary<ChannelSpec> = fc.oneof(
  fc.record({
    loss: fc.constantFrom(0, 0.02, 0.1, 0.3),
    duplicate: fc.constantFrom(0, 0.05, 0.3),
    reorder: fc.constantFrom(0, 0.05, 0.3),
    delay: fc.constantFrom(1, 100, 10_000, 200_000),
    jitter: fc.constantFrom(0, 50, 20_000),
    late: fc.constantFrom(100, 50_000, 500_000),
    joined: fc.boolean(),
  }),
  fc.constant(perfect),
)

/** Small steps take many segments: as much as some hundreds of them carry. */
const modest = (end: EndSpec, peer: EndSpec, most: number): EndSpec => {
  const { plan, options, path } = end
  const orInfinity = (n = 0): number => (n === 0 ? Number.POSITIVE_INFINITY : n)
  const reader = peer.plan
  const step = Math.min(
    plan.chunk,
    path.mss,
    peer.path.mss,
    orInfinity(options.sendBuffer),
    orInfinity(peer.options.receiveBuffer),
    // What is read octet by octet is read at once or not often.
    reader.readSize,
  )
  return { ...end, plan: { ...plan, total: Math.min(plan.total, most * step) } }
}

export const anyScenario = (most: number): fc.Arbitrary<Scenario> =>
  fc
    .record({
      seed: fc.nat(0xffff_ffff),
      open: fc.constantFrom("passive", "passive", "simultaneous"),
      a: anyEnd,
      b: anyEnd,
      there: anyChannel,
      back: anyChannel,
    })
    .map(({ a, b, ...rest }): Scenario => {
      // One of them has to be first.
      const first = a.plan.closes === "after-peer" ? { ...b, plan: { ...b.plan, closes: "when-written" as const } } : b
      return { ...rest, a: modest(a, first, most), b: modest(first, a, most) } as Scenario
    })
