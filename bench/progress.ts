/** One line on a terminal that says what is being done; nothing elsewhere. */
export const progress = (done: number, of: number, what: string): void => {
  if (!process.stderr.isTTY) return
  const line = `${String(done + 1).padStart(String(of).length)}/${of} ${what}`
  process.stderr.write(`\r\x1b[2K${line.slice(0, (process.stderr.columns ?? 80) - 1)}`)
}

export const progressDone = (): void => {
  if (process.stderr.isTTY) process.stderr.write("\r\x1b[2K")
}
