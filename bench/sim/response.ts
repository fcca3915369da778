/** What theory expects of a flow that loses frames at random: windows in segments, times in seconds. */

/** RFC 5681's window under loss: RFC 9438 section 5.1 (its equation for AIMD with 1 and 0.5), that is sqrt(3/2) / sqrt(p). */
export const renoWindow = (loss: number): number => Math.sqrt(1.5 / loss)

const C = 0.4
const BETA = 0.7

/** RFC 9438 section 5.1: the cubic region's average window, and Reno's where that is larger (section 4.3). */
export const cubicWindow = (loss: number, rtt: number): number =>
  Math.max(((C * (3 + BETA)) / (4 * (1 - BETA))) ** 0.25 * (rtt / loss) ** 0.75, renoWindow(loss))

/** Bits per second that a window gives, no more than the link has. */
export const rateOf = (window: number, rtt: number, segment: number, link: number): number =>
  Math.min(link, (window * segment * 8) / rtt)

/** Undefined: the algorithm has no response function (BBR does not answer to loss). */
export const expected = (
  cc: string,
  {
    loss,
    rtt,
    segment,
    link,
  }: { readonly loss: number; readonly rtt: number; readonly segment: number; readonly link: number },
): number | undefined => {
  if (cc !== "reno" && cc !== "cubic") return undefined
  if (loss === 0) return link
  return rateOf(cc === "reno" ? renoWindow(loss) : cubicWindow(loss, rtt), rtt, segment, link)
}
