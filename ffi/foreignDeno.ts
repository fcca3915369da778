import type * as BunFfi from "bun:ffi"

type PointerObject = { readonly __pointer: never }

/** What is needed of Deno's own interface (`deno run --allow-ffi`). */
declare const Deno: {
  readonly dlopen: (
    path: string,
    symbols: Readonly<Record<string, { readonly parameters: ReadonlyArray<string>; readonly result: string }>>,
  ) => { readonly symbols: Readonly<Record<string, Foreign>>; readonly close: () => void }
  readonly UnsafePointer: {
    readonly of: (bytes: ArrayBufferView) => PointerObject | null
    readonly value: (pointer: PointerObject | null) => bigint
    readonly create: (address: bigint) => PointerObject | null
  }
  readonly UnsafePointerView: {
    new (pointer: PointerObject): DenoView
    readonly getArrayBuffer: (pointer: PointerObject, length: number, offset: number) => ArrayBuffer
  }
}

interface DenoView {
  getUint16(offset: number): number
  getInt32(offset: number): number
  getUint32(offset: number): number
  getBigUint64(offset: number): bigint
}

type Foreign = (...words: ReadonlyArray<number | bigint>) => number | bigint | undefined

/** bun:ffi's names of types. Addresses are plain numbers here, as there. */
const TYPES: Readonly<Record<string, string>> = {
  ptr: "usize",
  u64_fast: "usize",
  i32: "i32",
  u32: "u32",
  void: "void",
}

const typeOf = (name: string): string => {
  const type = TYPES[name]
  if (type === undefined) throw new TypeError(`no foreign type ${name}`)
  return type
}

interface Declaration {
  readonly args: ReadonlyArray<string>
  readonly returns: string
}

/** A function whose result is an address gives a number, or null. */
const callable = (
  call: Foreign,
  returns: string,
): Foreign | ((...words: ReadonlyArray<number | bigint>) => number | null) => {
  if (returns !== "ptr") return call
  return (...words) => Number(call(...words)) || null
}

/** A null address is 0. */
const withNull =
  (call: ReturnType<typeof callable>): ((...words: ReadonlyArray<number | bigint | null>) => unknown) =>
  (...words) =>
    call(...words.map((word) => word ?? 0))

const dlopen = (path: string, declarations: Readonly<Record<string, Declaration>>) => {
  const entries = Object.entries(declarations)
  const library = Deno.dlopen(
    path,
    Object.fromEntries(
      entries.map(([name, { args, returns }]) => [name, { parameters: args.map(typeOf), result: typeOf(returns) }]),
    ),
  )
  const symbols = Object.fromEntries(
    entries.map(([name, { args, returns }]) => {
      const symbol = library.symbols[name]
      if (symbol === undefined) throw new TypeError(`no ${name} in ${path}`)
      const call = callable(symbol, returns)
      // The hot calls are Deno's own functions, which its compiler knows.
      return [name, args.at(-1) === "ptr" ? withNull(call) : call]
    }),
  )
  return { symbols, close: library.close }
}

const pointerOf = (address: number): PointerObject => {
  const pointer = Deno.UnsafePointer.create(BigInt(address))
  if (pointer === null) throw new TypeError("a null pointer")
  return pointer
}

const viewOf = (address: number): DenoView => new Deno.UnsafePointerView(pointerOf(address))

const read = {
  u16: (address: number, offset: number) => viewOf(address).getUint16(offset),
  i32: (address: number, offset: number) => viewOf(address).getInt32(offset),
  u32: (address: number, offset: number) => viewOf(address).getUint32(offset),
  u64: (address: number, offset: number) => viewOf(address).getBigUint64(offset),
  ptr: (address: number, offset: number) => Number(viewOf(address).getBigUint64(offset)),
}

/** The same functions for Deno, as far as they are used here. */
export const foreign = {
  dlopen,
  FFIType: { u64_fast: "u64_fast" },
  ptr: (bytes: Uint8Array): number => Number(Deno.UnsafePointer.value(Deno.UnsafePointer.of(bytes))),
  read,
  toArrayBuffer: (address: number, offset: number, length: number): ArrayBuffer =>
    Deno.UnsafePointerView.getArrayBuffer(pointerOf(address), length, offset),
} as unknown as Pick<typeof BunFfi, "dlopen" | "FFIType" | "ptr" | "read" | "toArrayBuffer">
