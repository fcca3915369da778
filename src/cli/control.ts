import { Options } from "@effect/cli"
import { Effect, type Scope } from "effect"
import * as ControlSocket from "../net/ControlSocket.ts"

/** `--no-control` */
export const noControl: Options.Options<boolean> = Options.boolean("no-control").pipe(
  Options.withDescription(
    "open no control socket: `netfold ss`, `nstat`, `addr`, `route` and `neigh` do not see this process",
  ),
)

/** A control socket for a command's stacks. A command that can have none goes on without it, and says so. */
export const control = (
  disabled: boolean,
  options: ControlSocket.ControlOptions,
): Effect.Effect<void, never, Scope.Scope> =>
  disabled
    ? Effect.void
    : ControlSocket.open(options).pipe(
        Effect.asVoid,
        Effect.catchAll(({ message }) =>
          Effect.sync(() => console.error(`netfold: no control socket, ss and nstat will not see this: ${message}`)),
        ),
      )
