import { describe, expect, test } from "bun:test"
import { check } from "../../ffi/errno.ts"
import { close, eventfd, POLLIN, POLLNVAL, read, write } from "../../ffi/libc.ts"
import { pinned } from "../../ffi/memory.ts"
import { URING_ROOM } from "../../ffi/uring.ts"
import { epollPoller } from "../../src/device/epollPoller.ts"
import { pollerStarted, register } from "../../src/device/poller.ts"
import { ringPoller } from "../../src/device/ringPoller.ts"

const one = pinned(8)
one.view.setBigUint64(0, 1n, true)
const newEvent = () => check("eventfd", eventfd())
const post = (fd: number) => write(fd, one.address, 8)
const drain = (fd: number) => read(fd, pinned(8).address, 8)
const sleep = (millis: number) => new Promise<void>((resolve) => setTimeout(resolve, millis))
/** Waits for what must happen: how soon is not what is tested. */
const until = async (isSo: () => boolean): Promise<void> => {
  for (let waited = 0; !isSo(); waited++) {
    if (waited > 400) throw new Error("it never happened")
    await sleep(10)
  }
}

const run = async (script: string) => {
  const started = performance.now()
  const child = Bun.spawn([process.execPath, "-e", script], { cwd: import.meta.dir, stdout: "pipe", stderr: "pipe" })
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()])
  return { exitCode: await child.exited, out, err, millis: performance.now() - started }
}

/** A kernel may know no io_uring, or deny it. */
const pollers = [
  { name: "io_uring", module: "ringPoller", poller: ringPoller() },
  { name: "a worker with epoll", module: "epollPoller", poller: epollPoller() },
] as const

for (const { name, module, poller } of pollers) {
  if (poller === undefined) {
    test.skip(`by ${name}, which the kernel does not let us have`, () => {})
    continue
  }
  describe(`by ${name}`, () => {
    const prelude = `
      import { eventfd } from "../../ffi/libc.ts"
      import { ${module} } from "../../src/device/${module}.ts"
      const poller = ${module}()
      poller.register(eventfd()).arm(() => {})
    `

    test("fires once for each arming, while the descriptor stays readable", async () => {
      const fd = newEvent()
      const registration = poller.register(fd)
      const calls: Array<number> = []
      registration.arm((revents) => calls.push(revents))
      await sleep(30)
      expect(calls).toEqual([])
      post(fd)
      await until(() => calls.length > 0)
      await sleep(30)
      expect(calls).toEqual([POLLIN])
      const { promise, resolve } = Promise.withResolvers<number>()
      registration.arm(resolve)
      expect(await promise).toBe(POLLIN)
      drain(fd)
      registration.arm((revents) => calls.push(revents))
      await sleep(30)
      expect(calls).toEqual([POLLIN])
      registration.close()
      close(fd)
    })

    test("many descriptors, each on its own", async () => {
      const events = Array.from({ length: 20 }, (_, index) => {
        const fd = newEvent()
        return { fd, registration: poller.register(fd), index }
      })
      const fired: Array<number> = []
      for (const { registration, index } of events) registration.arm(() => fired.push(index))
      await poller.started
      for (const { fd, index } of events) if (index % 3 === 0) post(fd)
      await until(() => fired.length >= 7)
      await sleep(50)
      expect(fired.toSorted((x, y) => x - y)).toEqual([0, 3, 6, 9, 12, 15, 18])
      for (const { fd, registration } of events) {
        registration.close()
        close(fd)
      }
    })

    test("a closed registration is silent, and its descriptor no longer polled", async () => {
      const calls: Array<number> = []
      // Quickly, so that closing meets what watches in every phase of its round.
      for (let round = 0; round < 500; round++) {
        const fd = newEvent()
        const registration = poller.register(fd)
        registration.arm((revents) => calls.push(revents))
        if (round % 2 === 0) post(fd)
        if (round % 3 === 0) await sleep(0)
        const before = calls.length
        registration.close()
        registration.arm((revents) => calls.push(revents))
        close(fd)
        if (round % 5 === 0) await sleep(0)
        expect(calls.length).toBe(before)
      }
      expect(calls).not.toContain(POLLNVAL)
    })

    test("it does not keep the process alive", async () => {
      const { exitCode, err } = await run(`${prelude} await poller.started; console.log("done")`)
      expect({ exitCode, err }).toEqual({ exitCode: 0, err: "" })
    })

    test("process.exit works while it sleeps", async () => {
      const { exitCode, err } = await run(`${prelude} await poller.started; setTimeout(() => process.exit(3), 20)`)
      expect({ exitCode, err }).toEqual({ exitCode: 3, err: "" })
    })

    test("waiting takes no processor time", async () => {
      const { out } = await run(`${prelude}
    await poller.started
    await Bun.sleep(300)
    const before = process.cpuUsage()
    await Bun.sleep(1000)
    const { user, system } = process.cpuUsage(before)
    console.log(user + system)
  `)
      // Microseconds in one second: an engine's own housekeeping, no more.
      expect(Number(out)).toBeLessThan(20_000)
    })
  })
}

const ring = ringPoller()
test.skipIf(ring === undefined)("by io_uring, a descriptor that is none: whoever waits is told", async () => {
  const fd = newEvent()
  const registration = ring?.register(fd)
  close(fd)
  const { promise, resolve } = Promise.withResolvers<number>()
  registration?.arm(resolve)
  expect(await promise).toBe(POLLNVAL)
  registration?.close()
})

test("more descriptors than io_uring has room for: each is watched all the same", async () => {
  const events = Array.from({ length: URING_ROOM + 3 }, () => {
    const fd = newEvent()
    return { fd, registration: register(fd) }
  })
  let fired = 0
  for (const { registration } of events) registration.arm(() => fired++)
  await pollerStarted()
  for (const { fd } of events) post(fd)
  await until(() => fired === events.length)
  for (const { fd, registration } of events) {
    registration.close()
    close(fd)
  }
})
