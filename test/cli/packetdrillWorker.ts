/** A worker for the pool's tests: jobs named "die" and "hang" do that, all others pass. */
import type { Result } from "../../src/cli/packetdrill/job.ts"
import type { Batch } from "../../src/cli/packetdrill/worker.ts"

declare const self: Worker

self.onmessage = ({ data }: MessageEvent<Batch>) => {
  for (const job of data.jobs) {
    if (job.path === "die") throw new Error("no more")
    if (job.path === "hang") for (;;) Bun.sleepSync(10)
    const result: Result = { ...job, outcome: { _tag: "Passed", notes: [] }, mutation: undefined, took: 0 }
    postMessage(result)
  }
}
