import type { Position } from "../ast.ts"
import { ScriptError, syntax, unsupported } from "../scriptError.ts"
import { type Token, tokenize } from "./tokens.ts"

/** What an expression of the Python subset may be. */
export type PyExpression =
  | { readonly _tag: "Constant"; readonly value: number | string | boolean | undefined }
  | { readonly _tag: "Name"; readonly name: string; readonly at: Position }
  | { readonly _tag: "Unary"; readonly operator: string; readonly of: PyExpression }
  | { readonly _tag: "Binary"; readonly operator: string; readonly left: PyExpression; readonly right: PyExpression }
  /** a < b < c */
  | {
      readonly _tag: "Compare"
      readonly operators: ReadonlyArray<string>
      readonly operands: ReadonlyArray<PyExpression>
    }
  | { readonly _tag: "Choice"; readonly test: PyExpression; readonly yes: PyExpression; readonly no: PyExpression }
  | { readonly _tag: "Sequence"; readonly items: ReadonlyArray<PyExpression> }
  | { readonly _tag: "Call"; readonly name: string; readonly args: ReadonlyArray<PyExpression>; readonly at: Position }
  | { readonly _tag: "Index"; readonly of: PyExpression; readonly index: PyExpression }

export type PyStatement =
  | {
      readonly _tag: "Assert"
      readonly test: PyExpression
      readonly message: PyExpression | undefined
      readonly at: Position
      /** The test as written. */
      readonly text: string
    }
  | { readonly _tag: "Assign"; readonly name: string; readonly operator: string; readonly value: PyExpression }
  | { readonly _tag: "Print" }
  | { readonly _tag: "If"; readonly test: PyExpression; readonly then: Block; readonly otherwise: Block }

export type Block = ReadonlyArray<PyStatement>

/** Reads the code between %{ and }%; throws a ScriptError. */
export const parseCode = (code: string, at: Position): Block => new Parser(tokenize(code, at), code, at).program()

const COMPARISONS = ["==", "!=", "<=", ">=", "<", ">"]
/** Binary operators from loosest to tightest. */
const LEVELS = [["|"], ["^"], ["&"], ["<<", ">>"], ["+", "-"], ["*", "/", "//", "%"]]

class Parser {
  private readonly tokens: ReadonlyArray<Token>
  private readonly lines: ReadonlyArray<string>
  private readonly start: Position
  private index = 0

  constructor(tokens: ReadonlyArray<Token>, code: string, start: Position) {
    this.tokens = tokens
    this.lines = code.split("\n")
    this.start = start
  }

  program(): Block {
    const block: Array<PyStatement> = []
    this.skipLines()
    while (this.peek().kind !== "end") {
      block.push(...this.statement())
      this.skipLines()
    }
    return block
  }

  private statement(): ReadonlyArray<PyStatement> {
    const token = this.peek()
    switch (token.kind === "name" ? token.text : "") {
      case "assert":
        return [this.assertion()]
      case "if":
        return [this.conditional()]
      case "pass":
        this.next()
        return []
      case "print":
        return [this.print()]
      case "import":
      case "from":
      case "for":
      case "while":
      case "def":
      case "class":
      case "try":
      case "with":
      case "global":
      case "lambda":
        return unsupported(token.at, `"${token.text}" in code`)
      default:
        return this.assignment()
    }
  }

  private assertion(): PyStatement {
    const { at } = this.next()
    const from = this.peek().at
    const test = this.expression()
    const to = this.peek().at
    const message = this.take(",") ? this.tuple() : undefined
    return { _tag: "Assert", test, message, at, text: this.source(from, to) }
  }

  private print(): PyStatement {
    this.next()
    while (this.peek().kind !== "newline") this.next()
    return { _tag: "Print" }
  }

  private assignment(): ReadonlyArray<PyStatement> {
    const target = this.peek()
    const value = this.tuple()
    const operator = this.peek()
    if (!["=", "+=", "-=", "*="].includes(operator.text)) return []
    this.next()
    if (value._tag !== "Name") return syntax(target.at, "code: only a name can be assigned to")
    return [{ _tag: "Assign", name: value.name, operator: operator.text, value: this.tuple() }]
  }

  private conditional(): PyStatement {
    const head = this.next()
    const test = this.expression()
    this.expect(":")
    const then = this.block(head.indent)
    const mark = this.index
    this.skipLines()
    const word = this.peek()
    if (word.indent === head.indent && word.text === "elif") {
      return { _tag: "If", test, then, otherwise: [this.conditional()] }
    }
    if (word.indent === head.indent && word.text === "else") {
      this.next()
      this.expect(":")
      return { _tag: "If", test, then, otherwise: this.block(head.indent) }
    }
    this.index = mark
    return { _tag: "If", test, then, otherwise: [] }
  }

  /** Statements on the same line, or indented deeper than `outer` on the next ones. */
  private block(outer: number): Block {
    const block: Array<PyStatement> = []
    if (this.peek().kind !== "newline") {
      block.push(...this.statement())
      while (this.peek().text === ";") {
        this.next()
        if (this.peek().kind !== "newline") block.push(...this.statement())
      }
      return block
    }
    this.skipLines()
    if (this.peek().indent <= outer) this.fail("expected an indented block")
    while (this.peek().kind !== "end" && this.peek().indent > outer) {
      block.push(...this.statement())
      this.skipLines()
    }
    return block
  }

