import { join } from "node:path"
import { Glob } from "bun"
import { defaultRunOptions, type RunOptions } from "../../../src/sim/packetdrill/config.ts"

/** One script of the corpus, under one profile and one IP version. */
export interface CorpusCase {
  readonly name: string
  readonly source: string
  readonly options: RunOptions
}

export const ROOT = join(import.meta.dir, "../../packetdrill")

/** Scripts below freebsd/ run with that profile; scripts that name an IP version or an address run with theirs alone. */
export const corpus = async (versions: ReadonlyArray<"ipv4" | "ipv6">): Promise<ReadonlyArray<CorpusCase>> => {
  const cases: Array<CorpusCase> = []
  for (const path of [...new Glob("**/*.pkt").scanSync(ROOT)].sort()) {
    const source = await Bun.file(join(ROOT, path)).text()
    const profile = path.startsWith("freebsd/") ? ("freebsd" as const) : ("linux" as const)
    const fixed = /--(?:ip_version|local_ip|remote_ip)=/.test(source)
    for (const version of fixed ? versions.slice(0, 1) : versions) {
      const flags = new Map(
        fixed || version === "ipv4"
          ? []
          : ([
              ["ip_version", "ipv6"],
              ["mtu", "1520"],
            ] as const),
      )
      const name = version === "ipv4" || fixed ? path : `${path} over IPv6`
      cases.push({ name, source, options: { ...defaultRunOptions, profile, flags } })
    }
  }
  return cases
}
