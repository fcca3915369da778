// Commands that serve warm up for a second or two (WarmUp.ts), which hundreds of them in a test run need not.
process.env["NETFOLD_WARM_UP"] ??= "false"
