/** packetdrill's names for ICMP types and their codes; a code that is not named is written as a number. */
interface IcmpType {
  readonly type: number
  readonly codes: Readonly<Record<string, number>>
}

const V4: Readonly<Record<string, IcmpType>> = {
  echo_reply: { type: 0, codes: {} },
  unreachable: {
    type: 3,
    codes: {
      net_unreachable: 0,
      host_unreachable: 1,
      protocol_unreachable: 2,
      port_unreachable: 3,
      frag_needed: 4,
      source_route_failed: 5,
      net_unknown: 6,
      host_unknown: 7,
      source_host_isolated: 8,
      net_prohibited: 9,
      host_prohibited: 10,
      net_unreachable_for_tos: 11,
      host_unreachable_for_tos: 12,
      packet_filtered: 13,
      precedence_violation: 14,
      precedence_cutoff: 15,
    },
  },
  source_quench: { type: 4, codes: {} },
  redirect: { type: 5, codes: { net_redirect: 0, host_redirect: 1 } },
  echo_request: { type: 8, codes: {} },
  time_exceeded: { type: 11, codes: { exceeded_ttl: 0, exceeded_frag: 1, ttl_exceeded: 0 } },
  parameter_problem: { type: 12, codes: {} },
}

const V6: Readonly<Record<string, IcmpType>> = {
  unreachable: {
    type: 1,
    codes: {
      no_route: 0,
      net_unreachable: 0,
      admin_prohibited: 1,
      packet_filtered: 1,
      not_neighbour: 2,
      beyond_scope: 2,
      addr_unreachable: 3,
      host_unreachable: 3,
      port_unreachable: 4,
    },
  },
  packet_too_big: { type: 2, codes: {} },
  time_exceeded: { type: 3, codes: { exceeded_hop_limit: 0, exceeded_frag: 1, exceeded_ttl: 0 } },
  parameter_problem: { type: 4, codes: { header_field: 0, unknown_next_header: 1, unknown_option: 2 } },
  echo_request: { type: 128, codes: {} },
  echo_reply: { type: 129, codes: {} },
}

/**
 * Type and code of what a script names, or undefined when it names nothing known.
 * "unreachable packet_too_big" is accepted for the IPv6 type that IPv4 has as a code.
 */
export const icmpNumbers = (
  family: 4 | 6,
  type: string,
  code: string | undefined,
): { readonly type: number; readonly code: number } | undefined => {
  if (family === 6 && (code === "packet_too_big" || code === "frag_needed")) return { type: 2, code: 0 }
  const known = (family === 4 ? V4 : V6)[type]
  const number = /^[0-9]+$/.test(type) ? Number(type) : known?.type
  if (number === undefined) return undefined
  if (code === undefined) return { type: number, code: 0 }
  const codeNumber = /^[0-9]+$/.test(code) ? Number(code) : known?.codes[code]
  return codeNumber === undefined ? undefined : { type: number, code: codeNumber }
}
