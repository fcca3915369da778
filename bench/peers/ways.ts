import { join } from "node:path"
import { type Server, startServer } from "./processes.ts"
import { compilePrograms, type Missing, type Programs } from "./programs.ts"
import type { Job } from "./sample.ts"

/** One way to do the jobs. */
export interface Way {
  readonly name: string
  /** Undefined where client and server are one process. Cold: without what a server does in advance, for its memory's sake. */
  readonly start: ((cold?: boolean) => Promise<Server>) | undefined
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
        ...kernelPlain(load, at, leftOut),
        ...others(programs, at, leftOut),
      )
    }
    ways.push(
      { name: "netfold, offload", start: (cold) => netfoldOverTap("offload", 2, cold), ...at(2) },
      { name: "netfold, plain", start: (cold) => netfoldOverTap("plain", 3, cold), ...at(3) },
    )
  } else leftOut.push(`everything over a device: ${load.why}`)
  ways.push(overMemory("offload"), overMemory("plain"))
  return { ways, leftOut, remove: programs.remove }
}

/** What frames of 1500 octets cost the kernel itself: the measure of all that is plain. */
const kernelPlain = (load: string, at: ReturnType<typeof clients>, leftOut: Array<string>): ReadonlyArray<Way> => {
  const name = "kernel, veth, plain"
  if (Bun.which("ethtool") !== null) {
    return [{ name, start: () => kernelOverVeth(load, 7, WITHOUT_OFFLOAD), ...at(7), idle: undefined }]
  }
  leftOut.push(`${name}: \`ethtool\` is not there`)
  return []
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

/** No segments longer than a frame in either direction, and sums made and checked by the processor. */
const WITHOUT_OFFLOAD = ["tso", "gso", "gro", "tx", "rx"].flatMap((feature) => [feature, "off"])

/** The kernel's own stack, in a second namespace behind a veth pair: what every rate is a ratio of. `features`: as for ethtool -K, at both ends. */
const kernelOverVeth = async (load: string, net: number, features: ReadonlyArray<string> = []): Promise<Server> => {
  const server = await startServer(["unshare", "-n", "--", load, "serve", "0.0.0.0"])
  const there = ["nsenter", "-t", String(server.pid), "-n"]
  const [near, far] = [`near${net}`, `far${net}`]
  const without = features.length === 0 ? [] : [["ethtool", "-K", near, ...features]]
  return configured(server, [
    ["ip", "link", "add", near, "type", "veth", "peer", "name", far, "netns", String(server.pid)],
    ["ip", "addr", "add", `${address(net, 1)}/24`, "dev", near],
    ["ip", "link", "set", near, "up"],
    [...there, "ip", "addr", "add", `${address(net)}/24`, "dev", far],
    [...there, "ip", "link", "set", far, "up"],
    ...without,
    ...without.map(() => [...there, "ethtool", "-K", far, ...features]),
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

const netfoldOverTap = (kind: "offload" | "plain", net: number, cold = false): Promise<Server> =>
  startServer([
    ...[BUN, script("server.ts"), `bench${net}`, `${address(net)}/24`, address(net, 1), kind],
    ...(cold ? ["cold"] : []),
  ])

const overMemory = (kind: "offload" | "plain"): Way => ({
  name: kind === "offload" ? "netfold twice, memory, offload" : "netfold twice, memory",
  start: undefined,
  client: ({ name, connections, bytes }, warmUp, seconds) =>
    [BUN, script("memory.ts"), name, warmUp, seconds, connections, bytes, kind].map(String),
  idle: undefined,
})
