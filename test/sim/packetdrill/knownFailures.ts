/**
 * Scripts that say what an RFC or Linux says, and that the stack does not do yet. A script that
 * begins to pass must leave the list: the test insists.
 */
export const knownFailures: ReadonlySet<string> = new Set([])
