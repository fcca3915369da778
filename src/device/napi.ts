import { interfaceIndex } from "../../ffi/interface.ts"
import { setAttribute, withInterfaceFiles } from "../../ffi/sysfs.ts"

/**
 * How long the kernel's GRO may hold a segment back for the next one of its flow, nanoseconds. What ends a burst of
 * ours says so by PSH and is not held; the time is for what does not. Short, so that who reads there copies the
 * first segments of a burst while we write the others.
 */
const FLUSH_NANOS = 10_000

/**
 * Has a thread of the kernel's own take what is written to an interface: a write(2) then only queues a frame, in place
 * of carrying it through the whole stack. `joins`: GRO gathers over many writes; without a time-out it would begin anew
 * with each. False: the kernel does not let us say so, or cannot (before Linux 5.12).
 */
export const handOver = (name: string, joins: boolean): boolean => {
  const index = interfaceIndex(name)
  if (index === undefined) return false
  return (
    withInterfaceFiles(
      name,
      index,
      (path) =>
        setAttribute(`${path}/threaded`, 1) && (!joins || setAttribute(`${path}/gro_flush_timeout`, FLUSH_NANOS)),
    ) ?? false
  )
}
