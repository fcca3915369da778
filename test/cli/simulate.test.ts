import { describe, expect, setDefaultTimeout, test } from "bun:test"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { sparkline } from "../../src/cli/plot/sparkline.ts"
import { readPcapng } from "../../src/wire/pcapngReader.ts"
import { netfold } from "./child.ts"

/** Several processes a test, on a machine that may be busy. */
setDefaultTimeout(60_000)

const LINK = ["--rate", "20mbit", "--delay", "10ms", "--loss", "1%", "--size", "500kB", "--cc", "reno", "--seed", "3"]

const json = async (...words: ReadonlyArray<string>) => {
  const { status, stdout, stderr } = await netfold(["simulate", ...words, "--json"]).ended
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" })
  return JSON.parse(stdout)
}

describe("netfold simulate", () => {
  test("prints goodput, retransmits, RTOs, cwnd over time and the hash", async () => {
    const { status, stdout } = await netfold(["simulate", ...LINK]).ended
    expect(status).toBe(0)
    expect(stdout).toMatch(/^link +20 Mbit\/s, RTT 20 ms, loss 1 %, taildrop 50 kB, MTU 1500, reno$/m)
    expect(stdout).toMatch(/^goodput +[\d.]+ Mbit\/s \(500 kB in /m)
    expect(stdout).toMatch(/^segments +\d+ out, \d+ of them again/m)
    expect(stdout).toMatch(/^recovery +\d+ RTO, \d+ fast retransmits$/m)
    expect(stdout).toMatch(/^cwnd +[ ▁▂▃▄▅▆▇█]{64} 0 to /m)
    expect(stdout).toMatch(/SHA-256 [0-9a-f]{64}$/m)
  })

  test("the same options give the same hash; another seed another", async () => {
    const first = await json(...LINK)
    const again = await json(...LINK)
    const other = await json(...LINK.slice(0, -1), "4")
    expect(again.hash).toBe(first.hash)
    expect(other.hash).not.toBe(first.hash)
    expect(first.flows).toMatchObject([{ octets: 500_000, finished: true, intact: true }])
    expect(first.links[0].counters.lost).toBeGreaterThan(0)
    expect(first.retransmits).toBeGreaterThan(0)
    expect(first.cwnd.length).toBeGreaterThan(20)
  })

  test("two flows without end: a duration, shares, and Jain's index", async () => {
    const run = await json("--rate", "10mbit", "--delay", "5ms", "--flows", "2", "--duration", "5s")
    expect(run.virtual).toBe(5_000_000)
    expect(run.flows).toHaveLength(2)
    expect(run.fairness).toBeGreaterThan(0.5)
    expect(run.goodput).toBeGreaterThan(8_000_000)
  })

  test("writes a graph and a capture, whose packets are those of the run", async () => {
    const directory = mkdtempSync(join(tmpdir(), "netfold-simulate-"))
    try {
      const [svg, pcapng] = [join(directory, "a.svg"), join(directory, "a.pcapng")]
      const run = await json(...LINK, "--svg", svg, "--pcapng", pcapng)
      const drawn = readFileSync(svg, "utf8")
      for (const words of [
        "Sequence numbers",
        "Congestion window",
        "Round trip",
        "virtual time, s",
        "prefers-color-scheme:dark",
      ]) {
        expect(drawn).toContain(words)
      }
      expect(drawn).not.toMatch(/NaN|undefined|Infinity/)
      const { packets, problem } = readPcapng(new Uint8Array(readFileSync(pcapng)))
      expect(problem).toBeUndefined()
      const outbound = packets.filter(({ direction }) => direction === "outbound")
      expect(outbound).toHaveLength(run.links[0].counters.sent)
      expect(packets.length - outbound.length).toBe(run.links[1].counters.arrived)
      expect(outbound.every(({ comment }) => comment !== undefined && comment !== "")).toBe(true)
      // The run is the one without a capture.
      expect(run.hash).toBe((await json(...LINK)).hash)
    } finally {
      rmSync(directory, { recursive: true })
    }
  })

  test("--explain 1: every frame of the flow with its reason", async () => {
    const words = ["--size", "20kB", "--loss", "5%", "--seed", "2", "--explain", "1"]
    const { stdout } = await netfold(["simulate", ...words]).ended
    expect(stdout).toMatch(
      /^0\.\d{6} client sends 198\.18\.0\.1:\d+ > 198\.18\.0\.2:9 \[S\] .*\(RFC9293-3\.10\.1:active-OPEN\)$/m,
    )
    expect(stdout).not.toContain("ARP")
  })

  const refused = [
    [["--cc", "vegas"], 'there is no congestion control "vegas": '],
    [["--loss", "much"], '"loss much"'],
    [["--rate", "fast"], '"rate fast"'],
    [["--size", "big"], '--size "big"'],
    [["--ecn"], "a taildrop queue does not mark"],
    [["--flows", "0"], "--flows: a whole number from 1 to 1000"],
    [["--explain", "2"], "--explain: a flow's number is 1 to 1"],
    [["--svg", "/dev/null/a.svg", "--size", "1kB"], "--svg /dev/null/a.svg"],
  ] as const
  for (const [words, problem] of refused) {
    test(`${words.join(" ")}: refused in a line`, async () => {
      const { status, stderr } = await netfold(["simulate", ...words]).ended
      expect(status).not.toBe(0)
      expect(stderr).toContain(problem)
      expect(stderr.trim().split("\n")).toHaveLength(1)
    })
  }
})

describe("a sparkline", () => {
  test("shows the highest of each part, and what was before where nothing is", () => {
    expect(
      sparkline(
        [
          [0, 1],
          [10, 8],
          [19, 2],
          [75, 4],
        ],
        0,
        80,
        4,
      ),
    ).toBe(`██${"██".slice(0, 1)}▅`)
    expect(sparkline([], 0, 10, 3)).toBe("   ")
  })
})
