// gVisor's netstack on a TAP interface: echo 7, discard 9, chargen 19, until SIGTERM.
//
//	server INTERFACE ADDRESS PREFIXLENGTH plain|gso
package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/log"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/fdbased"
	"gvisor.dev/gvisor/pkg/tcpip/network/arp"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

const (
	nic       = 1
	linesSize = 95 * 74
	chunk     = 256 * 1024
	offloads  = 0x1 | 0x2 | 0x4 // TUN_F_CSUM, TUN_F_TSO4, TUN_F_TSO6
)

func fail(what string, cause interface{}) {
	fmt.Fprintf(os.Stderr, "gvisor: %s: %v\n", what, cause)
	os.Exit(1)
}

func openTap(name string, gso bool) int {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK, 0)
	if err != nil {
		fail("/dev/net/tun", err)
	}
	request, err := unix.NewIfreq(name)
	if err != nil {
		fail(name, err)
	}
	flags := uint16(unix.IFF_TAP | unix.IFF_NO_PI)
	if gso {
		flags |= unix.IFF_VNET_HDR
	}
	request.SetUint16(flags)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
		fail(name, err)
	}
	if gso {
		if err := unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, offloads); err != nil {
			fail("TUNSETOFFLOAD", err)
		}
		if err := unix.IoctlSetPointerInt(fd, unix.TUNSETVNETHDRSZ, virtioHeader); err != nil {
			fail("TUNSETVNETHDRSZ", err)
		}
	}
	return fd
}

func newLink(fd int, gso bool) (stack.LinkEndpoint, error) {
	mac := tcpip.LinkAddress("\x02\x00\x00\x00\x60\x05")
	if gso {
		return &offloadedTap{fd: fd, address: mac}, nil
	}
	return fdbased.New(&fdbased.Options{
		FDs:                []int{fd},
		MTU:                1500,
		EthernetHeader:     true,
		Address:            mac,
		PacketDispatchMode: fdbased.Readv,
	})
}

func newStack(fd int, gso bool, address tcpip.AddressWithPrefix) *stack.Stack {
	s := stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol, arp.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, icmp.NewProtocol4},
	})
	link, err := newLink(fd, gso)
	if err != nil {
		fail("link", err)
	}
	if err := s.CreateNIC(nic, link); err != nil {
		fail("nic", err)
	}
	protocol := tcpip.ProtocolAddress{Protocol: ipv4.ProtocolNumber, AddressWithPrefix: address}
	if err := s.AddProtocolAddress(nic, protocol, stack.AddressProperties{}); err != nil {
		fail("address", err)
	}
	s.SetRouteTable([]tcpip.Route{{Destination: header.IPv4EmptySubnet, NIC: nic}})
	sack := tcpip.TCPSACKEnabled(true)
	s.SetTransportProtocolOption(tcp.ProtocolNumber, &sack)
	moderate := tcpip.TCPModerateReceiveBufferOption(true)
	s.SetTransportProtocolOption(tcp.ProtocolNumber, &moderate)
	return s
}

func serve(s *stack.Stack, port uint16, service func(net.Conn)) {
	listener, err := gonet.ListenTCP(s, tcpip.FullAddress{NIC: nic, Port: port}, ipv4.ProtocolNumber)
	if err != nil {
		fail("listen", err)
	}
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer connection.Close()
				service(connection)
			}()
		}
	}()
}

func echo(c net.Conn) {
	buffer := make([]byte, 64*1024)
	for {
		n, err := c.Read(buffer)
		if n > 0 {
			if _, err := c.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func discard(c net.Conn) {
	io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{c}, make([]byte, chunk))
}

func chargen(c net.Conn) {
	lines := make([]byte, linesSize+chunk)
	for i := range lines {
		switch line, column := i/74%95, i%74; column {
		case 72:
			lines[i] = '\r'
		case 73:
			lines[i] = '\n'
		default:
			lines[i] = byte(' ' + (line+column)%95)
		}
	}
	for at := 0; ; {
		n, err := c.Write(lines[at : at+chunk])
		if err != nil {
			return
		}
		at = (at + n) % linesSize
	}
}

func main() {
	if len(os.Args) != 5 {
		fmt.Fprintln(os.Stderr, "usage: server INTERFACE ADDRESS PREFIXLENGTH plain|gso")
		os.Exit(2)
	}
	// It tells of every connection that is gone before it is accepted.
	log.SetTarget(log.GoogleEmitter{Writer: &log.Writer{Next: io.Discard}})
	length, err := strconv.Atoi(os.Args[3])
	ip := net.ParseIP(os.Args[2]).To4()
	if err != nil || ip == nil {
		fail("address", os.Args[2]+"/"+os.Args[3])
	}
	gso := os.Args[4] == "gso"
	address := tcpip.AddressWithPrefix{Address: tcpip.Address(ip), PrefixLen: length}
	s := newStack(openTap(os.Args[1], gso), gso, address)
	serve(s, 7, echo)
	serve(s, 9, discard)
	serve(s, 19, chargen)
	fmt.Println("ready")
	select {}
}
