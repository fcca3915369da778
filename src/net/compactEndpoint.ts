import { type Endpoint, ipv4 } from "../wire/address.ts"

/** An endpoint as what is kept of it where there are very many: of IPv4 one number, which takes no record of its own. */
export type CompactEndpoint = number | Endpoint

const PORTS = 65_536

export const compact = (endpoint: Endpoint): CompactEndpoint =>
  endpoint.address.family === 4 ? endpoint.address.d * PORTS + endpoint.port : endpoint

export const unpacked = (endpoint: CompactEndpoint): Endpoint =>
  typeof endpoint === "number" ? { address: ipv4(Math.floor(endpoint / PORTS)), port: endpoint % PORTS } : endpoint
