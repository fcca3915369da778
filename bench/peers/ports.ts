import { writeFileSync } from "node:fs"

/**
 * The client closes first, and thousands of connections a second to one port would leave it none of its own: TIME-WAIT
 * holds each for a minute, or, with timestamps, which lwIP has not, for a second. Here most are forgotten at once.
 */
export const sparePorts = (): void => {
  const settings = { ip_local_port_range: "1024 65535", tcp_tw_reuse: 1, tcp_max_tw_buckets: 4096 }
  for (const [name, value] of Object.entries(settings)) writeFileSync(`/proc/sys/net/ipv4/${name}`, String(value))
}
