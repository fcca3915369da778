import type { Position } from "./ast.ts"
import { syntax } from "./scriptError.ts"

/**
 * The script's characters from a position on. packetdrill's tokens depend on where they stand
 * ("FO 0123" is a cookie, "ack 0123" a number), so the parser asks for the token that it expects,
 * and blanks and comments are skipped before each.
 */
export class Lexer {
  private readonly text: string
  private offset = 0
  /** Where the last token ended. */
  private end = 0
  private readonly lineStarts: ReadonlyArray<number>

  constructor(
    text: string,
    /** What `-D` and `#define` gave names to, for tokens that a name may stand for. */
    readonly definitions: ReadonlyMap<string, string> = new Map(),
  ) {
    this.text = text
    const starts = [0]
    for (let i = text.indexOf("\n"); i >= 0; i = text.indexOf("\n", i + 1)) starts.push(i + 1)
    this.lineStarts = starts
  }

  /** Where the next token begins. */
  position(): Position {
    this.skipBlanks()
    return this.positionOf(this.offset)
  }

  atEnd(): boolean {
    this.skipBlanks()
    return this.offset >= this.text.length
  }

  /** The next token is `literal`; a word must not go on after it. */
  sees(literal: string): boolean {
    this.skipBlanks()
    if (!this.text.startsWith(literal, this.offset)) return false
    return !isWord(literal.at(-1)) || !isWord(this.text[this.offset + literal.length])
  }

  /** Takes `literal` if it is next. */
  take(literal: string): boolean {
    if (!this.sees(literal)) return false
    this.offset += literal.length
    this.end = this.offset
    return true
  }

  expect(literal: string): void {
    if (!this.take(literal)) this.fail(`expected "${literal}"`)
  }

  /** Takes what `pattern` (sticky) matches. */
  match(pattern: RegExp): string | undefined {
    this.skipBlanks()
    pattern.lastIndex = this.offset
    const found = pattern.exec(this.text)
    if (found === null) return undefined
    this.offset = pattern.lastIndex
    this.end = this.offset
    return found[0]
  }

  /** Whether `pattern` (sticky) matches, without taking it. */
  looksLike(pattern: RegExp): boolean {
    this.skipBlanks()
    pattern.lastIndex = this.offset
    return pattern.test(this.text)
  }

  need(pattern: RegExp, what: string): string {
    return this.match(pattern) ?? this.fail(`expected ${what}`)
  }

  word(): string | undefined {
    return this.match(/[A-Za-z_][A-Za-z0-9_]*/y)
  }

  integer(what: string): number {
    return Number(this.need(/0[xX][0-9a-fA-F]+|-?[0-9]+/y, what))
  }

  /** An unsigned number of at most 32 bits. */
  unsigned(what: string, max = 0xffff_ffff): number {
    const at = this.position()
    const value = this.integer(what)
    return value >= 0 && value <= max ? value : syntax(at, `${what} out of range: ${value}`)
  }

  /** "..." with C's escapes, or undefined. */
  quoted(): string | undefined {
    const raw = this.match(/"(?:\\[^\n]|[^"\\\n])*"/y)
    return raw?.slice(1, -1).replace(/\\(x[0-9a-fA-F]{1,2}|[0-7]{1,3}|.)/g, (_, code: string) => escaped(code))
  }

  /** What stands between two marks, lines and all; the opening one is next. */
  between(open: string, close: string, what: string): string {
    const at = this.position()
    this.expect(open)
    const end = this.text.indexOf(close, this.offset)
    if (end < 0) return syntax(at, `${what} is not ended by "${close}"`)
    const inner = this.text.slice(this.offset, end)
    this.offset = end + close.length
    this.end = this.offset
    return inner
  }

  /** A remark in parentheses, which may contain anything but a line's end. */
  skipNote(): void {
    if (!this.sees("(")) return
    this.need(/\([^\n]*?\)(?=[ \t\r]*(?:$|\n|\/\/|\/\*))|\([^()\n]*\)/my, "a remark that ends on its line")
  }

  /** Whether the next token stands on the line where the last one ended. */
  sameLine(): boolean {
    this.skipBlanks()
    return this.offset < this.text.length && !this.text.slice(this.end, this.offset).includes("\n")
  }

  fail(message: string): never {
    const at = this.position()
    const rest = this.text.slice(this.offset).split("\n", 1)[0]?.slice(0, 24).trimEnd() ?? ""
    return syntax(at, `${message}, found ${rest === "" ? "the end of the script" : `"${rest}"`}`)
  }

  private positionOf(offset: number): Position {
    let low = 0
    let high = this.lineStarts.length - 1
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if ((this.lineStarts[middle] ?? 0) <= offset) low = middle
      else high = middle - 1
    }
    return { line: low + 1, column: offset - (this.lineStarts[low] ?? 0) + 1 }
  }

  private skipBlanks(): void {
    const next = this.text.charCodeAt(this.offset)
    if (next > BLANK && next !== SLASH) return
    const blanks = /(?:[ \t\r\n]+|\/\/[^\n]*|\/\*[\s\S]*?\*\/)*/y
    blanks.lastIndex = this.offset
    blanks.exec(this.text)
    this.offset = blanks.lastIndex
    if (this.text.startsWith("/*", this.offset)) syntax(this.positionOf(this.offset), "a comment that does not end")
  }
}

const BLANK = 0x20
const SLASH = 0x2f

const isWord = (c: string | undefined): boolean => c !== undefined && /[A-Za-z0-9_]/.test(c)

const escaped = (code: string): string => {
  if (code.startsWith("x")) return String.fromCharCode(Number.parseInt(code.slice(1), 16))
  if (/^[0-7]/.test(code)) return String.fromCharCode(Number.parseInt(code, 8) & 0xff)
  switch (code) {
    case "n":
      return "\n"
    case "t":
      return "\t"
    case "r":
      return "\r"
    default:
      return code
  }
}
