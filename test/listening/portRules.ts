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

/** "any" is 0.0.0.0; "one" and "two" are addresses of the host. */
export const ADDRESSES = ["any", "one", "two"] as const
export type Address = (typeof ADDRESSES)[number]

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

const PAIRS: ReadonlyArray<readonly [Address, Address]> = [
  ["any", "any"],
  ["any", "one"],
  ["one", "any"],
  ["one", "one"],
  ["one", "two"],
]

export const reuseName = ({ reuseAddress, reusePort }: Reuse): string =>
  [reuseAddress ? "ADDR" : "", reusePort ? "PORT" : ""].filter(Boolean).join("+") || "none"

export const questions: ReadonlyArray<Question> = HOLDERS.flatMap((holder) =>
  PAIRS.flatMap(([firstAddress, secondAddress]) =>
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

/** What inet_bind_conflict says. A connection always has one address, whatever its listener was bound to. */
export const expected = ({ holder, first, firstAddress, second, secondAddress }: Question): Answer => {
  const held = holder === "bound" || holder === "listening" ? firstAddress : "one"
  const overlap = held === "any" || secondAddress === "any" || held === secondAddress
  const bothAddr = first.reuseAddress && second.reuseAddress
  const bothPort = first.reusePort && second.reusePort
  const conflict = overlap && !((bothAddr && holder !== "listening") || bothPort)
  const answer = conflict ? "EADDRINUSE" : ""
  return { bind: answer, listen: answer }
}

export const optionsOf = ({ reuseAddress, reusePort }: Reuse): Partial<SocketOptions> => ({ reuseAddress, reusePort })
