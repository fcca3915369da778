import { describe, expect, test } from "bun:test"
import {
  flagsOf,
  IFREQ_SIZE,
  ifreq,
  intOf,
  ipv4Of,
  macOf,
  nameOf,
  nameProblem,
  setFlags,
  setInt,
  setIpv4,
  setMac,
} from "../../ffi/ifreq.ts"
import { PAGE, pinned } from "../../ffi/memory.ts"
import { newAddressMessage } from "../../ffi/netlink.ts"
import { NO_OFFLOAD, type ReceivedFrame } from "../../src/device/device.ts"
import { checkedMac, randomMac } from "../../src/device/mac.ts"
import { readVnetHeader, writeVnetHeader } from "../../src/device/vnetHeader.ts"

const hex = (bytes: Uint8Array) => bytes.toHex()

// Expected octets were taken from C (sizeof, offsetof) on x86-64.
describe("struct ifreq", () => {
  const name = "74617030000000000000000000000000" // tap0
  test("name", () => {
    const request = ifreq("tap0")
    expect(hex(request.bytes)).toBe(name + "00".repeat(24))
    expect(request.bytes.length).toBe(IFREQ_SIZE)
    expect(nameOf(request)).toBe("tap0")
  })
  test("the longest name keeps its NUL", () => {
    const request = ifreq("abcdefghijklmnopq")
    expect(request.bytes[15]).toBe(0)
    expect(nameOf(request)).toBe("abcdefghijklmno")
  })
  test("flags", () => {
    const request = ifreq("tap0")
    setFlags(request, 0x5002)
    expect(hex(request.bytes.subarray(16, 20))).toBe("02500000")
    expect(flagsOf(request)).toBe(0x5002)
  })
  test("MTU and index", () => {
    const request = ifreq("tap0")
    setInt(request, 9000)
    expect(hex(request.bytes.subarray(16, 24))).toBe("2823000000000000")
    expect(intOf(request)).toBe(9000)
  })
  test("IPv4 address", () => {
    const request = ifreq("tap0")
    setIpv4(request, 0xc6120001)
    expect(hex(request.bytes.subarray(16, 32))).toBe("02000000c61200010000000000000000")
    expect(ipv4Of(request)).toBe(0xc6120001)
  })
  test("hardware address", () => {
    const request = ifreq("tap0")
    setMac(request, 0xfe_dc_ba_98_76_54)
    expect(hex(request.bytes.subarray(16, 32))).toBe("0100fedcba9876540000000000000000")
    expect(macOf(request)).toBe(0xfe_dc_ba_98_76_54)
  })
})

describe("interface names", () => {
  const cases: ReadonlyArray<readonly [string, boolean]> = [
    ["tap0", true],
    ["tap%d", true],
    ["fifteen-octets0", true],
    ["ä".repeat(7), true],
    ["ä".repeat(8), false],
    ["sixteen-octets-0", false],
    ["", false],
    [".", false],
    ["a/b", false],
    ["a\tb", false],
    ["%s", false],
  ]
  test.each([...cases])("%p", (name, fine) => expect(nameProblem(name) === undefined).toBe(fine))
})

describe("RTM_NEWADDR", () => {
  test("IPv6", () => {
    const address = new Uint8Array(16)
    address.set([0xfd, 0], 0)
    address[15] = 1
    const message = newAddressMessage(7, address, 64)
    expect(hex(message.bytes)).toBe(
      "40000000" + // nlmsg_len 64
        "1400" + // RTM_NEWADDR
        "0505" + // REQUEST, ACK, REPLACE, CREATE
        "01000000" +
        "00000000" +
        "0a400200" + // AF_INET6, /64, NODAD, scope universe
        "07000000" +
        "14000200fd000000000000000000000000000001" + // IFA_LOCAL
        "14000100fd000000000000000000000000000001", // IFA_ADDRESS
    )
  })
  test("IPv4", () => {
    const message = newAddressMessage(3, Uint8Array.of(198, 18, 0, 1), 24)
    expect(hex(message.bytes)).toBe(
      "28000000140005050100000000000000" + "0218020003000000" + "08000200c6120001" + "08000100c6120001",
    )
  })
})

describe("struct virtio_net_hdr", () => {
  const written = (offload: Parameters<typeof writeVnetHeader>[1]) => {
    const bytes = new Uint8Array(10).fill(0xff)
    writeVnetHeader(new DataView(bytes.buffer), offload)
    return hex(bytes)
  }
  const tcp = { checksumStart: 34, checksumOffset: 16, segmentSize: 0, headerLength: 66, family: 4 } as const
  test("nothing to do", () => expect(written(NO_OFFLOAD)).toBe("00".repeat(10)))
  test("a checksum", () => expect(written(tcp)).toBe("01000000000022001000"))
  test("cutting, IPv4", () => expect(written({ ...tcp, segmentSize: 1448 })).toBe("01014200a80522001000"))
  test("cutting, IPv6", () => {
    const offload = { checksumStart: 54, checksumOffset: 16, segmentSize: 1428, headerLength: 86, family: 6 } as const
    expect(written(offload)).toBe("01045600940536001000")
  })

  const cases: ReadonlyArray<readonly [string, boolean, number]> = [
    ["00000000000000000000", false, 0],
    ["01000000000022001000", true, 0],
    ["02000000000000000000", true, 0],
    ["01014200a80522001000", true, 1448],
    ["01814200a80522001000", true, 1448], // with GSO_ECN
    ["00004200a80500000000", false, 0], // gso_size means nothing without a type
  ]
  test.each([...cases])("read %s", (header, checksumVouched, segmentSize) => {
    const frame: ReceivedFrame = {
      bytes: new Uint8Array(),
      offset: 0,
      length: 0,
      checksumVouched: false,
      segmentSize: 9,
    }
    readVnetHeader(new DataView(Uint8Array.fromHex(header).buffer), frame)
    expect(frame).toMatchObject({ checksumVouched, segmentSize })
  })
})

describe("MAC addresses", () => {
  test("random ones are unicast, locally administered and differ", () => {
    const macs = Array.from({ length: 100 }, randomMac)
    expect(macs.every((mac) => Math.floor(mac / 2 ** 40) === 0x02)).toBe(true)
    expect(new Set<number>(macs).size).toBe(100)
  })
  test.each([-1, 2 ** 48, 1.5, Number.NaN])("%p is none", (value) =>
    expect(() => checkedMac(value)).toThrow(RangeError),
  )
})

test("pinned memory is aligned", () => {
  for (const length of [1, 8, 100, 70_000]) {
    const memory = pinned(length, PAGE)
    expect(memory.address % PAGE).toBe(0)
    expect(memory.bytes.length).toBe(length)
  }
})
