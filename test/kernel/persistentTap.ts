import { bringUp, type InterfaceAddress4, setInterfaceAddress4 } from "../../ffi/interface.ts"
import { close } from "../../ffi/libc.ts"
import { openTap, setPersistent } from "../../ffi/tun.ts"

/** A TAP as an administrator makes it (`ip tuntap add`, `ip addr add`, `ip link set up`): there without any process. */
export const persistentTap = (name: string, address: InterfaceAddress4): { readonly remove: () => void } => {
  const { fd } = openTap(name, false)
  setPersistent(fd, true)
  close(fd)
  setInterfaceAddress4(name, address)
  bringUp(name)
  return {
    remove: () => {
      const again = openTap(name, false)
      setPersistent(again.fd, false)
      close(again.fd)
    },
  }
}
