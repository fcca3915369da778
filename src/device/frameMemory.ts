import { PAGE, type Pinned, pinned } from "../../ffi/memory.ts"
import { vectorMemory } from "../wire/vectorSum.ts"

/** Memory for frames. `summed`: it is we who make the checksums of what lies there, by vector instructions where the engine has them. */
export const frameMemory = (octets: number, summed: boolean): Pinned =>
  pinned(octets, PAGE, summed ? vectorMemory(octets + PAGE) : undefined)
