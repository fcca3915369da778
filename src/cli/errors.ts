import { ValidationError } from "@effect/cli"
import { ConfigError, Data, Predicate } from "effect"

/** Something that the person at the keyboard can do something about: one line, no stack trace. */
export class UserError extends Data.TaggedError("UserError")<{
  readonly message: string
  /** To exit with. Default FAILURE. */
  readonly status?: number
}> {}

/** Exit statuses: of a usage error, and of everything else that went wrong. */
export const USAGE = 2
export const FAILURE = 1

/** What to print for an error, and with which status to exit. Undefined: it has been printed. */
export const explain = (error: unknown): { readonly status: number; readonly message: string | undefined } => {
  // The command line's parser has shown what is wrong, with help.
  if (ValidationError.isValidationError(error)) return { status: USAGE, message: undefined }
  if (error instanceof UserError) return { status: error.status ?? FAILURE, message: error.message }
  if (ConfigError.isConfigError(error)) return { status: FAILURE, message: configProblem(error) }
  if (Predicate.hasProperty(error, "message") && typeof error.message === "string") {
    return { status: FAILURE, message: error.message }
  }
  return { status: FAILURE, message: String(error) }
}

/** The setting's name as it is written, and what is wrong with it. */
const configProblem = (error: ConfigError.ConfigError): string =>
  error._op === "And" || error._op === "Or" ? configProblem(error.left) : `${error.path.join("_")}: ${error.message}`
