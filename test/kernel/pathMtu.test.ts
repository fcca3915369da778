import { expect } from "bun:test"
import { Effect, Exit, Scope } from "effect"
import { setInterfaceMtu } from "../../ffi/interface.ts"
import { openTap } from "../../src/device/tap.ts"
import { ConnectionRefused, HostUnreachable } from "../../src/net/errors.ts"
import { echo, serviceCounters } from "../../src/net/services.ts"
import * as Tcp from "../../src/net/Tcp.ts"
import { Stack } from "../../src/runtime/stack.ts"
import { ipv4, ipv6, UNSPECIFIED4, UNSPECIFIED6 } from "../../src/wire/address.ts"
import { formatAddress } from "../../src/wire/addressText.ts"
import { kernelSuite } from "./namespace.ts"
import { octets, readExactly, sha256 } from "./octets.ts"
import { STACK, STACK6, StackEnd, type StackPeer, withPeers } from "./peers.ts"
import { setQueueLength } from "./posix.ts"
import { withSysctls } from "./programs.ts"
import { reasonOf, turn, until } from "./wait.ts"

const WIDE = 1500
const NARROW = 1300
/** More than any window holds here. */
const QUEUE_LENGTH = 16_384
const NEAR_KERNEL = [ipv6(0x20010db8, 0x00070000, 0, 1), ipv4(0xc6120001)] as const
const FAR_KERNEL = [ipv6(0x20010db8, 0x00080000, 0, 1), ipv4(0xc6120801)] as const
const FAR_NETWORK = [ipv6(0x20010db8, 0x00080000, 0, 0), ipv4(0xc6120800)] as const

const VERSIONS = [
  { version: "IPv6", near: STACK6, far: "2001:db8:8::2", headers: 72 },
  { version: "IPv4", near: STACK, far: "198.18.8.2", headers: 52 },
] as const

interface Path {
  readonly stack: StackPeer
  readonly listener: Tcp.Listener
  /** What the kernel forwards by, to either end; the ends themselves believe in `WIDE`. */
  readonly setMtu: (link: "near" | "far", mtu: number) => void
}

/** The kernel forwards once its own addresses are no longer tentative; before, it says that there is no way. */
const passable = async (stack: StackPeer, host: string): Promise<void> => {
  for (;;) {
    const refusal = await reasonOf(stack.dial(CLOSED_PORT, { host }))
    if (refusal instanceof ConnectionRefused) return
    if (!(refusal instanceof HostUnreachable)) throw refusal
    await turn()
  }
}
const CLOSED_PORT = 9

/** Two stacks, each on a link of its own to the kernel, which forwards between them; the far one listens at port 7. */
const withPath = (offload: boolean, body: (path: Path) => Promise<void>): Promise<void> =>
  withSysctls({ "net.ipv6.conf.all.forwarding": 1, "net.ipv4.conf.all.forwarding": 1 }, () =>
    withPeers({ family: 6, offload }, async ({ stack }) => {
      const scope = Effect.runSync(Scope.make())
      try {
        const addresses = FAR_KERNEL.map((address) => ({ address, prefixLength: address.family === 4 ? 24 : 64 }))
        const device = await Effect.runPromise(openTap({ offload, addresses }).pipe(Scope.extend(scope)))
        setQueueLength(device.name, QUEUE_LENGTH)
        const other = await Effect.runPromise(
          Stack.make({
            interfaces: [{ device, addresses: ["2001:db8:8::2/64", "198.18.8.2/24"], dadTransmits: 0 }],
            routes: [
              { prefix: UNSPECIFIED6, prefixLength: 0, via: FAR_KERNEL[0], interface: 0 },
              { prefix: UNSPECIFIED4, prefixLength: 0, via: FAR_KERNEL[1], interface: 0 },
            ],
            closeGrace: 0,
          }).pipe(Scope.extend(scope)),
        )
        stack.network.addRoute({ prefix: FAR_NETWORK[0], prefixLength: 64, via: NEAR_KERNEL[0], interface: 0 })
        stack.network.addRoute({ prefix: FAR_NETWORK[1], prefixLength: 24, via: NEAR_KERNEL[1], interface: 0 })
        const listener = await Effect.runPromise(
          Tcp.listen({ port: 7 }).pipe(Effect.provideService(Stack, other), Scope.extend(scope)),
        )
        for (const { far } of VERSIONS) await passable(stack, far)
        const names = { near: stack.device.name, far: device.name }
        await body({ stack, listener, setMtu: (link, mtu) => setInterfaceMtu(names[link], mtu) })
      } finally {
        await Effect.runPromise(Scope.close(scope, Exit.void))
      }
    }),
  )

