import { readlinkSync } from "node:fs"
import { enterCommand } from "../../ffi/namespace.ts"

/** A second network namespace, kept by a process that sleeps in it. */
export interface Far {
  /** Runs a command inside, to its end; throws an Error with what it said. */
  readonly run: (...words: ReadonlyArray<string>) => void
  /** The argument vector that runs a command inside. */
  readonly command: (...words: ReadonlyArray<string>) => Array<string>
  /** Takes an interface of this namespace along. */
  readonly take: (name: string) => void
  readonly close: () => void
}

const run = (words: ReadonlyArray<string>): void => {
  const { success, stderr } = Bun.spawnSync([...words], { stdout: "ignore", stderr: "pipe" })
  if (!success) throw new Error(`${words.join(" ")}: ${stderr.toString().trim()}`)
}

/** What is missing for it, in one line, or undefined. */
export const whyNoFar = (): string | undefined => {
  const missing = ["ip", "nsenter"].find((name) => Bun.which(name) === null)
  return missing === undefined ? undefined : `the command ${missing} is not on the PATH (Debian: iproute2, util-linux)`
}

export const openFar = async (): Promise<Far> => {
  const here = readlinkSync("/proc/self/ns/net")
  const keeper = Bun.spawn(enterCommand(["sleep", "infinity"]), {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "inherit",
  })
  const { pid } = keeper
  for (let tries = 0; readlinkSync(`/proc/${pid}/ns/net`) === here; tries++) {
    if (tries > 200) throw new Error("the second namespace was not made within two seconds")
    await Bun.sleep(10)
  }
  const command = (...words: ReadonlyArray<string>): Array<string> => [
    "nsenter",
    "-t",
    String(pid),
    "-n",
    "--",
    ...words,
  ]
  return {
    run: (...words) => run(command(...words)),
    command,
    take: (name) => run(["ip", "link", "set", name, "netns", String(pid)]),
    close: () => keeper.kill("SIGKILL"),
  }
}
