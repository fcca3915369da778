/** Why a frame did not arrive. */
export const LOSS_REASONS = [
  "link:mtu",
  "link:down",
  "link:full",
  "queue:full",
  "codel:RFC8289-5:drop",
  "red:early-drop",
  "wire:random-loss",
  "wire:burst-loss",
] as const

export type LossReason = (typeof LOSS_REASONS)[number]
