import { expect, test } from "bun:test"
import { separated } from "../../src/cli/argv.ts"

test.each<[string, ReadonlyArray<string>, ReadonlyArray<string>]>([
  ["a value behind =", ["lab", "--address=10.0.0.2/24", "sh"], ["lab", "--address", "10.0.0.2/24", "sh"]],
  ["a value with = in it", ["--define=NAME=1"], ["--define", "NAME=1"]],
  ["an empty one", ["--impair="], ["--impair", ""]],
  ["short options and plain words", ["-c=3", "a=b", "--json"], ["-c=3", "a=b", "--json"]],
  [
    "short options of ping",
    ["bun", "netfold", "ping", "-c3", "-6", "-i0.2"],
    ["bun", "netfold", "ping", "-c", "3", "-6", "-i", "0.2"],
  ],
  ["the same letters elsewhere", ["bun", "netfold", "ss", "-ti"], ["bun", "netfold", "ss", "-ti"]],
  ["what follows --", ["--dns=::1", "--", "cc", "--std=c11"], ["--dns", "::1", "--", "cc", "--std=c11"]],
])("%s", (_, given, expected) => {
  expect(separated(given)).toEqual([...expected])
})
