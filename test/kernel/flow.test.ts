import { expect } from "bun:test"
import { linux } from "../../src/net/Settings.ts"
import { isTcp, payloadLength } from "./handTcp.ts"
import { kernelCounter } from "./kernelSocket.ts"
import { kernelSuite } from "./namespace.ts"
import { hashAll, octets, readAll, readExactly, sha256, string, text } from "./octets.ts"
import { FAMILIES, peersOver, type StackEnd } from "./peers.ts"
import * as posix from "./posix.ts"
import { needing, output } from "./programs.ts"
import { type Passing, sieved } from "./sieve.ts"
import { reasonOf, turn, until } from "./wait.ts"

const MIB = 1_048_576
const MANY = octets(16 * MIB)
const EXPECTED = { length: MANY.length, sha256: sha256(MANY) }

/** The stack's end has data to send, and the kernel has closed its window. */
const isStuck = (ours: StackEnd): boolean => {
  const { tcb } = ours.status
  return "snd" in tcb && tcb.snd.wnd === 0 && tcb.queue.length > 0
}

for (const family of FAMILIES) {
  const withPeers = peersOver(family)
  kernelSuite(`A kernel that does not read, over IPv${family}`, import.meta.path, (test) => {
    test("its window closes, the stack takes no more than its send buffer; once it reads, everything arrives", async () => {
      await withPeers({}, async ({ stack, fromKernel }) => {
        const { ours, theirs } = await fromKernel()
        const { plain } = ours.connection
        let taken = 0
        while (!isStuck(ours) || plain.room > 0) {
          taken += Math.max(0, plain.tryWrite(MANY.subarray(taken, taken + MIB)))
          await turn()
        }
        const { sendQ } = ours.status
        const [, , largest] = stack.settings.tcpWmem
        expect(sendQ).toBeLessThanOrEqual(largest)
        expect(taken - theirs.received).toBe(sendQ)
        expect(taken).toBeLessThan(MANY.length)
        const rest = ours.write(MANY.subarray(taken)).then(() => ours.shutdown())
        const [arrived] = await Promise.all([hashAll(theirs), rest])
        expect(arrived).toEqual(EXPECTED)
      })
    })

    test("its window stays closed: probed, and the connection lives", async () => {
      await withPeers({}, async ({ stack, fromStack }) => {
        const { ours, theirs } = await fromStack()
        const sending = ours.write(MANY).then(() => ours.shutdown())
        await until("two probes", () => (stack.tcpCounters["TCPWinProbe"] ?? 0) >= 2)
        expect(ours.status.state).toBe("ESTABLISHED")
        expect(isStuck(ours)).toBe(true)
        const [arrived] = await Promise.all([hashAll(theirs), sending])
        expect(arrived).toEqual(EXPECTED)
      })
    })

    test("the news that its window is open again is lost: the next probe finds out", async () => {
      let deaf = false
      const received = (batch: ReadonlyArray<Passing>) => (deaf ? batch.filter(({ bytes }) => !isTcp(bytes)) : batch)
      await withPeers({ through: (device) => sieved(device, { received }) }, async ({ stack, fromKernel }) => {
        const { ours, theirs } = await fromKernel()
        const sending = ours.write(MANY).then(() => ours.shutdown())
        await until("the window closing", () => isStuck(ours))
        deaf = true
        const first = await readExactly(theirs, theirs.received)
        const frames = stack.device.counters.rxPackets
        await until("the update", () => stack.device.counters.rxPackets > frames || theirs.received > 0)
        deaf = false
        const [rest] = await Promise.all([readAll(theirs), sending])
        expect(sha256(new Uint8Array(Buffer.concat([first, rest])))).toBe(EXPECTED.sha256)
        expect(stack.tcpCounters["TCPWinProbe"]).toBeGreaterThanOrEqual(1)
      })
    })

    test("it reads little by little: everything arrives", async () => {
      await withPeers({}, async ({ fromKernel }) => {
        const { ours, theirs } = await fromKernel({}, { receiveBuffer: 4096 })
        const bytes = octets(MIB)
        const sending = ours.write(bytes).then(() => ours.shutdown())
        const chunks: Array<Uint8Array> = []
        for (let chunk = await theirs.read(777); chunk !== undefined; chunk = await theirs.read(777)) chunks.push(chunk)
        await sending
        expect(sha256(new Uint8Array(Buffer.concat(chunks)))).toBe(sha256(bytes))
      })
    })
  })
}

