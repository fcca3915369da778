import { expect } from "bun:test"
import { mkdtempSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { ACK, isTcp, SYN, tcpAt } from "./handTcp.ts"
import { kernelSuite } from "./namespace.ts"
import { type End, octets, readAll, sha256 } from "./octets.ts"
import { ENDS, FAMILIES, type Family, type Peers, type PeersOptions, peersOver, withPeers } from "./peers.ts"
import { needing, onlyIf, onlyOneUser, output } from "./programs.ts"
import { type Passing, sieved } from "./sieve.ts"
import { until } from "./wait.ts"

const IP = 14
const FLAG_BITS = 0x3f

const OPTION_NAMES = ["eol", "nop", "mss", "wscale", "sackOK", "sack", "", "", "TS"]

/** As tcpdump writes them, without the values of timestamps. */
const optionsOf = (bytes: Uint8Array): string => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const shown: Array<string> = []
  for (let at = 0; at < bytes.length; ) {
    const kind = view.getUint8(at)
    const name = OPTION_NAMES[kind] ?? `kind ${kind}`
    if (kind === 2) shown.push(`${name} ${view.getUint16(at + 2)}`)
    else if (kind === 3) shown.push(`${name} ${view.getUint8(at + 2)}`)
    else shown.push(name)
    at += kind < 2 ? 1 : view.getUint8(at + 1)
  }
  return shown.join(",")
}

/** All of a segment's headers that does not differ between two connections of one stack. */
const shapeOf = (frame: Uint8Array) => {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength)
  const TCP = tcpAt(frame) ?? Number.NaN
  const headerLength = 4 * (view.getUint8(TCP + 12) >> 4)
  const isIpv4 = view.getUint8(IP) >> 4 === 4
  const header = isIpv4
    ? {
        tos: view.getUint8(IP + 1),
        length: view.getUint16(IP + 2),
        fragment: view.getUint16(IP + 6),
        ttl: view.getUint8(IP + 8),
      }
    : // Without the flow label, which is each connection's own.
      { tos: (view.getUint16(IP) >> 4) & 0xff, length: view.getUint16(IP + 4), ttl: view.getUint8(IP + 7) }
  return {
    ...header,
    flags: view.getUint16(TCP + 12) & 0xfff & FLAG_BITS,
    window: view.getUint16(TCP + 14),
    urgent: view.getUint16(TCP + 18),
    options: optionsOf(frame.slice(TCP + 20, TCP + headerLength)),
  }
}

type Shape = ReturnType<typeof shapeOf>

interface Witnessed {
  readonly stack: ReadonlyArray<Shape>
  readonly kernel: ReadonlyArray<Shape>
}

/** What both send, in order, while `body` runs. */
const witness = async (
  family: Family,
  options: PeersOptions,
  body: (peers: Peers) => Promise<unknown>,
): Promise<Witnessed> => {
  const stack: Array<Shape> = []
  const kernel: Array<Shape> = []
  const sieve = {
    received: (batch: ReadonlyArray<Passing>) => {
      for (const { bytes } of batch) if (isTcp(bytes)) kernel.push(shapeOf(bytes))
      return batch
    },
    sent: (frame: Uint8Array) => {
      if (isTcp(frame)) stack.push(shapeOf(frame))
      return true
    },
  }
  await withPeers({ ...options, family, through: (device) => sieved(device, sieve) }, async (peers) => {
    await body(peers)
  })
  return { stack, kernel }
}

/** The stack's own defaults, in case the machine's differ. */
const BUFFERS = { tcp_rmem: "4096 131072 33554432" }

/** The SYN, or the SYN-ACK, that one of them sends. */
const opening = (shapes: ReadonlyArray<Shape>, flags: number): Shape | undefined =>
  shapes.find((shape) => shape.flags === flags)

