import type { Scenes } from "./matrix.ts"
import { closed, MS, play, type Scene, type Story, type WorldOptions } from "./world.ts"

/**
 * A connection in every state, made by what leads there. Where data can be outstanding, 1000 octets
 * are, sent 100 ms before the stimulus with an RTO of 300 ms, and our FIN after them.
 */
const at200 = (scene: Scene): Scene => ({ ...scene, now: 200 * MS })

const made = (story: Story, options: WorldOptions = {}): Scene => at200(play(closed(options), story))

/** With the user timer, once data has been sent again. */
const patient: WorldOptions = { socket: { userTimeout: 30_000 * MS } }
const unanswered = (story: Story): Scene => made([...story, [400, "retransmit timeout"]], patient)

/** With keep-alive on, and all acknowledged where our FIN is not on its way. */
const alive = (story: Story): Scene => made(story, { socket: { keepAlive: true, keepIdle: 10_000 * MS } })

/** The timer has found out how long the silence is, and runs for the rest of it. */
const silent = (story: Story): Scene => alive([...story, [10_100, "keepalive timeout"]])

const active: Story = [[0, "OPEN active"]]
const crossed: Story = [...active, [100, "<SYN> seq=irs"]]
const established: Story = [
  ...active,
  [100, "<SYN,ACK> seq=irs ack=iss+1"],
  [100, "<ACK> seq=rcv.nxt ack=snd.una data=2000"],
  [100, "RECEIVE 2000"],
  [100, "SEND 1000"],
]
const finWait1: Story = [...established, [150, "CLOSE"]]
const finWait2: Story = [...finWait1, [150, "<ACK> seq=rcv.nxt ack=snd.nxt"]]
const closeWait: Story = [...established, [150, "<FIN,ACK> seq=rcv.nxt ack=snd.una"]]
const closing: Story = [...finWait1, [150, "<FIN,ACK> seq=rcv.nxt ack=snd.una"]]
const lastAck: Story = [...closeWait, [160, "CLOSE"]]
const timeWait: Story = [...finWait2, [150, "<FIN,ACK> seq=rcv.nxt ack=snd.nxt"]]

const arrived: Story = [[180, "<ACK> seq=rcv.nxt ack=snd.una data=100"]]
const unreadThenFin: Story = [
  ...established,
  [150, "<ACK> seq=rcv.nxt ack=snd.una data=100"],
  [150, "<FIN,ACK> seq=rcv.nxt ack=snd.una"],
]
const unreadThenCrossedFin: Story = [
  ...finWait1,
  [150, "<ACK> seq=rcv.nxt ack=snd.una data=100"],
  [150, "<FIN,ACK> seq=rcv.nxt ack=snd.una"],
]
/** All is acknowledged, the window closes, 500 octets wait. */
const shut: Story = [
  [200, "<ACK> seq=rcv.nxt ack=snd.nxt wnd=0"],
  [200, "SEND 500"],
]

const idle: Story = [[190, "<ACK> seq=rcv.nxt ack=snd.nxt"]]

export const CLOSED_SCENES: Scenes = { base: at200(closed()) }
export const LISTEN_SCENES: Scenes = { base: made([[0, "OPEN passive"]]) }
export const SYN_SENT_SCENES: Scenes = { base: made(active), user: made(active, patient) }
export const REQUEST_SCENES: Scenes = {
  base: made([
    [0, "OPEN passive"],
    [0, "<SYN> seq=irs"],
  ]),
}
export const CROSSED_SCENES: Scenes = { base: made(crossed), user: made(crossed, patient) }
export const ESTABLISHED_SCENES: Scenes = {
  base: made(established),
  unread: made([...established, ...arrived]),
  delayedAck: made([...established, ...arrived]),
  persist: made([...established, ...shut]),
  user: unanswered(established),
  keepalive: silent([...established, ...idle]),
}
export const FIN_WAIT_1_SCENES: Scenes = {
  base: made(finWait1),
  unread: made([...finWait1, ...arrived]),
  delayedAck: made([...finWait1, ...arrived]),
  persist: made([...established, ...shut, [200, "CLOSE"]]),
  user: unanswered(finWait1),
  keepalive: alive(finWait1),
}
export const FIN_WAIT_2_SCENES: Scenes = {
  base: made(finWait2),
  unread: made([...finWait2, ...arrived]),
  delayedAck: made([...finWait2, ...arrived]),
  linger: made([...finWait2, [150, "RELEASE"]]),
  user: made(finWait2, patient),
  keepalive: silent(finWait2),
}
export const CLOSE_WAIT_SCENES: Scenes = {
  base: made(closeWait),
  unread: made(unreadThenFin),
  persist: made([...closeWait, ...shut]),
  user: unanswered(closeWait),
  keepalive: silent([...closeWait, ...idle]),
}
export const CLOSING_SCENES: Scenes = {
  base: made(closing),
  unread: made(unreadThenCrossedFin),
  persist: made([...established, ...shut, [200, "CLOSE"], [200, "<FIN,ACK> seq=rcv.nxt ack=snd.una wnd=0"]]),
  user: unanswered(closing),
  keepalive: alive(closing),
}
export const LAST_ACK_SCENES: Scenes = {
  base: made(lastAck),
  unread: made([...unreadThenFin, [160, "CLOSE"]]),
  persist: made([...closeWait, ...shut, [200, "CLOSE"]]),
  user: unanswered(lastAck),
  keepalive: alive(lastAck),
}
export const TIME_WAIT_SCENES: Scenes = { base: made(timeWait), user: made(timeWait, patient) }
