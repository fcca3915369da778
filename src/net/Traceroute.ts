import { Deferred, type Duration, Effect, Either, type Scope, Stream } from "effect"
import type { IcmpReport } from "../host/icmpReport.ts"
import { Stack, type StackService } from "../runtime/stack.ts"
import type { Micros } from "../tcp/time.ts"
import { type IpAddress, UNSPECIFIED4, UNSPECIFIED6 } from "../wire/address.ts"
import { echoSocket, microsNow } from "./echoSocket.ts"
import { addressOf } from "./options.ts"
import { bind } from "./Udp.ts"
import type { UdpError } from "./udpErrors.ts"
import { within } from "./udpOptions.ts"

export type { IcmpProblem } from "../host/icmpReport.ts"
export type { UdpError } from "./udpErrors.ts"

export interface TracerouteOptions {
  /** An address of either IP version. */
  readonly host: string | IpAddress
  /** UDP to ports that nobody listens on, or echo requests. Default "udp". */
  readonly method?: "udp" | "icmp"
  /** 1 to 255. Default 1 and 30. */
  readonly firstHop?: number
  readonly maxHops?: number
  /** Probes for each hop, 1 to 10. Default 3. */
  readonly queries?: number
  /** How long the probes of a hop wait for answers. Default 3 seconds. */
  readonly timeout?: Duration.DurationInput
  /** The first probe's port; each next one has the next. Default 33434. */
  readonly port?: number
  /** Octets of each probe's whole packet, from its headers alone to 65535. Default 60, over IPv6 80. */
  readonly size?: number
  readonly dontFragment?: boolean
}

/** What became of a probe. */
export type Probe =
  | {
      readonly _tag: "Answer"
      readonly from: IpAddress
      readonly rtt: Micros
      /** Why it went no further; absent where the destination answered as it should. */
      readonly problem?: IcmpReport["problem"]
    }
  | { readonly _tag: "NotSent"; readonly error: UdpError }
  | { readonly _tag: "Silence" }

export interface Hop {
  readonly ttl: number
  readonly probes: ReadonlyArray<Probe>
  /** The destination has answered, or a router has said that there is no way: the last hop. */
  readonly isLast: boolean
}

const DEFAULT_PORT = 33434
/** Of IP, and 8 of UDP or an echo request. */
const HEADERS = { 4: 28, 6: 48 } as const
export const DEFAULT_SIZE = { 4: 60, 6: 80 } as const
const LARGEST_PACKET = 65535

/** The hops to a host, one after the other, up to the one that answers for it. */
export const traceroute = (options: TracerouteOptions): Stream.Stream<Hop, UdpError, Stack> =>
  Stream.unwrapScoped(
    Effect.gen(function* () {
      const plan = yield* planOf(options, yield* Stack)
      const send = yield* plan.method === "udp" ? udpProbes(plan) : echoProbes(plan)
      const { timeout = "3 seconds" } = options
      const silence: Probe = { _tag: "Silence" }

      const hop = (ttl: number): Effect.Effect<Hop> =>
        Effect.gen(function* () {
          const first = (ttl - plan.firstHop) * plan.queries
          const numbers = Array.from({ length: plan.queries }, (_, index) => first + index)
          const probes = yield* Effect.forEach(
            numbers,
            (number) =>
              Effect.timeoutTo(send(number, ttl), {
                duration: timeout,
                onSuccess: (probe) => probe,
                onTimeout: () => silence,
              }),
            { concurrency: "unbounded" },
          )
          return { ttl, probes, isLast: probes.some(ends) }
        })

      return Stream.iterate(plan.firstHop, (ttl) => ttl + 1).pipe(
        Stream.take(Math.max(0, plan.maxHops - plan.firstHop + 1)),
        Stream.mapEffect(hop),
        Stream.takeUntil(({ isLast }) => isLast),
      )
    }),
  )

interface Plan {
  readonly to: IpAddress
  readonly method: "udp" | "icmp"
  readonly firstHop: number
  readonly maxHops: number
  readonly queries: number
  readonly port: number
  readonly payload: Uint8Array
  readonly dontFragment: boolean
}

