import type { SocketStatus } from "../../host/types.ts"
import { type Endpoint, sameEndpoint } from "../../wire/address.ts"
import type { RunConfig } from "./config.ts"
import { cookiesBetween } from "./cookies.ts"
import { md5KeyOf } from "./digests.ts"
import { type Flow, makeFlow } from "./flow.ts"
import type { Stage } from "./stage.ts"

/** Which packets the script means: those of the next connection to a listener, or of one connection. */
type UnderTest =
  | { readonly _tag: "Nothing" }
  | { readonly _tag: "Listener"; readonly local: Endpoint }
  | { readonly _tag: "Connection"; readonly flow: Flow }

/** Where remote ports begin; packetdrill takes ephemeral ones too. */
const FIRST_REMOTE_PORT = 40_000

/** The connections of a script, and the one that its packets concern. */
export class Connections {
  private readonly flows: Array<Flow> = []
  private underTest: UnderTest = { _tag: "Nothing" }

  constructor(
    private readonly config: RunConfig,
    private readonly stage: Stage,
  ) {}

  get none(): boolean {
    return this.flows.length === 0
  }

  /** Packets that follow concern the connections that this listener gets. */
  listening(local: Endpoint): void {
    this.underTest = { _tag: "Listener", local }
  }

  /** Packets that follow concern this connection. */
  concerns(flow: Flow): void {
    this.underTest = { _tag: "Connection", flow }
  }

  /** The connection that packets concern; undefined: none has been begun. */
  chosen(): Flow | undefined {
    return this.underTest._tag === "Connection" ? this.underTest.flow : undefined
  }

  /** As `chosen`, or the one that the next packet would begin. */
  flow(): Flow {
    return this.chosen() ?? this.newFlow()
  }

  /** As `flow`, and packets that follow concern it. */
  choose(): Flow {
    const flow = this.flow()
    this.concerns(flow)
    return flow
  }

  flowOf(local: Endpoint, remote: Endpoint): Flow {
    const known = this.flows.find((flow) => sameEndpoint(flow.remote, remote) && flow.local.port === local.port)
    if (known !== undefined) return known
    const flow = makeFlow(local, remote, cookiesBetween(local.address, remote.address, this.config.definitions))
    this.flows.push(flow)
    return flow
  }

  /** What segments of the connection are signed with; undefined: they are not, or not with MD5. */
  md5KeyOf(flow: Flow): Uint8Array | undefined {
    flow.md5Key = md5KeyOf(this.stage.files, flow) ?? flow.md5Key
    return flow.md5Key
  }

  /** The socket that the script's packets concern: of the connection, or the listener. */
  status(): SocketStatus | undefined {
    const { made } = this.stage
    if (made === undefined || this.underTest._tag === "Nothing") return undefined
    if (this.underTest._tag === "Connection") return made.statusOf(this.underTest.flow)
    const { port } = this.underTest.local
    return made.host.sockets().find((socket) => socket.remote === undefined && socket.local.port === port)
  }

  /** A connection that the script begins with an inbound packet. */
  private newFlow(): Flow {
    const local =
      this.underTest._tag === "Listener"
        ? this.underTest.local
        : { address: this.config.local, port: this.config.bindPort }
    return this.flowOf(local, { address: this.config.remote, port: FIRST_REMOTE_PORT + this.flows.length })
  }
}
