import { check } from "./errno.ts"
import { AF_NETLINK, close, read, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_RAW, socket, write } from "./libc.ts"
import { type Pinned, pinned } from "./memory.ts"

// linux/netlink.h, linux/rtnetlink.h, linux/if_addr.h
const NETLINK_ROUTE = 0
const RTM_NEWADDR = 20
const NLM_F_REQUEST = 0x01
const NLM_F_ACK = 0x04
const NLM_F_REPLACE = 0x100
const NLM_F_CREATE = 0x400
const NLMSG_ERROR = 2
const IFA_ADDRESS = 1
const IFA_LOCAL = 2
const IFA_F_NODAD = 0x02
const AF_INET = 2
const AF_INET6 = 10

const NLMSGHDR = 16
const IFADDRMSG = 8
const RTATTR = 4

/**
 * The RTM_NEWADDR request for one address: nlmsghdr, ifaddrmsg, then IFA_LOCAL and IFA_ADDRESS
 * (the same on anything but a point-to-point link). Separate so that its layout can be tested.
 */
export const newAddressMessage = (index: number, address: Uint8Array, prefixLength: number): Pinned => {
  const attribute = RTATTR + address.length
  const message = pinned(NLMSGHDR + IFADDRMSG + 2 * attribute)
  const { view, bytes } = message
  view.setUint32(0, bytes.length, true)
  view.setUint16(4, RTM_NEWADDR, true)
  view.setUint16(6, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, true)
  view.setUint32(8, 1, true) // sequence number
  bytes[NLMSGHDR] = address.length === 4 ? AF_INET : AF_INET6
  bytes[NLMSGHDR + 1] = prefixLength
  // No duplicate address detection: the segment has us and the kernel on it, and DAD would
  // leave the address unusable for a second or two.
  bytes[NLMSGHDR + 2] = IFA_F_NODAD
  view.setUint32(NLMSGHDR + 4, index, true)
  for (const [nth, type] of [IFA_LOCAL, IFA_ADDRESS].entries()) {
    const at = NLMSGHDR + IFADDRMSG + nth * attribute
    view.setUint16(at, attribute, true)
    view.setUint16(at + 2, type, true)
    bytes.set(address, at + RTATTR)
  }
  return message
}

/**
 * Adds an address (4 or 16 octets, network order) to the interface with this index.
 * Throws SystemError: EPERM without CAP_NET_ADMIN, ENODEV, EINVAL.
 */
export const addAddress = (index: number, address: Uint8Array, prefixLength: number): void => {
  const fd = check("socket netlink", socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE))
  try {
    const message = newAddressMessage(index, address, prefixLength)
    check("RTM_NEWADDR", write(fd, message.address, message.bytes.length))
    // The kernel handles rtnetlink inside the write: the acknowledgement is there when it returns.
    const answer = pinned(4096)
    check("RTM_NEWADDR", read(fd, answer.address, answer.bytes.length))
    if (answer.view.getUint16(4, true) === NLMSG_ERROR) check("RTM_NEWADDR", answer.view.getInt32(NLMSGHDR, true))
  } finally {
    close(fd)
  }
}
