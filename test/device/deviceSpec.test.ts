import { expect, test } from "bun:test"
import { Either } from "effect"
import { type DeviceSpec, parseDeviceSpec } from "../../src/device/deviceSpec.ts"

const good: ReadonlyArray<readonly [string, DeviceSpec]> = [
  ["memory", { _tag: "Memory" }],
  ["tap", { _tag: "Tap", name: undefined }],
  ["tap:tap0", { _tag: "Tap", name: "tap0" }],
  ["tap:a-name.of_15oct", { _tag: "Tap", name: "a-name.of_15oct" }],
  ["tun", { _tag: "Tun", name: undefined }],
  ["tun:tun7", { _tag: "Tun", name: "tun7" }],
  ["netmap:vale0:a", { _tag: "Netmap", port: "vale0:a" }],
  ["netmap:eth0-1/x", { _tag: "Netmap", port: "eth0-1/x" }],
  ["netmap:netmap:eth0^", { _tag: "Netmap", port: "netmap:eth0^" }],
  ["tap:lab%d", { _tag: "Tap", name: "lab%d" }],
]
test.each([...good])("%s", (spec, expected) => {
  expect(parseDeviceSpec(spec)).toEqual(Either.right(expected))
})

const bad: ReadonlyArray<readonly [string, string]> = [
  ["", `device "": a device is memory, tap, tap:NAME, tun, tun:NAME or netmap:PORT`],
  ["eth0", `device "eth0": a device is memory, tap, tap:NAME, tun, tun:NAME or netmap:PORT`],
  ["Tap", `device "Tap": a device is memory, tap, tap:NAME, tun, tun:NAME or netmap:PORT`],
  ["memory:x", `device "memory:x": memory takes no name`],
  ["tap:", `device "tap:": the interface name is empty`],
  [
    "tap:a-name-of-16-oct",
    `device "tap:a-name-of-16-oct": the interface name is 16 octets long, and an interface name has at most 15`,
  ],
  ["tap:a b", `device "tap:a b": the interface name has a blank, a slash or a colon in it`],
  ["tap:a:b", `device "tap:a:b": the interface name has a blank, a slash or a colon in it`],
  ["tap:..", `device "tap:..": the interface name is not a name`],
  ["tap:%d%d", `device "tap:%d%d": the interface name has a % other than one %d in it`],
  ["tap:100%", `device "tap:100%": the interface name has a % other than one %d in it`],
  ["tun:a/b", `device "tun:a/b": the interface name has a blank, a slash or a colon in it`],
  ["netmap", `device "netmap": netmap wants a port: netmap:eth0, netmap:vale0:a`],
  ["netmap:", `device "netmap:": netmap wants a port: netmap:eth0, netmap:vale0:a`],
]
test.each([...bad])("refuses %p", (spec, message) => {
  expect(Either.flip(parseDeviceSpec(spec)).pipe(Either.getOrThrow)).toMatchObject({
    _tag: "DeviceSpecError",
    spec,
    message,
  })
})
