import type { IpAddress } from "../../wire/address.ts"
import { parseAddress } from "../../wire/addressText.ts"
import type { Expression, Field } from "./ast.ts"
import { Lexer } from "./lexer.ts"
import { parseExpression } from "./parseCall.ts"
import { syntax, unsupported } from "./scriptError.ts"
import { SYMBOLS } from "./symbols.ts"

/** What `-D` and `#define` gave names to. */
export type Definitions = ReadonlyMap<string, string>

/** `expression` with a defined name replaced by its definition. */
export const resolve = (expression: Expression, definitions: Definitions): Expression => {
  if (expression._tag !== "Name") return expression
  const text = definitions.get(expression.name)
  if (text === undefined || text === expression.name) return expression
  return resolve(parseExpression(new Lexer(text)), definitions)
}

export const isEllipsis = (expression: Expression | undefined): boolean => expression?._tag === "Ellipsis"

/** The number that an expression stands for; `what` names it in the message when it stands for none. */
export const numberOf = (expression: Expression | undefined, definitions: Definitions, what: string): number => {
  if (expression === undefined) return syntax({ line: 1, column: 1 }, `${what} is missing`)
  const found = resolve(expression, definitions)
  switch (found._tag) {
    case "Number":
      return found.value
    case "Name":
      return SYMBOLS[found.name] ?? unsupported(found.at, `the name ${found.name}`)
    case "Or":
      return found.parts.reduce((bits, part) => (bits | numberOf(part, definitions, what)) >>> 0, 0)
    case "Not":
      return ~numberOf(found.of, definitions, what)
    case "Apply":
      return found.name === "htons" || found.name === "htonl"
        ? numberOf(found.args[0], definitions, what)
        : syntax(found.at, `${what} must be a number`)
    default:
      return syntax(found.at, `${what} must be a number`)
  }
}

/** As `numberOf`, with `...` (and nothing at all) standing for `otherwise`. */
export const numberOr = <T>(
  expression: Expression | undefined,
  definitions: Definitions,
  what: string,
  otherwise: T,
): number | T =>
  expression === undefined || isEllipsis(expression) ? otherwise : numberOf(expression, definitions, what)

export const itemsOf = (expression: Expression, what: string): ReadonlyArray<Expression> =>
  expression._tag === "Array" ? expression.items : syntax(expression.at, `${what} must be an array [...]`)

export const fieldsOf = (expression: Expression, what: string): ReadonlyArray<Field> =>
  expression._tag === "Struct" ? expression.fields : syntax(expression.at, `${what} must be a struct {...}`)

/** The value of the field that has one of the names. */
export const fieldOf = (fields: ReadonlyArray<Field>, ...names: ReadonlyArray<string>): Expression | undefined =>
  fields.find((field) => field.name !== undefined && names.includes(field.name))?.value

/** A socket address; parts that are `...` or absent are undefined. */
export interface AddressValue {
  readonly address: IpAddress | undefined
  readonly port: number | undefined
  readonly family: number | undefined
}

export const ANY_ADDRESS: AddressValue = { address: undefined, port: undefined, family: undefined }

export const addressOf = (expression: Expression | undefined, definitions: Definitions): AddressValue => {
  if (expression === undefined || isEllipsis(expression)) return ANY_ADDRESS
  const fields = fieldsOf(resolve(expression, definitions), "an address")
  const ip = fieldOf(fields, "sin_addr", "sin6_addr") ?? fields.map(({ value }) => value).find(isPton)
  return {
    family: numberOr(fieldOf(fields, "sa_family", "sin_family", "sin6_family"), definitions, "a family", undefined),
    port: numberOr(fieldOf(fields, "sin_port", "sin6_port"), definitions, "a port", undefined),
    address: ip === undefined || isEllipsis(ip) ? undefined : ipOf(ip, definitions),
  }
}

/** strace's `inet_pton(AF_INET6, "::1", &sin6_addr)` in the place of a field. */
const isPton = (value: Expression): boolean => value._tag === "Apply" && value.name === "inet_pton"

const ipOf = (expression: Expression, definitions: Definitions): IpAddress => {
  const found = resolve(expression, definitions)
  if (found._tag === "Apply") {
    const text = found.args.find(({ _tag }) => _tag === "Text")
    const address = text?._tag === "Text" ? parseAddress(text.value) : undefined
    return address ?? syntax(found.at, "not an IP address")
  }
  if (found._tag === "Text") return parseAddress(found.value) ?? syntax(found.at, "not an IP address")
  const address = parseAddress("0.0.0.0")
  if (address === undefined) return syntax(found.at, "not an IP address")
  return { ...address, d: numberOf(found, definitions, "an IP address") >>> 0 }
}
