/** What a host has done with the packets of one IP version: RFC 4293's counters, plain fields because every packet is counted. */
export class IpCounts {
  inReceives = 0
  inHdrErrors = 0
  inAddrErrors = 0
  inNoRoutes = 0
  inUnknownProtos = 0
  inDelivers = 0
  forwDatagrams = 0
  outRequests = 0
  outNoRoutes = 0
  outDiscards = 0

  /** Under the names of /proc/net/snmp and snmp6, the group in front, as they are when looked at. */
  views(family: 4 | 6): ReadonlyArray<readonly [name: string, get: () => number]> {
    const group = family === 4 ? "Ip" : "Ip6"
    return [
      [`${group}InReceives`, () => this.inReceives],
      [`${group}InHdrErrors`, () => this.inHdrErrors],
      [`${group}InAddrErrors`, () => this.inAddrErrors],
      [`${group}InNoRoutes`, () => this.inNoRoutes],
      [`${group}InUnknownProtos`, () => this.inUnknownProtos],
      [`${group}InDelivers`, () => this.inDelivers],
      [family === 4 ? "IpForwDatagrams" : "Ip6OutForwDatagrams", () => this.forwDatagrams],
      [`${group}OutRequests`, () => this.outRequests],
      [`${group}OutNoRoutes`, () => this.outNoRoutes],
      [`${group}OutDiscards`, () => this.outDiscards],
    ]
  }
}

export type BothIpCounts = { readonly 4: IpCounts; readonly 6: IpCounts }
