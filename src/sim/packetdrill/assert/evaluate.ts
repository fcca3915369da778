import type { Position } from "../ast.ts"
import { syntax, unsupported } from "../scriptError.ts"
import type { Block, PyExpression } from "./syntax.ts"

export type PyValue = number | string | boolean | undefined | ReadonlyArray<PyValue>

/** Names that code sees, and keeps from one block of a script to the next. */
export type Environment = Map<string, PyValue>

/** An assertion that did not hold. */
export interface AssertionFailure {
  readonly at: Position
  readonly text: string
  /** The assertion's own message, and the values of the names in it. */
  readonly detail: string
}

/** Runs code until an assertion fails. `lookup` knows what is not assigned: TCP_INFO's names and constants. */
export const run = (
  block: Block,
  environment: Environment,
  lookup: (name: string) => PyValue,
): AssertionFailure | undefined => {
  const context: Context = { environment, lookup }
  for (const statement of block) {
    switch (statement._tag) {
      case "Assert":
        if (!truth(evaluate(statement.test, context))) {
          const message = statement.message === undefined ? "" : format(evaluate(statement.message, context))
          const names = namesIn(statement.test).map((name) => `${name} = ${format(lookUp(name, context))}`)
          return { at: statement.at, text: statement.text, detail: [message, ...names].filter(Boolean).join("; ") }
        }
        break
      case "Assign": {
        const value = evaluate(statement.value, context)
        const operator = statement.operator.slice(0, -1)
        const before = environment.get(statement.name)
        environment.set(statement.name, operator === "" ? value : arithmetic(operator, before, value))
        break
      }
      case "If": {
        const chosen = truth(evaluate(statement.test, context)) ? statement.then : statement.otherwise
        const failure = run(chosen, environment, lookup)
        if (failure !== undefined) return failure
        break
      }
      case "Print":
        break
    }
  }
  return undefined
}

interface Context {
  readonly environment: Environment
  readonly lookup: (name: string) => PyValue
}

const lookUp = (name: string, { environment, lookup }: Context): PyValue =>
  environment.has(name) ? environment.get(name) : lookup(name)

const evaluate = (expression: PyExpression, context: Context): PyValue => {
  switch (expression._tag) {
    case "Constant":
      return expression.value
    case "Name":
      return lookUp(expression.name, context) ?? unsupported(expression.at, `the name ${expression.name} in code`)
    case "Sequence":
      return expression.items.map((item) => evaluate(item, context))
    case "Unary":
      return unary(expression.operator, evaluate(expression.of, context))
    case "Choice":
      return evaluate(truth(evaluate(expression.test, context)) ? expression.yes : expression.no, context)
    case "Binary": {
      const left = evaluate(expression.left, context)
      if (expression.operator === "and") return truth(left) ? evaluate(expression.right, context) : left
      if (expression.operator === "or") return truth(left) ? left : evaluate(expression.right, context)
      return arithmetic(expression.operator, left, evaluate(expression.right, context))
    }
    case "Compare": {
      const values = expression.operands.map((operand) => evaluate(operand, context))
      return expression.operators.every((operator, i) => compare(operator, values[i], values[i + 1]))
    }
    case "Index": {
      const sequence = evaluate(expression.of, context)
      const index = number(evaluate(expression.index, context))
      return typeof sequence === "object" || typeof sequence === "string" ? sequence.at(index) : undefined
    }
    case "Call":
      return call(
        expression.name,
        expression.args.map((arg) => evaluate(arg, context)),
        expression.at,
      )
  }
}

const truth = (value: PyValue): boolean => (typeof value === "object" ? value.length > 0 : Boolean(value))

const number = (value: PyValue): number =>
  typeof value === "number" || typeof value === "boolean"
    ? Number(value)
    : syntax({ line: 1, column: 1 }, `code: ${format(value)} is not a number`)