for (const family of FAMILIES) {
  const withPeers = peersOver(family)
  kernelSuite(`A stack whose application does not read, over IPv${family}`, import.meta.path, (test) => {
    test("the window closes, the kernel keeps the rest and probes; once read, everything arrives", async () => {
      await withPeers({}, async ({ stack, fromKernel }) => {
        const { ours, theirs } = await fromKernel()
        const sending = theirs.write(MANY).then(() => theirs.shutdown())
        const probes = await kernelCounter("TcpExt", "TCPWinProbe")
        let probed = false
        void (async () => {
          while ((await kernelCounter("TcpExt", "TCPWinProbe")) === probes) await turn()
          probed = true
        })()
        await until("the kernel's probe", () => probed)
        const { recvQ } = ours.status
        const [, , largest] = stack.settings.tcpRmem
        expect(recvQ).toBeLessThanOrEqual(largest)
        expect(theirs.unacknowledged).toBeGreaterThan(0)
        const [arrived] = await Promise.all([hashAll(ours), sending])
        expect(arrived).toEqual(EXPECTED)
      })
    })

    for (const receiveBuffer of [2304, 4096, 100_000]) {
      test(`a receive buffer of ${receiveBuffer} octets: never more is held, everything arrives`, async () => {
        await withPeers({}, async ({ fromKernel }) => {
          const { ours, theirs } = await fromKernel({ receiveBuffer, sendBuffer: 4096 })
          const bytes = octets(200_000)
          const sending = theirs.write(bytes).then(() => theirs.shutdown())
          const chunks: Array<Uint8Array> = []
          for (let chunk = await ours.read(); chunk !== undefined; chunk = await ours.read()) {
            expect(ours.status.recvQ).toBeLessThanOrEqual(receiveBuffer)
            chunks.push(chunk)
          }
          await sending
          expect(sha256(new Uint8Array(Buffer.concat(chunks)))).toBe(sha256(bytes))
          const [back] = await Promise.all([readAll(theirs), ours.write(bytes).then(() => ours.shutdown())])
          expect(sha256(back)).toBe(sha256(bytes))
        })
      })
    }
  })
}

for (const family of FAMILIES) {
  const withPeers = peersOver(family)
  kernelSuite(`Closing with data that nobody has read, over IPv${family}`, import.meta.path, (test) => {
    test("the stack: a RST, ECONNRESET at the kernel", async () => {
      await withPeers({}, async ({ stack, fromKernel, barrier }) => {
        const { ours, theirs } = await fromKernel()
        await theirs.write(text("never read"))
        await barrier()
        ours.close()
        expect(await theirs.failure()).toBe("ECONNRESET")
        expect(stack.tcpCounters).toMatchObject({ TCPAbortOnClose: 1, OutRsts: 1 })
      })
    })

    test("the kernel: a RST, ConnectionReset at the stack", async () => {
      await withPeers({}, async ({ fromKernel }) => {
        const { ours, theirs } = await fromKernel()
        await ours.write(text("never read"))
        await until("its arrival", () => theirs.received > 0)
        theirs.close()
        expect(await ours.failure()).toBe("ConnectionReset")
      })
    })

    test("data that arrives after the stack has closed: a RST, ECONNRESET at the kernel", async () => {
      await withPeers({}, async ({ stack, fromKernel, barrier }) => {
        const { ours, theirs } = await fromKernel()
        ours.close()
        expect(await theirs.read()).toBeUndefined()
        await theirs.write(text("too late"))
        await barrier()
        expect(await reasonOf(theirs.write(text("much too late")))).toMatchObject({ code: "EPIPE" })
        expect(stack.tcpCounters["TCPAbortOnData"]).toBe(1)
      })
    })

    test("data that arrives after the kernel has closed: ConnectionReset at the stack", async () => {
      await withPeers({}, async ({ fromKernel, barrier }) => {
        const { ours, theirs } = await fromKernel()
        theirs.close()
        expect(await ours.read()).toBeUndefined()
        await ours.write(text("too late"))
        await barrier()
        expect(await ours.failure()).toBe("ConnectionReset")
      })
    })
  })
}

