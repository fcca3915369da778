import type { SocketOptions } from "../../src/tcp/tcb.ts"

/**
 * Who may share a port: every combination of what holds it, of both sockets' SO_REUSEADDR and
 * SO_REUSEPORT, and of their addresses. The rule is Linux's inet_bind_conflict; the host and,
 * where there is one, the kernel are asked the same questions.
 */

export const HOLDERS = ["bound", "listening", "connected", "time-wait"] as const
export type Holder = (typeof HOLDERS)[number]

export interface Reuse {
  readonly reuseAddress: boolean
  readonly reusePort: boolean
}

export const REUSES: ReadonlyArray<Reuse> = [
  { reuseAddress: false, reusePort: false },
  { reuseAddress: true, reusePort: false },
  { reuseAddress: false, reusePort: true },
  { reuseAddress: true, reusePort: true },
]

/**
 * "any" is 0.0.0.0, "any6" is :: of both families, "only6" is :: with IPV6_V6ONLY; "one", "two" and "one6" are
 * addresses of the host. Those that are "mapped" are IPv4 addresses that a socket of IPv6 writes as ::ffff:0.0.0.0.
 */
export const ADDRESSES = ["any", "one", "two", "any6", "only6", "one6", "mappedAny", "mappedOne"] as const
export type Address = (typeof ADDRESSES)[number]

/** What IPv4 knows of an address: all, one of them, or nothing. */
const IN_IPV4: Readonly<Record<Address, "all" | "one" | "two" | undefined>> = {
  any: "all",
  one: "one",
  two: "two",
  any6: "all",
  only6: undefined,
  one6: undefined,
  mappedAny: "all",
  mappedOne: "one",
}

/** The same of IPv6. */
const IN_IPV6: Readonly<Record<Address, "all" | "one" | undefined>> = {
  any: undefined,
  one: undefined,
  two: undefined,
  any6: "all",
  only6: "all",
  one6: "one",
  mappedAny: undefined,
  mappedOne: undefined,
}

export interface Question {
  readonly name: string
  readonly holder: Holder
  readonly first: Reuse
  readonly firstAddress: Address
  readonly second: Reuse
  readonly secondAddress: Address
}

/** Of binding the second socket, and of listening on it if it could be bound: "" or the errno. */
export interface Answer {
  readonly bind: string
  readonly listen: string
}

export const reuseName = ({ reuseAddress, reusePort }: Reuse): string =>
  [reuseAddress ? "ADDR" : "", reusePort ? "PORT" : ""].filter(Boolean).join("+") || "none"

/** The same address, or one of them stands for all. */
const meet = (x: string | undefined, y: string | undefined): boolean =>
  x !== undefined && y !== undefined && (x === "all" || y === "all" || x === y)

/** A connection here is one of IPv4, to the address "one": its listener must have been there. */
const pairs = (holder: Holder): ReadonlyArray<readonly [Address, Address]> =>
  ADDRESSES.flatMap((first) =>
    ADDRESSES.flatMap((second) =>
      holder === "bound" || holder === "listening" || meet(IN_IPV4[first], "one") ? [[first, second] as const] : [],
    ),
  )

export const questions: ReadonlyArray<Question> = HOLDERS.flatMap((holder) =>
  pairs(holder).flatMap(([firstAddress, secondAddress]) =>
    REUSES.flatMap((first) =>
      REUSES.map((second) => ({
        name: `${holder} on ${firstAddress}, reuse ${reuseName(first)}; bind to ${secondAddress}, reuse ${reuseName(second)}`,
        holder,
        first,
        firstAddress,
        second,
        secondAddress,
      })),
    ),
  ),
)

/** What inet_bind_conflict and ipv6_rcv_saddr_equal say. A connection always has one address, whatever its listener was bound to. */
export const expected = ({ holder, first, firstAddress, second, secondAddress }: Question): Answer => {
  const held = holder === "bound" || holder === "listening" ? firstAddress : "one"
  const overlap = meet(IN_IPV4[held], IN_IPV4[secondAddress]) || meet(IN_IPV6[held], IN_IPV6[secondAddress])
  const bothAddr = first.reuseAddress && second.reuseAddress
  const bothPort = first.reusePort && second.reusePort
  const conflict = overlap && !((bothAddr && holder !== "listening") || bothPort)
  const answer = conflict ? "EADDRINUSE" : ""
  return { bind: answer, listen: answer }
}

export const optionsOf = ({ reuseAddress, reusePort }: Reuse, address: Address): Partial<SocketOptions> => ({
  reuseAddress,
  reusePort,
  ipv6Only: address === "only6",
})