const unary = (operator: string, value: PyValue): PyValue => {
  if (operator === "not") return !truth(value)
  if (operator === "-") return -number(value)
  return operator === "~" ? -number(value) - 1 : number(value)
}

/** Bits as BigInt, so that 64-bit counters keep theirs. */
const bits = (operator: string, left: number, right: number): number => {
  const [x, y] = [BigInt(left), BigInt(right)]
  switch (operator) {
    case "|":
      return Number(x | y)
    case "&":
      return Number(x & y)
    case "^":
      return Number(x ^ y)
    case "<<":
      return Number(x << y)
    default:
      return Number(x >> y)
  }
}

const arithmetic = (operator: string, left: PyValue, right: PyValue): PyValue => {
  if (typeof left === "string") return operator === "%" ? substitute(left, right) : left + format(right)
  const [x, y] = [number(left), number(right)]
  switch (operator) {
    case "+":
      return x + y
    case "-":
      return x - y
    case "*":
      return x * y
    case "/":
      return x / y
    case "//":
      return Math.floor(x / y)
    case "%":
      return x - Math.floor(x / y) * y
    case "**":
      return x ** y
    default:
      return bits(operator, x, y)
  }
}

const substitute = (template: string, value: PyValue): string => {
  const values = typeof value === "object" ? [...value] : [value]
  return template.replace(/%[-+0-9.]*[a-zA-Z%]/g, (mark) => (mark === "%%" ? "%" : format(values.shift())))
}

const compare = (operator: string, left: PyValue, right: PyValue): boolean => {
  switch (operator) {
    case "==":
      return same(left, right)
    case "!=":
      return !same(left, right)
    case "in":
      return typeof right === "object" && right.some((item) => same(item, left))
    case "not in":
      return typeof right === "object" && !right.some((item) => same(item, left))
    case "<":
      return number(left) < number(right)
    case "<=":
      return number(left) <= number(right)
    case ">":
      return number(left) > number(right)
    default:
      return number(left) >= number(right)
  }
}

const same = (left: PyValue, right: PyValue): boolean => {
  if (typeof left === "object" && typeof right === "object") {
    return left.length === right.length && left.every((item, i) => same(item, right[i]))
  }
  if (left === undefined || right === undefined || typeof left === "string" || typeof right === "string") {
    return left === right
  }
  return Number(left) === Number(right)
}

const call = (name: string, args: ReadonlyArray<PyValue>, at: Position): PyValue => {
  const [first] = args
  const numbers = () => (typeof first === "object" ? first : args).map(number)
  switch (name) {
    case "abs":
      return Math.abs(number(first))
    case "min":
      return Math.min(...numbers())
    case "max":
      return Math.max(...numbers())
    case "int":
      return Math.trunc(number(first))
    case "float":
      return number(first)
    case "round":
      return Math.round(number(first))
    case "bool":
      return truth(first)
    case "len":
      return typeof first === "object" || typeof first === "string" ? first.length : 0
    case "str":
    case "repr":
    case "hex":
      return format(first)
    default:
      return unsupported(at, `the function ${name} in code`)
  }
}

const format = (value: PyValue): string => {
  if (typeof value === "object") return `(${value.map(format).join(", ")})`
  if (typeof value === "boolean") return value ? "True" : "False"
  return value === undefined ? "None" : String(value)
}

const namesIn = (expression: PyExpression): ReadonlyArray<string> => {
  switch (expression._tag) {
    case "Name":
      return /^[a-z]/.test(expression.name) ? [expression.name] : []
    case "Unary":
      return namesIn(expression.of)
    case "Binary":
      return [...namesIn(expression.left), ...namesIn(expression.right)]
    case "Compare":
      return expression.operands.flatMap(namesIn)
    case "Choice":
      return [expression.test, expression.yes, expression.no].flatMap(namesIn)
    case "Sequence":
      return expression.items.flatMap(namesIn)
    case "Call":
      return expression.args.flatMap(namesIn)
    default:
      return []
  }
}
