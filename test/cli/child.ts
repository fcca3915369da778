/** A `netfold` command as a process of its own. */
export interface Child {
  readonly pid: number
  /** Waits for a line of standard output that matches, or throws with what there was instead. */
  readonly line: (pattern: RegExp) => Promise<string>
  readonly kill: (signal: NodeJS.Signals) => void
  readonly ended: Promise<{ readonly status: number; readonly stdout: string; readonly stderr: string }>
}

const MAIN = new URL("../../src/cli/main.ts", import.meta.url).pathname

export interface ChildOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly stdin?: string
}

export const netfold = (words: ReadonlyArray<string>, { env = {}, stdin }: ChildOptions = {}): Child => {
  const running = Bun.spawn([process.execPath, MAIN, ...words], {
    env: { ...process.env, ...env },
    stdin: stdin === undefined ? "ignore" : new TextEncoder().encode(stdin),
    stdout: "pipe",
    stderr: "pipe",
  })
  let stdout = ""
  let changed = Promise.withResolvers<void>()
  const reading = (async () => {
    const decoder = new TextDecoder()
    for await (const chunk of running.stdout) {
      stdout += decoder.decode(chunk, { stream: true })
      changed.resolve()
      changed = Promise.withResolvers()
    }
    changed.resolve()
  })()
  let over = false
  const ended = (async () => {
    const [status, stderr] = await Promise.all([running.exited, new Response(running.stderr).text(), reading])
    over = true
    changed.resolve()
    return { status, stdout, stderr }
  })()
  const line = async (pattern: RegExp): Promise<string> => {
    for (;;) {
      const found = stdout.split("\n").find((text) => pattern.test(text))
      if (found !== undefined) return found
      if (over) throw new Error(`netfold ended first: ${JSON.stringify(await ended)}`)
      await changed.promise
    }
  }
  return { pid: running.pid, line, kill: (signal) => running.kill(signal), ended }
}