  private tuple(): PyExpression {
    const first = this.expression()
    if (this.peek().text !== ",") return first
    const items = [first]
    while (this.take(",")) if (!["newline", "end"].includes(this.peek().kind)) items.push(this.expression())
    return { _tag: "Sequence", items }
  }

  private expression(): PyExpression {
    const value = this.either("or")
    if (!this.take("if")) return value
    const test = this.either("or")
    this.expect("else")
    return { _tag: "Choice", test, yes: value, no: this.expression() }
  }

  private either(operator: "or" | "and"): PyExpression {
    const operand = () => (operator === "or" ? this.either("and") : this.negation())
    let left = operand()
    while (this.take(operator)) left = { _tag: "Binary", operator, left, right: operand() }
    return left
  }

  private negation(): PyExpression {
    return this.take("not") ? { _tag: "Unary", operator: "not", of: this.negation() } : this.comparison()
  }

  private comparison(): PyExpression {
    const operands = [this.binary(0)]
    const operators: Array<string> = []
    for (let operator = this.comparator(); operator !== undefined; operator = this.comparator()) {
      operators.push(operator)
      operands.push(this.binary(0))
    }
    const [only] = operands
    return operators.length === 0 && only !== undefined ? only : { _tag: "Compare", operators, operands }
  }

  private comparator(): string | undefined {
    const { text, kind } = this.peek()
    if (kind === "operator" && COMPARISONS.includes(text)) return this.next().text
    if (this.take("in")) return "in"
    if (this.take("is")) return this.take("not") ? "!=" : "=="
    if (text === "not" && this.tokens[this.index + 1]?.text === "in") {
      this.index += 2
      return "not in"
    }
    return undefined
  }

  private binary(level: number): PyExpression {
    const operators = LEVELS[level]
    if (operators === undefined) return this.unary()
    let left = this.binary(level + 1)
    while (this.peek().kind === "operator" && operators.includes(this.peek().text)) {
      left = { _tag: "Binary", operator: this.next().text, left, right: this.binary(level + 1) }
    }
    return left
  }

  private unary(): PyExpression {
    for (const operator of ["-", "+", "~"])
      if (this.take(operator)) return { _tag: "Unary", operator, of: this.unary() }
    const base = this.postfix()
    return this.take("**") ? { _tag: "Binary", operator: "**", left: base, right: this.unary() } : base
  }

  private postfix(): PyExpression {
    let value = this.atom()
    for (;;) {
      if (this.take("[")) {
        value = { _tag: "Index", of: value, index: this.expression() }
        this.expect("]")
      } else if (this.peek().text === ".") {
        return unsupported(this.peek().at, "attributes in code")
      } else return value
    }
  }

  private atom(): PyExpression {
    const token = this.next()
    if (token.kind === "number") return { _tag: "Constant", value: Number(token.text) }
    if (token.kind === "string") return this.strings(token)
    if (token.text === "(" || token.text === "[") return this.parenthesized(token)
    if (token.kind !== "name")
      return syntax(token.at, `code: "${token.text.trim() || "line end"}" where a value belongs`)
    if (token.text === "True" || token.text === "False") return { _tag: "Constant", value: token.text === "True" }
    if (token.text === "None") return { _tag: "Constant", value: undefined }
    if (!this.take("(")) return { _tag: "Name", name: token.text, at: token.at }
    const args: Array<PyExpression> = []
    while (!this.take(")")) {
      args.push(this.expression())
      if (this.peek().text !== ")") this.expect(",")
    }
    return { _tag: "Call", name: token.text, args, at: token.at }
  }

  private strings(first: Token): PyExpression {
    let value = first.text.slice(1, -1)
    while (this.peek().kind === "string") value += this.next().text.slice(1, -1)
    return { _tag: "Constant", value }
  }

  private parenthesized(open: Token): PyExpression {
    const close = open.text === "(" ? ")" : "]"
    const items: Array<PyExpression> = []
    let tuple = open.text === "["
    while (!this.take(close)) {
      items.push(this.expression())
      if (this.take(",")) tuple = true
      else if (this.peek().text !== close) this.fail(`expected "${close}"`)
    }
    const [only] = items
    return tuple || only === undefined ? { _tag: "Sequence", items } : only
  }

  private source(from: Position, to: Position): string {
    const line = this.lines[from.line - this.start.line] ?? ""
    const base = from.line === this.start.line ? this.start.column : 1
    return line.slice(from.column - base, to.line === from.line ? to.column - base : undefined).trim()
  }

  private peek(): Token {
    return this.tokens[this.index] ?? syntax(this.start, "code: unexpected end")
  }

  private next(): Token {
    const token = this.peek()
    this.index++
    return token
  }

  private take(text: string): boolean {
    const token = this.peek()
    if (token.text !== text || token.kind === "string") return false
    this.index++
    return true
  }

  private expect(text: string): void {
    if (!this.take(text)) this.fail(`expected "${text}"`)
  }

  private skipLines(): void {
    while (this.peek().kind === "newline") this.index++
  }

  private fail(message: string): never {
    throw new ScriptError("syntax", this.peek().at, `code: ${message}, found "${this.peek().text.trim()}"`)
  }
}
