import { STATE_NUMBERS } from "../../host/tcpInfo.ts"
import type { SocketStatus } from "../../host/types.ts"
import { type Endpoint, UNSPECIFIED4, UNSPECIFIED6 } from "../../wire/address.ts"
import { setIpv4, setIpv6 } from "../../wire/addressBytes.ts"

/** What a file of /proc shows of the socket table, as Linux's tcp4_seq_show prints it; undefined: it is no such file. */
export const procLines = (path: string, sockets: ReadonlyArray<SocketStatus>): ReadonlyArray<string> | undefined => {
  if (path !== "/proc/net/tcp" && path !== "/proc/net/tcp6") return undefined
  const family = path.endsWith("6") ? 6 : 4
  return sockets.filter(({ local }) => local.address.family === family).map(line)
}

const line = ({ state, local, remote, recvQ, sendQ }: SocketStatus, index: number): string => {
  const nowhere = { address: local.address.family === 4 ? UNSPECIFIED4 : UNSPECIFIED6, port: 0 }
  const [from, to] = [endpoint(local), endpoint(remote ?? nowhere)]
  return `${String(index).padStart(4)}: ${from} ${to} ${hex(STATE_NUMBERS[state], 2)} ${hex(sendQ, 8)}:${hex(recvQ, 8)}`
}

/** An address as words of the machine's order, here little-endian. */
const endpoint = ({ address, port }: Endpoint): string => {
  const octets = new Uint8Array(address.family === 4 ? 4 : 16)
  if (address.family === 4) setIpv4(octets, 0, address)
  else setIpv6(octets, 0, address)
  const words = new DataView(octets.buffer)
  let text = ""
  for (let at = 0; at < octets.length; at += 4) text += hex(words.getUint32(at, true), 8)
  return `${text}:${hex(port, 4)}`
}

const hex = (value: number, digits: number): string => value.toString(16).toUpperCase().padStart(digits, "0")