/** Sends the probe of that number, and waits for what becomes of it. */
type Send = (number: number, ttl: number) => Effect.Effect<Probe>

const planOf = (options: TracerouteOptions, stack: StackService) =>
  Effect.suspend(() =>
    Either.gen(function* () {
      const to = yield* addressOf(options.host, stack)
      const headers = HEADERS[to.family]
      const size = yield* within("size", options.size, headers, LARGEST_PACKET, DEFAULT_SIZE[to.family])
      const plan: Plan = {
        to,
        method: options.method ?? "udp",
        firstHop: yield* within("firstHop", options.firstHop, 1, 255, 1),
        maxHops: yield* within("maxHops", options.maxHops, 1, 255, 30),
        queries: yield* within("queries", options.queries, 1, 10, 3),
        port: yield* within("port", options.port, 1, 65535 - 255 * 10, DEFAULT_PORT),
        payload: Uint8Array.from({ length: size - headers }, (_, index) => 0x40 + (index & 0x3f)),
        dontFragment: options.dontFragment ?? false,
      }
      return plan
    }),
  )

/** Each probe goes to a port of its own, which the error that comes back quotes. */
const udpProbes = ({ to, port, payload, dontFragment }: Plan): Effect.Effect<Send, UdpError, Stack | Scope.Scope> =>
  Effect.gen(function* () {
    const { plain } = yield* bind({ dontFragment, host: to.family === 4 ? UNSPECIFIED4 : UNSPECIFIED6 })
    const waiting = new Waiting()
    plain.on({
      onError: (_, { destination, ...report }) => waiting.failed(destination.port - port, report, report.at),
      // Somebody listens there after all.
      onDatagram: (_, { source, at }) => waiting.answered(source.port - port, { from: source.address }, at),
    })
    return (number, ttl) =>
      waiting.send(number, () => plain.setTtl(ttl) ?? plain.trySend(payload, { address: to, port: port + number }))
  })

const echoProbes = ({ to, payload, dontFragment }: Plan): Effect.Effect<Send, UdpError, Stack | Scope.Scope> =>
  Effect.gen(function* () {
    const waiting = new Waiting()
    const socket = yield* echoSocket({
      onAnswer: (answer) => {
        if (answer._tag === "Failure") waiting.failed(answer.sequence, answer.report, answer.at)
        else waiting.answered(answer.sequence, { from: answer.from }, answer.at)
      },
      // Those who wait are told by their time-outs.
      onEnd: () => {},
    })
    return (number, ttl) =>
      waiting.send(number, () =>
        socket.send({ to, sequence: number, payload, ttl, tos: 0, dontFragment, source: undefined }),
      )
  })

/** Probes on their way, by number. */
class Waiting {
  readonly #probes = new Map<number, { readonly at: Micros; readonly outcome: Deferred.Deferred<Probe> }>()

  send(number: number, call: () => UdpError | undefined): Effect.Effect<Probe> {
    return Effect.gen(this, function* () {
      const outcome = yield* Deferred.make<Probe>()
      this.#probes.set(number, { at: yield* microsNow, outcome })
      const error = call()
      const probe = error === undefined ? yield* Deferred.await(outcome) : ({ _tag: "NotSent", error } as const)
      return probe
    }).pipe(Effect.ensuring(Effect.sync(() => this.#probes.delete(number))))
  }

  failed(number: number, { from, problem }: IcmpReport, at: Micros): void {
    this.answered(number, { from, ...(problem === "PortUnreachable" ? {} : { problem }) }, at)
  }

  answered(number: number, answer: { readonly from: IpAddress; readonly problem?: IcmpReport["problem"] }, at: Micros) {
    const probe = this.#probes.get(number)
    if (probe === undefined) return
    const outcome: Probe = { _tag: "Answer", ...answer, rtt: Math.max(0, at - probe.at) }
    Deferred.unsafeDone(probe.outcome, Effect.succeed(outcome))
  }
}

/** A router that only counted the hops is not the end of the way. */
const ends = (probe: Probe): boolean => probe._tag === "Answer" && probe.problem !== "HopLimitExceeded"
