/** `bun child.ts SCENARIO`, with its environment: prints the octets. */
import { octetsOf, SCENARIOS } from "./scenarios.ts"

const name = SCENARIOS.find((scenario) => scenario === process.argv[2])
if (name === undefined) throw new Error(`"${process.argv[2]}" is none of ${SCENARIOS.join(", ")}`)
console.log(octetsOf(name))
