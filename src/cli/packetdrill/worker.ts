/** A worker of pool.ts: runs the jobs that it is sent, one batch after another. */
import { type Common, type Job, type Result, runJob } from "./job.ts"

declare const self: Worker

export interface Batch {
  readonly common: Common
  readonly jobs: ReadonlyArray<Job>
}

self.onmessage = ({ data }: MessageEvent<Batch>) => {
  for (const job of data.jobs) {
    const result: Result = runJob(job, data.common)
    postMessage(result)
  }
}
