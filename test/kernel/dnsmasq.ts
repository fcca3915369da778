import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { found } from "./wait.ts"

export interface Dnsmasq {
  /** Lines of its log so far. */
  readonly log: () => ReadonlyArray<string>
  /** Waits until as many lines match. */
  readonly said: (pattern: RegExp, times?: number) => Promise<void>
  /** Lines of its file of leases: end, MAC, address, host name, client identifier. */
  readonly leases: () => ReadonlyArray<string>
}

/** Runs dnsmasq on an interface of the namespace that the test is in, with nothing but these options, for the length of `body`. */
export const withDnsmasq = async (
  device: string,
  options: ReadonlyArray<string>,
  body: (dnsmasq: Dnsmasq) => Promise<void>,
): Promise<void> => {
  const directory = mkdtempSync(join(tmpdir(), "netfold-dnsmasq-"))
  const leaseFile = join(directory, "leases")
  const child = Bun.spawn(
    [
      ...[
        "dnsmasq",
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--no-resolv",
        "--no-hosts",
        "--no-ping",
        "--pid-file=",
      ],
      ...["--user=root", "--group=root", "--log-facility=-", "--log-dhcp", "--log-queries", "--dhcp-authoritative"],
      ...[`--interface=${device}`, "--except-interface=lo", "--bind-interfaces", `--dhcp-leasefile=${leaseFile}`],
      ...options,
    ],
    { stdin: "ignore", stdout: "ignore", stderr: "pipe" },
  )
  let text = ""
  let isOver = false
  const reading = (async () => {
    const decoder = new TextDecoder()
    for await (const chunk of child.stderr) text += decoder.decode(chunk, { stream: true })
    isOver = true
  })()
  const log = (): ReadonlyArray<string> => text.split("\n").slice(0, -1)
  const said = (pattern: RegExp, times = 1): Promise<void> =>
    found(`dnsmasq says ${pattern}, ${times} times`, () => {
      if (log().filter((line) => pattern.test(line)).length >= times) return true
      if (isOver) throw new Error(`dnsmasq ended:\n${text}`)
      return undefined
    }).then(
      () => {},
      (cause: unknown) => Promise.reject(new Error(`${cause}\n${text}`)),
    )
  try {
    await said(/started, version/)
    await body({ log, said, leases: () => readFileSync(leaseFile, "utf8").split("\n").filter(Boolean) })
  } finally {
    child.kill()
    await child.exited
    await reading
    rmSync(directory, { recursive: true })
  }
}
