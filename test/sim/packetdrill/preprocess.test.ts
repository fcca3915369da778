import { expect, test } from "bun:test"
import { preprocess } from "../../../src/sim/packetdrill/preprocess.ts"

const kept = (source: string, given: Record<string, string> = {}): string =>
  preprocess(source, new Map(Object.entries(given)))
    .text.split("\n")
    .filter((line) => line !== "")
    .join("|")

test.each([
  // source                                            -D                what is left
  ["a\n#ifdef X\nb\n#endif\nc", {}, "a|c"],
  ["a\n#ifdef X\nb\n#endif\nc", { X: "" }, "a|b|c"],
  ["#ifndef X\nb\n#else\nc\n#endif", {}, "b"],
  ["#ifndef X\nb\n#else\nc\n#endif", { X: "1" }, "c"],
  ["#if defined(X)\nb\n#endif", { X: "" }, "b"],
  ["#if !defined(X)\nb\n#endif", { X: "" }, ""],
  ["#if X\nb\n#elif Y\nc\n#else\nd\n#endif", { Y: "1" }, "c"],
  ["#if X\nb\n#elif Y\nc\n#else\nd\n#endif", { X: "1", Y: "1" }, "b"],
  ["#if X\nb\n#elif Y\nc\n#else\nd\n#endif", { X: "0" }, "d"],
  ["#ifdef X\n#ifdef Y\nb\n#endif\nc\n#endif", { Y: "" }, ""],
  ["#define X 1\n#if X\nb\n#endif", {}, "b"],
  ["#define X 1\n#undef X\n#ifdef X\nb\n#endif", {}, ""],
  ["# a remark\na", {}, "a"],
])("%j with %j leaves %j", (source, given, left) => {
  expect(kept(source, given)).toBe(left)
})

test("lines keep their numbers", () => {
  expect(preprocess("a\n#ifdef X\nb\n#endif\nc", new Map()).text).toBe("a\n\n\n\nc")
})

test.each(["#endif", "#else", "#ifdef X", "#if X Y\n#endif"])("%j is refused", (source) => {
  expect(() => preprocess(source, new Map())).toThrow()
})
