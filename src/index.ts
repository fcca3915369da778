/**
 * netfold: a userspace TCP/IP stack.
 *
 *     import { memoryPair, Stack, Tcp } from "netfold"
 *
 * A `Stack` is a service made over devices; `Tcp` listens and connects on it; `Udp` sends and
 * receives datagrams; `Ping` and `Traceroute` ask the way; `SocketServer` and
 * `Socket` give the same to whatever is written for @effect/platform.
 */
export type { Capabilities, Device, DeviceCounters, DeviceFailure, Offload, ReceivedFrame } from "./device/device.ts"
export * as ControlSocket from "./net/ControlSocket.ts"
export * as Dhcp from "./net/Dhcp.ts"
export * as Dns from "./net/Dns.ts"
export {
  type MemoryOptions,
  memoryPair,
  type NetmapError,
  type NetmapOptions,
  openNetmap,
  openTap,
  type TapError,
  type TapOptions,
} from "./net/devices.ts"
export * as HttpServer from "./net/HttpServer.ts"
export * as Inspect from "./net/Inspect.ts"
export * as NodeHttp from "./net/NodeHttp.ts"
export { NodeStream, type NodeStreamOptions } from "./net/NodeStream.ts"
export * as Ping from "./net/Ping.ts"
export * as Settings from "./net/Settings.ts"
export * as SimulatedNetwork from "./net/SimulatedNetwork.ts"
export * as Socket from "./net/Socket.ts"
export * as SocketServer from "./net/SocketServer.ts"
export * as Services from "./net/services.ts"
export * as Tcp from "./net/Tcp.ts"
export * as Traceroute from "./net/Traceroute.ts"
export * as Udp from "./net/Udp.ts"
export * as UdpServices from "./net/udpServices.ts"
export * as WarmUp from "./net/WarmUp.ts"
export * as Workers from "./net/Workers.ts"
export * as Metrics from "./runtime/metrics.ts"
export { Stack, type StackInterface, type StackOptions, type StackService } from "./runtime/stack.ts"
