import { Effect, Predicate } from "effect"
import type { WorkerApplication } from "../net/Workers.ts"
import { Stack } from "../runtime/stack.ts"
import { control } from "./control.ts"
import type { Snapshot } from "./report.ts"
import { NO_SNAPSHOT, serveAll, snapshotOf, warming } from "./services.ts"

/** What `netfold serve --workers` runs in each of them: the three services, and a control socket for each stack. */
const application: WorkerApplication = ({ index, input }) =>
  Effect.gen(function* () {
    const stack = yield* Stack
    const counters = yield* serveAll(stack)
    yield* warming(stack)
    const noControl = Predicate.hasProperty(input, "noControl") && input.noControl === true
    yield* control(noControl, { name: `serve worker ${index}`, stacks: { [`worker${index}`]: stack } })
    return snapshotOf(counters, stack)
  })

export default application

/** Whether what a worker has answered is a snapshot. */
export const isSnapshot = (answer: unknown): answer is Snapshot =>
  Predicate.isRecord(answer) && Object.keys(NO_SNAPSHOT).every((key) => typeof answer[key] === "number")