const mssOf = ({ status: { tcb } }: StackEnd): number => ("snd" in tcb ? tcb.snd.mss : 0)

kernelSuite("a path through the kernel that carries less than its ends", import.meta.path, (test) => {
  for (const { version, near, far, headers } of VERSIONS) {
    test(`the first connection over ${version} learns it from the kernel, the next one keeps to it`, async () => {
      await withPath(false, async ({ stack, listener, setMtu }) => {
        setMtu("far", NARROW)
        listener.onConnection(echo(serviceCounters()))
        const first = await stack.dial(7, { host: far })
        const destination = first.status.remote?.address ?? UNSPECIFIED6
        expect(formatAddress(first.status.local.address)).toBe(near)
        expect(mssOf(first)).toBe(WIDE - headers)
        await first.write(octets(4000))
        await until("the kernel's report reaching the stack", () => stack.network.pathMtu(destination) === NARROW)
        const second = await stack.dial(7, { host: far })
        expect(mssOf(second)).toBe(NARROW - headers)
        await second.write(octets(4000))
        expect(await readExactly(second, 4000)).toEqual(octets(4000))
        first.abort()
      })
    })
  }
})

const MANY = octets(16 * 1_048_576)
/** Octets after which the path changes: segments of the old size are in flight then, and many are to follow. */
const CHANGE_AT = 4 * 1_048_576

/** Reads to the peer's last octet; `change` is called once, in the middle. */
const hashAcross = async (end: StackEnd, change: () => void) => {
  const hasher = new Bun.CryptoHasher("sha256")
  let length = 0
  for (let chunk = await end.read(); chunk !== undefined; chunk = await end.read()) {
    if (length < CHANGE_AT && length + chunk.length >= CHANGE_AT) change()
    length += chunk.length
    hasher.update(chunk)
  }
  return { length, sha256: hasher.digest("hex") }
}

for (const offload of [false, true]) {
  const title = `a path that narrows in the middle of 16 MiB, offload ${offload ? "on" : "off"}`
  kernelSuite(title, import.meta.path, (test) => {
    for (const { version, far, headers } of VERSIONS) {
      for (const narrowed of ["far", "near"] as const) {
        test(`over ${version}, at the ${narrowed} link: smaller segments, the same SHA-256`, async () => {
          await withPath(offload, async ({ stack, listener, setMtu }) => {
            const scope = Effect.runSync(Scope.make())
            const [accepted, dialled] = await Promise.all([
              Effect.runPromise(listener.accept.pipe(Scope.extend(scope))),
              stack.dial(7, { host: far }),
            ])
            const answering = new StackEnd(accepted)
            const [sender, receiver] = narrowed === "far" ? [dialled, answering] : [answering, dialled]
            const [arrived] = await Promise.all([
              hashAcross(receiver, () => {
                expect(mssOf(sender)).toBe(WIDE - headers)
                setMtu(narrowed, NARROW)
              }),
              sender.write(MANY).then(() => sender.shutdown()),
            ])
            expect(arrived).toEqual({ length: MANY.length, sha256: sha256(MANY) })
            expect(mssOf(sender)).toBe(NARROW - headers)
            await Effect.runPromise(Scope.close(scope, Exit.void))
          })
        })
      }
    }
  })
}
