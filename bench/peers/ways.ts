import { join } from "node:path"
import { type Server, startServer } from "./processes.ts"
import { compilePrograms, type Missing, type Programs } from "./programs.ts"
import type { Job } from "./sample.ts"

/** One way to do the jobs. */
export interface Way {
  readonly name: string
  /** Undefined where client and server are one process. */
  readonly start: (() => Promise<Server>) | undefined
  readonly client: (job: Job, warmUp: number, seconds: number) => ReadonlyArray<string>
  /** Measures what idle connections cost the server's process; undefined where the memory is not that process's. */
  readonly idle: ((server: Server, settle: number, connections: number) => ReadonlyArray<string>) | undefined
}

export interface Ways {
  readonly ways: ReadonlyArray<Way>
  /** Ways that cannot be tried here, each with its reason. */
  readonly leftOut: ReadonlyArray<string>
  readonly remove: () => void
}

const BUN = process.execPath
const script = (name: string): string => join(import.meta.dir, name)

/** Every stack has a network of its own, 198.18.N.0/24: the kernel's end is .1, the stack's .2. */
export const findWays = (): Ways => {
  const programs = compilePrograms()
  const { load } = programs
  const leftOut: Array<string> = []
  const ways: Array<Way> = []
  if (typeof load === "string") {
    const at = clients(load)
    const name = "kernel, veth"
    if (Bun.which("ip") === null || Bun.which("nsenter") === null) {
      leftOut.push("everything but netfold: `ip` (iproute2) and `nsenter` (util-linux) are not both there")
    } else {
      ways.push(
        { name, start: () => kernelOverVeth(load, 1), ...at(1), idle: undefined },
        ...others(programs, at, leftOut),
      )
    }
    ways.push(
      { name: "netfold, offload", start: () => netfoldOverTap("offload", 2), ...at(2) },
      { name: "netfold, plain", start: () => netfoldOverTap("plain", 3), ...at(3) },
    )
  } else leftOut.push(`everything over a device: ${load.why}`)
  ways.push(overMemory("offload"), overMemory("plain"))
  return { ways, leftOut, remove: programs.remove }
}

const others = (
  { lwip, gvisor }: Programs,
  at: ReturnType<typeof clients>,
  leftOut: Array<string>,
): ReadonlyArray<Way> => {
  const ways: Array<Way> = []
  const add = (name: string, net: number, program: string | Missing, words: ReadonlyArray<string>): void => {
    if (typeof program !== "string") leftOut.push(`${name}: ${program.why}`)
    else ways.push({ name, start: () => overTap([program, `peer${net}`, address(net), ...words], net), ...at(net) })
  }
  add("lwIP, plain", 4, lwip, ["255.255.255.0"])
  add("gVisor, GSO", 5, gvisor, ["24", "gso"])
  add("gVisor, plain", 6, gvisor, ["24", "plain"])
  return ways
}

const address = (net: number, host = 2): string => `198.18.${net}.${host}`

const clients =
  (load: string) =>
  (net: number): Pick<Way, "client" | "idle"> => ({
    client: ({ name, connections, bytes }, warmUp, seconds) =>
      [load, name, address(net), warmUp, seconds, connections, bytes].map(String),
    idle: ({ pid }, settle, connections) => [load, "idle", address(net), settle, pid, connections].map(String),
  })

/** The kernel's own stack, in a second namespace behind a veth pair: what every rate is a ratio of. */
const kernelOverVeth = async (load: string, net: number): Promise<Server> => {
  const server = await startServer(["unshare", "-n", "--", load, "serve", "0.0.0.0"])
  const there = ["nsenter", "-t", String(server.pid), "-n", "ip"]
  const [near, far] = ["bench-near", "bench-far"]
  return configured(server, [
    ["ip", "link", "add", near, "type", "veth", "peer", "name", far, "netns", String(server.pid)],
    ["ip", "addr", "add", `${address(net, 1)}/24`, "dev", near],
    ["ip", "link", "set", near, "up"],
    [...there, "addr", "add", `${address(net)}/24`, "dev", far],
    [...there, "link", "set", far, "up"],
  ])
}

/** A server that makes the interface itself, and does not care who configures the kernel's end. */
const overTap = async (words: ReadonlyArray<string>, net: number): Promise<Server> =>
  configured(await startServer(words), [
    ["ip", "addr", "add", `${address(net, 1)}/24`, "dev", `peer${net}`],
    ["ip", "link", "set", `peer${net}`, "up"],
  ])

const configured = async (server: Server, commands: ReadonlyArray<ReadonlyArray<string>>): Promise<Server> => {
  for (const words of commands) {
    const { success, stderr } = Bun.spawnSync([...words], { stderr: "pipe" })
    if (success) continue
    await server.stop()
    throw new Error(`${words.join(" ")}: ${stderr.toString().trim()}`)
  }
  return server
}

const netfoldOverTap = (kind: "offload" | "plain", net: number): Promise<Server> =>
  startServer([BUN, script("server.ts"), `bench${net}`, `${address(net)}/24`, address(net, 1), kind])

const overMemory = (kind: "offload" | "plain"): Way => ({
  name: kind === "offload" ? "netfold twice, memory, offload" : "netfold twice, memory",
  start: undefined,
  client: ({ name, connections, bytes }, warmUp, seconds) =>
    [BUN, script("memory.ts"), name, warmUp, seconds, connections, bytes, kind].map(String),
  idle: undefined,
})
