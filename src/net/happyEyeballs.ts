import { Deferred, type Duration, Effect, Scope } from "effect"

/** RFC 8305 section 8. */
export const CONNECTION_ATTEMPT_DELAY: Duration.DurationInput = "250 millis"

/**
 * Tries one after the other (RFC 8305 section 5): the next begins when one has failed, or has been
 * at it for `delay`. The first that succeeds wins and the others are interrupted; when all fail, the
 * failure is the first one's, whose address was the best. What attempts acquire lives in the caller's scope.
 */
export const happyEyeballs = <T, A, E, R>(
  candidates: readonly [T, ...ReadonlyArray<T>],
  attempt: (candidate: T) => Effect.Effect<A, E, R | Scope.Scope>,
  delay: Duration.DurationInput = CONNECTION_ATTEMPT_DELAY,
): Effect.Effect<A, E, Exclude<R, Scope.Scope> | Scope.Scope> =>
  Effect.flatMap(Effect.scope, (outer) =>
    Effect.scoped(
      Effect.gen(function* () {
        const won = yield* Deferred.make<A, E>()
        const failures: Array<{ readonly index: number; readonly error: E }> = []
        const lost = (index: number, error: E): Effect.Effect<unknown> => {
          failures.push({ index, error })
          if (failures.length < candidates.length) return Effect.void
          const best = failures.reduce((one, other) => (other.index < one.index ? other : one))
          return Deferred.fail(won, best.error)
        }
        for (const [index, candidate] of candidates.entries()) {
          const ended = yield* Deferred.make<void>()
          yield* Scope.extend(attempt(candidate), outer).pipe(
            Effect.matchEffect({
              onSuccess: (value) => Deferred.succeed(won, value),
              onFailure: (error) => lost(index, error),
            }),
            Effect.zipRight(Deferred.succeed(ended, undefined)),
            Effect.forkScoped,
          )
          const settled = Effect.raceFirst(Deferred.await(ended), Effect.exit(Deferred.await(won)))
          yield* Effect.raceFirst(settled, Effect.sleep(delay))
          if (yield* Deferred.isDone(won)) break
        }
        return yield* Deferred.await(won)
      }),
    ),
  )

/** Families by turns, the first one's first, each in its order (RFC 8305 section 4). */
export const interleaved = <T>(candidates: ReadonlyArray<T>, familyOf: (candidate: T) => 4 | 6): ReadonlyArray<T> => {
  const [head] = candidates
  if (head === undefined) return []
  const first = candidates.filter((one) => familyOf(one) === familyOf(head))
  const second = candidates.filter((one) => familyOf(one) !== familyOf(head))
  const out: Array<T> = []
  for (let index = 0; index < Math.max(first.length, second.length); index++) {
    out.push(...first.slice(index, index + 1), ...second.slice(index, index + 1))
  }
  return out
}
