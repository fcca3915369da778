import type { AckSample } from "../../../src/tcp/congestion/control.ts"

/** Segments of 1000 octets. */
export const M = 1000
export const MS = 1000
export const SECOND = 1_000_000

/** An ACK of one new segment by a sender that fills its window; `told` says where it differs. */
export const ack = (told: Partial<AckSample> = {}): AckSample => {
  const acked = told.acked ?? M
  return {
    delivered: acked,
    acked,
    lost: 0,
    priorFlight: 10 * M,
    flight: 9 * M,
    rtt: 100 * MS,
    srtt: 100 * MS,
    minRtt: 100 * MS,
    cwndLimited: true,
    recovering: false,
    una: 1,
    nxt: 1,
    paced: true,
    deliveryRate: 0,
    appLimited: false,
    totalDelivered: 0,
    deliveredAtSend: 0,
    ...told,
  }
}
