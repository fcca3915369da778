import type { Arguments } from "../arguments.ts"
import { measureInside } from "../namespace.ts"
import type { Section } from "../report.ts"

/** Title of the section that has a picture. */
export const DEVICES = "Devices"
export const LOOP = "The loop"

export const deviceSections = async (given: Arguments): Promise<ReadonlyArray<Section>> => [
  ...(await measureInside("device/inside.ts", DEVICES, given)),
  // Named cases are the devices'.
  ...(given.only === "" ? await measureInside("device/loop.ts", LOOP, given) : []),
]
