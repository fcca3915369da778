import { check } from "../../ffi/errno.ts"
import { interfaceIndex, interfaceMac } from "../../ffi/interface.ts"
import { AF_PACKET, bind, close, SOCK_CLOEXEC, SOCK_RAW, socket, write } from "../../ffi/libc.ts"
import { pinned } from "../../ffi/memory.ts"
import type { Device } from "../../src/device/device.ts"
import { ipv4 } from "../../src/wire/address.ts"
import { finish, sum } from "../../src/wire/checksum.ts"
import { ETHERNET_HEADER, ETHERTYPE_ARP, ETHERTYPE_IPV4, writeEthernet } from "../../src/wire/ethernet.ts"
import { IPV4_HEADER, writeIpv4 } from "../../src/wire/ipv4.ts"
import type { Case } from "../measure.ts"
import { batchesFor, drain, FRAMES, frameFor, receive, row, transmit } from "./frames.ts"

const opened: Array<number> = []
export const closeTaps = (): void => {
  for (const fd of opened.splice(0)) close(fd)
}

/** A TAP whose other end is the kernel, which has the first address of 198.18.`net`.0/24. */
export const tapCases = (line: string, device: Device, net: number, length: number): ReadonlyArray<Case> => {
  const frame = frameFor(interfaceMac(device.name), device.mac, length)
  const incoming = pinned(length)
  incoming.bytes.set(frameFor(device.mac, interfaceMac(device.name), length))
  const fd = packetSocket(device.name)
  const cases: Array<Case> = []
  for (const batch of batchesFor(length)) {
    cases.push(
      {
        ...row(line, "write", length, batch),
        run: () => {
          transmit(device, frame, FRAMES, batch)
          return FRAMES
        },
      },
      {
        ...row(line, "read", length, batch),
        prepare: () => {
          drain(device)
          for (let n = 0; n < FRAMES; n++) check("write", write(fd, incoming.address, length))
        },
        run: () => receive(device, FRAMES, batch, length),
      },
    )
    // A longer one would come back in fragments.
    if (length <= 9014) cases.push(pings(line, device, net, length, batch))
  }
  return cases
}

/** Out as an ICMP echo request, back as the kernel's reply. */
const pings = (line: string, device: Device, net: number, length: number, batch: number): Case => {
  const request = echoRequest(device, net, length)
  const who = arpRequest(device, net)
  return {
    ...row(line, "round trip", length, batch),
    prepare: () => {
      // The kernel learns from it whom to answer, and need not ask.
      drain(device)
      transmit(device, who, 1, 1)
      receive(device, 1, 1, 42)
      drain(device)
    },
    run: () => {
      for (let done = 0; done < FRAMES; done += batch) {
        transmit(device, request, batch, batch)
        receive(device, batch, batch, 60)
      }
      return FRAMES
    },
  }
}

const packetSocket = (name: string): number => {
  const fd = check("socket", socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0))
  const address = pinned(20) // struct sockaddr_ll
  address.view.setUint16(0, AF_PACKET, true)
  address.view.setInt32(4, interfaceIndex(name) ?? 0, true)
  check("bind", bind(fd, address))
  opened.push(fd)
  return fd
}

const kernelOf = (net: number): number => 0xc6120001 + net * 256
const stackOf = (net: number): number => kernelOf(net) + 1

const echoRequest = (device: Device, net: number, length: number): Uint8Array => {
  const frame = frameFor(interfaceMac(device.name), device.mac, length)
  const macs = { destination: interfaceMac(device.name) as Device["mac"], source: device.mac }
  writeEthernet(frame, 0, { ...macs, etherType: ETHERTYPE_IPV4 })
  const icmp = ETHERNET_HEADER + IPV4_HEADER
  writeIpv4(frame, ETHERNET_HEADER, {
    tos: 0,
    payloadLength: length - icmp,
    identification: 1,
    dontFragment: true,
    moreFragments: false,
    fragmentOffset: 0,
    ttl: 64,
    protocol: 1,
    source: ipv4(stackOf(net)),
    destination: ipv4(kernelOf(net)),
    options: new Uint8Array(0),
  })
  frame.set([8, 0, 0, 0, 0, 1, 0, 1], icmp)
  const checksum = finish(sum(frame, icmp, length - icmp))
  frame.set([checksum >> 8, checksum & 255], icmp + 2)
  return frame
}

const arpRequest = (device: Device, net: number): Uint8Array => {
  const frame = frameFor(interfaceMac(device.name), device.mac, 60)
  const macs = { destination: interfaceMac(device.name) as Device["mac"], source: device.mac }
  writeEthernet(frame, 0, { ...macs, etherType: ETHERTYPE_ARP })
  const octets = (word: number) => [word >>> 24, (word >>> 16) & 255, (word >>> 8) & 255, word & 255]
  const own = frame.slice(6, 12)
  frame.set([0, 1, 8, 0, 6, 4, 0, 1, ...own, ...octets(stackOf(net)), 0, 0, 0, 0, 0, 0, ...octets(kernelOf(net))], 14)
  return frame
}
