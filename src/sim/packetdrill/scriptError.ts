import type { Position } from "./ast.ts"

/**
 * Why a script cannot be run: it breaks the language's rules ("syntax"), or asks for something
 * that exists in packetdrill and not here ("unsupported", which counts neither as passed nor as failed).
 */
export class ScriptError extends Error {
  readonly kind: "syntax" | "unsupported"
  readonly at: Position

  constructor(kind: "syntax" | "unsupported", at: Position, message: string) {
    super(message)
    this.name = "ScriptError"
    this.kind = kind
    this.at = at
  }
}

/** For use as an expression: `value ?? syntax(at, "...")`. */
export const syntax = (at: Position, message: string): never => {
  throw new ScriptError("syntax", at, message)
}

export const unsupported = (at: Position, what: string): never => {
  throw new ScriptError("unsupported", at, what)
}
