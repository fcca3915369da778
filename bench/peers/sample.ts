/** What a client prints after one run of a job. */
export interface Sample {
  /** Requests, connections or gigabits a second. */
  readonly rate: number
  /** Per cent of one core. */
  readonly user: number
  readonly system: number
  /** Why the run does not count; empty when it does. */
  readonly error: string
}

/** What the client prints about idle connections: octets of the server's memory for each. */
export interface IdleSample {
  readonly open: number
  readonly echoed: number
  readonly error: string
}

/** In the order of IdleSample. */
export const IDLE_JOBS = [
  { title: "10,000 idle connections: memory each", unit: "octets" },
  { title: "the same after one echo each", unit: "octets" },
] as const
export const IDLE_CONNECTIONS = 10_000

export interface Job {
  readonly name: "echo" | "connect" | "sink" | "source" | "bulkecho"
  readonly title: string
  readonly unit: string
  readonly connections: number
  readonly bytes: number
}

export const JOBS: ReadonlyArray<Job> = [
  { name: "sink", title: "bulk into the stack", unit: "Gbit/s", connections: 1, bytes: 1 },
  { name: "source", title: "bulk out of the stack", unit: "Gbit/s", connections: 1, bytes: 1 },
  { name: "bulkecho", title: "bulk both ways, compared", unit: "Gbit/s", connections: 1, bytes: 1 },
  { name: "echo", title: "echo of 64 octets, 64 connections", unit: "requests/s", connections: 64, bytes: 64 },
  {
    name: "connect",
    title: "connect, echo 1 octet, close; 32 at once",
    unit: "connections/s",
    connections: 32,
    bytes: 1,
  },
]