for (const family of FAMILIES) {
  const withPeers = peersOver(family)
  kernelSuite(`A peer that is gone, over IPv${family}`, import.meta.path, (test) => {
    const withIp = needing(test, "ip")

    withIp("the interface is set down: data that waits ends the connection with ConnectionTimedOut", async () => {
      await withPeers({}, async ({ stack, fromKernel }) => {
        const { ours } = await fromKernel({ userTimeout: "300 millis" })
        await output("ip", "link", "set", stack.device.name, "down")
        await ours.write(text("anybody there?"))
        expect(await ours.failure()).toBe("ConnectionTimedOut")
        expect(stack.device.failure()).toBeUndefined()
      })
    })

    withIp("the interface is set down and up again: the data arrives after all", async () => {
      await withPeers({}, async ({ stack, fromKernel }) => {
        const { ours, theirs } = await fromKernel()
        // Else an interface that goes down loses its IPv6 addresses.
        await Bun.write(`/proc/sys/net/ipv6/conf/${stack.device.name}/keep_addr_on_down`, "1")
        await output("ip", "link", "set", stack.device.name, "down")
        await ours.write(text("anybody there?"))
        await until("a retransmission", () => (stack.tcpCounters["RetransSegs"] ?? 0) > 0)
        await output("ip", "link", "set", stack.device.name, "up")
        expect(string(await readExactly(theirs, 14))).toBe("anybody there?")
      })
    })

    test("a SYN that nothing answers: ConnectionTimedOut after the last of the retries", async () => {
      const settings = { profile: { ...linux, initialRto: 20_000 }, tcpSynRetries: 2 }
      let syns = 0
      const sent = (frame: Uint8Array) => {
        if (!isTcp(frame)) return true
        syns++
        return false
      }
      await withPeers({ settings, through: (device) => sieved(device, { sent }) }, async ({ stack, kernel }) => {
        const listener = kernel.hear()
        expect(await reasonOf(stack.dial(listener.port))).toMatchObject({ _tag: "ConnectionTimedOut" })
        expect(syns).toBe(3)
      })
    })

    test("an idle kernel asks whether the stack is still there: it answers", async () => {
      await withPeers({}, async ({ fromKernel }) => {
        const { ours, theirs } = await fromKernel()
        posix.setOption(theirs.fd, posix.IPPROTO_TCP, posix.TCP_KEEPIDLE, 1)
        posix.setOption(theirs.fd, posix.SOL_SOCKET, posix.SO_KEEPALIVE, 1)
        let asked = 0
        void (async () => {
          for (;;) {
            asked = await kernelCounter("TcpExt", "TCPKeepAlive")
            if (asked > 0) return
            await turn()
          }
        })()
        await until("the kernel's keep-alive", () => asked > 0)
        await ours.write(text("yes"))
        expect(string(await readExactly(theirs, 3))).toBe("yes")
        expect(theirs.info.probes).toBe(0)
      })
    })
  })
}

for (const family of FAMILIES) {
  const withPeers = peersOver(family)
  kernelSuite(`A process that is held up, over IPv${family}`, import.meta.path, (test) => {
    test("longer than an RTO while the ACK waits at the device: nothing is sent again", async () => {
      await withPeers({}, async ({ stack, fromKernel }) => {
        const { ours, theirs } = await fromKernel()
        await ours.write(text("acknowledged at once"))
        await Promise.resolve()
        expect(theirs.received).toBeGreaterThan(0)
        Bun.sleepSync(300)
        expect(string(await readExactly(theirs, 20))).toBe("acknowledged at once")
        await until("the ACK", () => ours.status.sendQ === 0)
        expect(stack.tcpCounters["RetransSegs"]).toBe(0)
      })
    })
  })
}

for (const family of FAMILIES) {
  const withPeers = peersOver(family)
  kernelSuite(`A link that is not clean, over IPv${family}`, import.meta.path, (test) => {
    const bytes = octets(2 * MIB)
    const isData = (frame: Uint8Array) => payloadLength(frame) > 0

    /** Everything through the stack's echo and back. */
    const echoed = async (sieve: Parameters<typeof sieved>[1]): Promise<void> => {
      await withPeers({ through: (device) => sieved(device, sieve) }, async ({ stack, kernel }) => {
        await stack.echo({ port: 7 })
        const theirs = await kernel.dial(7)
        const [back] = await Promise.all([readAll(theirs), theirs.write(bytes).then(() => theirs.shutdown())])
        expect(sha256(back)).toBe(sha256(bytes))
      })
    }

    test("every 40th segment of the kernel is lost: everything arrives", async () => {
      let n = 0
      await echoed({ received: (batch) => batch.filter(({ bytes }) => !isData(bytes) || ++n % 40 !== 0) })
    })

    test("every 40th segment of the stack is lost: everything arrives", async () => {
      let n = 0
      await echoed({ sent: (frame) => !isData(frame) || ++n % 40 !== 0 })
    })

    test("every segment of the kernel comes twice: everything arrives, once", async () => {
      await echoed({ received: (batch) => batch.flatMap((frame) => [frame, frame]) })
    })

    test("the segments of the kernel come in another order: everything arrives", async () => {
      // Neighbours change places.
      await echoed({
        received: (batch) => batch.map((frame, index) => batch[index ^ 1] ?? frame),
      })
    })
  })
}
