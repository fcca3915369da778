import { md5Digest } from "../../host/authentication/mac.ts"
import { md5KeyFor } from "../../tcp/authentication/keys.ts"
import { findSignatures, type Octets } from "../../tcp/authentication/octets.ts"
import { sameEndpoint } from "../../wire/address.ts"
import { OPTION_HEAD } from "../../wire/tcpOptionKind.ts"
import type { OptionSpec, TcpAction } from "./ast.ts"
import type { File, SocketFile } from "./files.ts"
import type { Flow } from "./flow.ts"
import { syntax } from "./scriptError.ts"

/**
 * The key that TCP_MD5SIG has given for a connection's peer: to the socket itself, or while there is none
 * to the listener that the peer speaks to.
 */
export const md5KeyOf = (files: ReadonlyMap<number, File>, flow: Flow): Uint8Array | undefined => {
  const sockets = [...files.values()].filter((file): file is SocketFile => file.kind === "socket")
  const owner =
    sockets.find((file) => file.flow !== undefined && sameEndpoint(file.flow.remote, flow.remote)) ??
    sockets.find((file) => file.role === "listener" && file.bound?.port === flow.local.port)
  return md5KeyFor(owner?.options.authentication, flow.remote.address)?.key
}

/** `<md5 valid>`: the digest is the segment's (RFC 2385 section 2.0) and not written down. */
const isValid = (option: OptionSpec): boolean => option._tag === "md5" && option.digest === "valid"

/** Puts the digest into a segment that is whole but for it and the checksum, where the script asks for the right one. */
export const signInbound = (action: TcpAction, octets: Octets, key: Uint8Array | undefined): void => {
  if (action.options === "any" || !action.options.some(isValid)) return
  const { at } = action
  if (key === undefined) return syntax(at, "<md5 valid> needs a key: setsockopt(..., TCP_MD5SIG, ...)")
  const found = findSignatures(octets)
  if (found === undefined || found.md5 === 0) return syntax(at, "<md5 valid> cannot be the second signature")
  octets.bytes.set(md5Digest(octets, key), found.md5 + OPTION_HEAD)
}

/** The expected options with the digest that the segment seen must have, where the script asks for the right one. */
export const withDigest = (
  options: ReadonlyArray<OptionSpec>,
  octets: Octets,
  key: Uint8Array | undefined,
): ReadonlyArray<OptionSpec> =>
  key === undefined || !options.some(isValid)
    ? options
    : options.map((option) => (isValid(option) ? { _tag: "md5", digest: md5Digest(octets, key) } : option))

/** Whether the packet has a digest: it is of the packet as it is, and neither joined to others nor cut. */
export const isSigned = ({ options }: TcpAction): boolean =>
  options !== "any" && options.some(({ _tag }) => _tag === "md5")
