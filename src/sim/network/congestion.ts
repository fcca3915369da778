import type { TcpSettings } from "../../tcp/settings.ts"

/** The congestion controls that a simulated sender can be given. */
export const CONGESTION_CONTROLS: ReadonlyArray<string> = ["reno"]

/** A sender's settings with one of them chosen; undefined: the stack does not have it. */
export const withCongestionControl = (
  settings: Partial<TcpSettings>,
  name: string,
): Partial<TcpSettings> | undefined => (CONGESTION_CONTROLS.includes(name) ? settings : undefined)
