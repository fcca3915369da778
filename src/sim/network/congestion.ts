import { defaultSettings, type TcpSettings } from "../../tcp/settings.ts"

/** Those of the settings that this stack has: a comparison may name more than there are. */
export const known = (wanted: Readonly<Record<string, unknown>>): Partial<TcpSettings> =>
  // Names are compared, values are the caller's.
  Object.fromEntries(Object.entries(wanted).filter(([name]) => name in defaultSettings)) as Partial<TcpSettings>

const SETTING = "tcpCongestionControl"

/** The congestion controls that a simulated sender can be given, the default first. */
export const CONGESTION_CONTROLS: ReadonlyArray<string> =
  SETTING in defaultSettings ? ["cubic", "reno", "bbr"] : ["reno"]

/** A sender's settings with one of them chosen; undefined: the stack does not have it. */
export const withCongestionControl = (
  settings: Partial<TcpSettings>,
  name: string,
): Partial<TcpSettings> | undefined =>
  CONGESTION_CONTROLS.includes(name) ? { ...settings, ...known({ [SETTING]: name }) } : undefined