const SWITCHES = [0, 1, 2, 3, 4, 5, 6, 7].map((bits) => ({
  timestamps: (bits & 1) !== 0,
  sack: (bits & 2) !== 0,
  scaling: (bits & 4) !== 0,
}))
type Switches = (typeof SWITCHES)[number]

const named = ({ timestamps, sack, scaling }: Switches): string =>
  [timestamps ? "timestamps" : "", sack ? "SACK" : "", scaling ? "window scale" : ""].filter(Boolean).join(", ") ||
  "none"

const stackWith = ({ timestamps, sack, scaling }: Switches) => ({
  tcpTimestamps: timestamps,
  tcpSack: sack,
  tcpWindowScaling: scaling,
})
const kernelWith = ({ timestamps, sack, scaling }: Switches) => ({
  ...BUFFERS,
  tcp_timestamps: timestamps ? 1 : 0,
  tcp_sack: sack ? 1 : 0,
  tcp_window_scaling: scaling ? 1 : 0,
})

for (const family of FAMILIES) {
  /** Of an IPv6 packet the length is without its own header, and no router may fragment it. */
  const header = family === 4 ? { tos: 0, length: 60, fragment: 0x4000, ttl: 64 } : { tos: 0, length: 40, ttl: 64 }
  const mss = family === 4 ? 1460 : 1440
  kernelSuite(`The linux profile on the wire, over IPv${family}`, import.meta.path, (test) => {
    test("a SYN", async () => {
      const { stack } = await witness(family, {}, ({ fromStack }) => fromStack())
      expect(stack[0]).toEqual({
        ...header,
        flags: SYN,
        window: family === 4 ? 64_240 : 64_800,
        urgent: 0,
        options: `mss ${mss},sackOK,TS,nop,wscale 10`,
      })
    })

    test("a SYN-ACK", async () => {
      const { stack } = await witness(family, {}, ({ fromKernel }) => fromKernel())
      expect(stack[0]).toEqual({
        ...header,
        flags: SYN | ACK,
        window: family === 4 ? 65_160 : 64_260,
        urgent: 0,
        options: `mss ${mss},sackOK,TS,nop,wscale 10`,
      })
    })

    for (const switches of SWITCHES) {
      const settings = stackWith(switches)
      const kernelSettings = kernelWith(switches)

      test(`a SYN that offers ${named(switches)}: the same as the kernel's own`, async () => {
        const options = { settings, kernelSettings }
        const { stack } = await witness(family, options, ({ fromStack }) => fromStack())
        const { kernel } = await witness(family, options, ({ fromKernel }) => fromKernel())
        expect(opening(stack, SYN)).toEqual(opening(kernel, SYN))
      })

      test(`a SYN-ACK to a SYN that offers ${named(switches)}: the same as the kernel's own`, async () => {
        const { stack } = await witness(family, { kernelSettings }, ({ fromKernel }) => fromKernel())
        const { kernel } = await witness(family, { settings, kernelSettings: BUFFERS }, ({ fromStack }) => fromStack())
        expect(opening(stack, SYN | ACK)).toEqual(opening(kernel, SYN | ACK))
      })
    }
  })
}

/** What it has not read of the kernel's ring when it is told to end, tcpdump leaves there: it writes each packet at once. */
const settled = async (file: string): Promise<void> => {
  for (let before = -1, size = statSync(file).size; size !== before; size = statSync(file).size) {
    before = size
    await Bun.sleep(100)
  }
}

