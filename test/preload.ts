import fc from "fast-check"

// Commands that serve warm up for a second or two (WarmUp.ts), which hundreds of them in a test run need not.
process.env["NETFOLD_WARM_UP"] ??= "false"

// The same tree, the same tests: properties have one seed. NETFOLD_SEED=any looks elsewhere, NETFOLD_SEED=N there again.
const seed = process.env["NETFOLD_SEED"] ?? "1"
if (seed !== "any") fc.configureGlobal({ seed: Number(seed) })
