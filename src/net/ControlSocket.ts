/**
 * A window into a running process: a Unix socket in the user's runtime directory, mode 0600, that
 * answers what `netfold ss`, `nstat`, `addr`, `route` and `neigh` ask. A program of one's own that opens one is listed
 * there like netfold's commands.
 */
export { type Asked, askAll, directories, type ProcessView, type StackView } from "./controlClient.ts"
export type { ControlFile } from "./controlDirectory.ts"
export { ControlSocketError } from "./controlError.ts"
export { type Request, VERSION } from "./controlProtocol.ts"
export { type ControlOptions, open } from "./controlServer.ts"
