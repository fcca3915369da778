/** A script that a generator writes: where it goes below test/packetdrill, and its text. */
export interface Generated {
  readonly path: string
  readonly text: string
}

/** Comments, an empty line, then the events, as the scripts written by hand look. */
export const script = (path: string, comments: ReadonlyArray<string>, events: ReadonlyArray<string>): Generated => ({
  path,
  text: `${comments.map((line) => `// ${line}`).join("\n")}\n\n${events.join("\n")}\n`,
})

/** A listener on the script's port: descriptor 3. */
export const LISTENER: ReadonlyArray<string> = [
  "    0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3",
  "   +0 setsockopt(3, SOL_SOCKET, SO_REUSEADDR, [1], 4) = 0",
  "   +0 bind(3, ..., ...) = 0",
  "   +0 listen(3, 1) = 0",
]

/** A passive open with the peer's options; the connection is descriptor 4. */
export const accepted = (syn: string, synAck: string, ack = ""): ReadonlyArray<string> => [
  ...LISTENER,
  `   +0 < S 0:0(0) win 32792 <${syn}>`,
  `   +0 > S. 0:0(0) ack 1 <${synAck}>`,
  `  +.1 < . 1:1(0) ack 1 win 32792${ack === "" ? "" : ` <${ack}>`}`,
  "   +0 accept(3, ..., ...) = 4",
]
