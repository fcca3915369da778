import type { CallAction, Expression, Field } from "./ast.ts"

interface ArgumentsVariant {
  readonly what: string
  readonly args: ReadonlyArray<Expression>
}

/** Where a call fills in something that the script says: which argument, and which fields of it (undefined: all of it). */
const RESULTS: Readonly<
  Record<string, { readonly argument: number; readonly fields: ReadonlyArray<string> | undefined }>
> = {
  getsockopt: { argument: 3, fields: undefined },
  ioctl: { argument: 2, fields: undefined },
  poll: { argument: 0, fields: ["revents"] },
  epoll_wait: { argument: 1, fields: ["events"] },
  recvmsg: { argument: 1, fields: ["msg_flags", "msg_control"] },
}

/** Arguments with one value changed that the call is to give back. */
export const mutantsOfArguments = (action: CallAction): ReadonlyArray<ArgumentsVariant> => {
  const { args } = action
  const result = RESULTS[action.name]
  const value = result === undefined ? undefined : args[result.argument]
  // A call that fails fills in nothing.
  if (result === undefined || value === undefined || action.errno !== undefined) return []
  // Nor does one that finds no event.
  if (action.name === "epoll_wait" && action.result._tag === "Number" && action.result.value === 0) return []
  // FIONBIO takes its value.
  const request = args[1]
  if (action.name === "ioctl" && request?._tag === "Name" && request.name === "FIONBIO") return []
  return variants(value, result.fields, result.fields === undefined).map(({ what, changed }) => ({
    what,
    args: args.with(result.argument, changed),
  }))
}

interface Changed {
  readonly what: string
  readonly changed: Expression
}

const variants = (
  value: Expression,
  fields: ReadonlyArray<string> | undefined,
  inside: boolean,
): ReadonlyArray<Changed> => {
  switch (value._tag) {
    case "Number":
      return inside ? [{ what: `${value.value} ^ 1`, changed: { ...value, value: value.value ^ 1 } }] : []
    case "Name":
    case "Or":
    case "Not": {
      if (!inside) return []
      // A bit that no event and no error number has.
      const bit: Expression = { _tag: "Number", at: value.at, value: 0x100000 }
      return [{ what: "a bit more", changed: { _tag: "Or", at: value.at, parts: [value, bit] } }]
    }
    case "Text":
      return inside ? [{ what: "another text", changed: { ...value, value: `${value.value}x` } }] : []
    case "Array":
      return value.items.flatMap((item, i) =>
        variants(item, fields, inside).map(({ what, changed }) => ({
          what,
          changed: { ...value, items: value.items.with(i, changed) },
        })),
      )
    case "Struct":
      return value.fields.flatMap((field, i) => ofField(field, fields, inside, value, i))
    case "Ellipsis":
    case "Apply":
      return []
  }
}

const ofField = (
  field: Field,
  fields: ReadonlyArray<string> | undefined,
  inside: boolean,
  struct: Extract<Expression, { readonly _tag: "Struct" }>,
  index: number,
): ReadonlyArray<Changed> => {
  // Of a time, what is within the tolerance is right: 100 ms are not.
  if (inside && field.name === "scm_nsec" && field.value._tag === "Number") {
    const later: Expression = { ...field.value, value: field.value.value + 100_000_000 }
    return [
      {
        what: "100 ms later",
        changed: { ...struct, fields: struct.fields.with(index, { ...field, value: later }) },
      },
    ]
  }
  const checked = inside || (field.name !== undefined && fields?.includes(field.name) === true)
  return variants(field.value, fields, checked).map(({ what, changed }) => ({
    what: `${field.name ?? index}: ${what}`,
    changed: { ...struct, fields: struct.fields.with(index, { ...field, value: changed }) },
  }))
}
