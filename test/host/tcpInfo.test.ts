import { describe, expect, test } from "bun:test"
import { B, C, Pair, pattern, SECOND } from "./lab.ts"

const opened = (server = {}) => {
  const pair = new Pair()
  return { pair, ...pair.open(7, {}, server) }
}

describe("TCP_INFO (Linux's tcp_get_info)", () => {
  test("a fresh connection: what the handshake was", () => {
    const { pair, client, server } = opened()
    expect(pair.a.host.info(client, pair.now)).toMatchObject({
      tcpi_state: 1,
      tcpi_ca_state: 0,
      tcpi_options: 7,
      tcpi_snd_mss: 1448,
      tcpi_advmss: 1448,
      tcpi_ato: 40_000,
      tcpi_last_data_sent: 0,
      tcpi_probes: 0,
      tcpi_pmtu: 1500,
      tcpi_snd_cwnd: 10,
      tcpi_snd_ssthresh: 0x7fffffff,
      // The SYN.
      tcpi_bytes_acked: 1,
      tcpi_bytes_received: 0,
      tcpi_segs_out: 2,
      tcpi_segs_in: 1,
    })
    expect(pair.b.host.info(server, pair.now)).toMatchObject({
      tcpi_bytes_acked: 0,
      tcpi_segs_in: 1,
      tcpi_data_segs_in: 0,
    })
  })

  test("data one way, then a FIN: octets and segments at both ends", () => {
    const { pair, client, server } = opened()
    pair.a.write(client, pattern(10_000))
    pair.a.shutdown(client)
    pair.settle()
    expect(pair.a.host.info(client, pair.now)).toMatchObject({
      tcpi_state: 5,
      tcpi_bytes_sent: 10_000,
      tcpi_bytes_retrans: 0,
      tcpi_bytes_acked: 10_001,
      tcpi_data_segs_out: 7,
      tcpi_total_retrans: 0,
      tcpi_unacked: 0,
      tcpi_notsent_bytes: 0,
    })
    expect(pair.b.host.info(server, pair.now)).toMatchObject({
      tcpi_state: 8,
      tcpi_bytes_received: 10_001,
      tcpi_data_segs_in: 7,
    })
  })

  test("a peer that has gone: octets sent again, the back-off, when data last left", () => {
    const { pair, client } = opened()
    pair.a.write(client, pattern(1000))
    const end = pair.now + SECOND
    for (pair.a.turn(); pair.a.host.nextDeadline() <= end; pair.a.turn()) pair.now = pair.a.host.nextDeadline()
    pair.now = end
    const info = pair.a.host.info(client, pair.now)
    expect(info).toMatchObject({
      tcpi_ca_state: 4,
      // A tail loss probe, and two time-outs.
      tcpi_bytes_sent: 4000,
      tcpi_bytes_retrans: 3000,
      tcpi_total_retrans: 3,
      // Retransmissions are no probes.
      tcpi_retransmits: 2,
      tcpi_probes: 0,
    })
    expect(info?.tcpi_backoff).toBe(2)
    expect(info?.tcpi_busy_time).toBe(SECOND)
    expect(info?.tcpi_last_data_sent).toBeWithin(150, 250)
  })

  test("a reader that does not read: the time that the window holds up", () => {
    const { pair, client } = opened({ receiveBuffer: 4000 })
    pair.a.write(client, pattern(20_000))
    pair.wait(2 * SECOND)
    const info = pair.a.host.info(client, pair.now)
    expect(info?.tcpi_rwnd_limited).toBe(2 * SECOND)
    expect(info?.tcpi_busy_time).toBe(2 * SECOND)
    expect(info?.tcpi_sndbuf_limited).toBe(0)
    expect(info?.tcpi_probes).toBe(0)
    expect(info?.tcpi_notsent_bytes).toBeGreaterThan(10_000)
  })

  test("a window that stays closed, and nobody answers: the probes; a window clamp: what may be announced", () => {
    const { pair, client, server } = opened({ receiveBuffer: 4000 })
    pair.a.write(client, pattern(20_000))
    pair.wait(SECOND)
    const end = pair.now + 10 * SECOND
    for (pair.a.turn(); pair.a.host.nextDeadline() <= end; pair.a.turn()) pair.now = pair.a.host.nextDeadline()
    pair.now = end
    expect(pair.a.host.info(client, pair.now)).toMatchObject({ tcpi_retransmits: 0, tcpi_unacked: 0 })
    expect(pair.a.host.info(client, pair.now)?.tcpi_probes).toBeGreaterThan(1)
    expect(pair.b.host.info(server, pair.now)?.tcpi_rcv_ssthresh).toBe(4000)
  })

  test("nothing sent for a while: since the handshake", () => {
    const { pair, client } = opened()
    pair.wait(3 * SECOND)
    expect(pair.a.host.info(client, pair.now)).toMatchObject({ tcpi_last_data_sent: 3000, tcpi_last_data_recv: 3000 })
  })

  test("a listener: the accept queue and its limit", () => {
    const { pair, listener } = opened()
    pair.a.connect(B, 7)
    pair.settle()
    expect(pair.b.host.info(listener, pair.now)).toEqual({ tcpi_state: 10, tcpi_unacked: 1, tcpi_sacked: 128 })
  })

  test("SYN-SENT to nobody: its retransmissions", () => {
    const { pair } = opened()
    const attempt = pair.a.connect(C, 7)
    pair.wait(1_500_000)
    expect(pair.a.host.info(attempt, pair.now)).toMatchObject({ tcpi_state: 2, tcpi_retransmits: 1 })
  })

  test("a listener whose queues are full: what it had no room for", () => {
    const pair = new Pair({}, { settings: { tcpSyncookies: 0 } })
    const listener = pair.b.listen(7, { backlog: 1 })
    for (let i = 0; i < 8; i++) pair.a.connect(B, 7)
    pair.settle()
    expect(pair.b.host.status(listener)?.drops).toBe(pair.b.counter("ListenDrops"))
    expect(pair.b.counter("ListenDrops")).toBeGreaterThan(0)
  })
})