/** All that a `tcpdump` on the interface sees while `body` runs, as a file that is gone afterwards. */
const captured = async (name: string, body: () => Promise<void>, judge: (file: string) => Promise<void>) => {
  const directory = mkdtempSync(join(tmpdir(), "netfold-wire-"))
  const file = join(directory, "wire.pcap")
  try {
    // As root it would become another user, who may not write there.
    const words = [
      "tcpdump",
      "-i",
      name,
      "-w",
      file,
      "-U",
      "--immediate-mode",
      "-B",
      "32768",
      "-Z",
      "root",
      "tcp or arp",
    ]
    const dump = Bun.spawn(words, { stdin: "ignore", stdout: "ignore", stderr: "pipe" })
    try {
      let said = ""
      const listening = Promise.withResolvers<void>()
      const saying = (async () => {
        for await (const chunk of dump.stderr.pipeThrough(new TextDecoderStream())) {
          said += chunk
          if (said.includes("listening on")) listening.resolve()
        }
        listening.resolve()
      })()
      await listening.promise
      await body()
      await settled(file)
      dump.kill("SIGINT")
      await Promise.all([dump.exited, saying])
      if (!said.includes("0 packets dropped by kernel")) throw new Error(`tcpdump: ${said}`)
    } finally {
      dump.kill("SIGKILL")
    }
    await judge(file)
  } finally {
    rmSync(directory, { recursive: true })
  }
}

/**
 * A connection of each side, 150 kB both ways at once on each, closed in order. All of it fits one batch of
 * the stack's: whatever the machine does meanwhile, no timer finds an ACK unread.
 */
const conversation = async ({ stack, fromKernel, fromStack }: Peers): Promise<void> => {
  const bytes = octets(150_001)
  for (const meet of [() => fromKernel(), () => fromStack()]) {
    const { ours, theirs } = await meet()
    const say = (end: End) => end.write(bytes).then(() => end.shutdown())
    const [there, back] = await Promise.all([readAll(ours), readAll(theirs), say(ours), say(theirs)])
    expect([sha256(there), sha256(back)]).toEqual([sha256(bytes), sha256(bytes)])
    theirs.close()
  }
  await until("the last ACKs", () => stack.list().every(({ state }) => state === "LISTEN" || state === "TIME-WAIT"))
}

for (const family of FAMILIES) {
  const withPeers = peersOver(family)
  kernelSuite(`What others see on the wire, offload off, over IPv${family}`, import.meta.path, (test) => {
    // tcpdump as root changes its user, if only to root: a user namespace of one user forbids that.
    const withTcpdump = onlyIf(needing(test, "tcpdump"), onlyOneUser)
    const withTshark = onlyIf(needing(test, "tcpdump", "tshark"), onlyOneUser)

    withTcpdump("tcpdump: every checksum is right", async () => {
      await withPeers({}, async (peers) => {
        await captured(
          peers.stack.device.name,
          () => conversation(peers),
          async (file) => {
            const lines = (await output("tcpdump", "-n", "-vv", "-r", file, "tcp")).split("\n")
            expect(lines.filter((line) => /cksum .*\(correct\)/.test(line)).length).toBeGreaterThan(300)
            expect(lines.filter((line) => /incorrect|bad cksum|\[\|tcp|truncated/.test(line))).toEqual([])
          },
        )
      })
    })

    withTshark("tshark: nothing is lost, out of order or sent twice, and nothing malformed", async () => {
      await withPeers({}, async (peers) => {
        await captured(
          peers.stack.device.name,
          () => conversation(peers),
          async (file) => {
            const trouble = [
              "tcp.analysis.retransmission",
              "tcp.analysis.out_of_order",
              "tcp.analysis.lost_segment",
              "tcp.analysis.ack_lost_segment",
              "tcp.analysis.window_full && tcp.analysis.zero_window",
              "tcp.analysis.reused_ports",
              "tcp.flags.reset == 1",
              "tcp.checksum.status == 0",
              ...(family === 4 ? ["ip.checksum.status == 0"] : []),
              "_ws.malformed",
            ]
            const filter = `${family === 4 ? "ip" : "ipv6"}.src == ${ENDS[family].stack} && (${trouble.map((each) => `(${each})`).join(" || ")})`
            const options = ["-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"]
            expect(await output("tshark", "-n", "-r", file, ...options, "-Y", filter)).toBe("")
          },
        )
      })
    })
  })
}
