package main

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/bufferv2"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/rawfile"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

const (
	virtioHeader = 10
	needsSum     = 1
	gsoTCPv4     = 1
	superFrame   = 65535
)

// offloadedTap is a link endpoint over a TAP descriptor with virtio headers: gVisor's own one
// (fdbased) offers segmentation offload for sockets only.
type offloadedTap struct {
	fd         int
	address    tcpip.LinkAddress
	dispatcher stack.NetworkDispatcher
}

func (e *offloadedTap) MTU() uint32                             { return 1500 }
func (e *offloadedTap) MaxHeaderLength() uint16                 { return header.EthernetMinimumSize }
func (e *offloadedTap) LinkAddress() tcpip.LinkAddress          { return e.address }
func (e *offloadedTap) IsAttached() bool                        { return e.dispatcher != nil }
func (e *offloadedTap) Wait()                                   {}
func (e *offloadedTap) ARPHardwareType() header.ARPHardwareType { return header.ARPHardwareEther }
func (e *offloadedTap) GSOMaxSize() uint32                      { return superFrame }
func (e *offloadedTap) SupportedGSO() stack.SupportedGSO        { return stack.HostGSOSupported }

// Without CapabilityTXChecksumOffload: what belongs to no connection would leave without a sum and without a word of it.
func (e *offloadedTap) Capabilities() stack.LinkEndpointCapabilities {
	return stack.CapabilityRXChecksumOffload | stack.CapabilityResolutionRequired
}

func (e *offloadedTap) Attach(dispatcher stack.NetworkDispatcher) {
	e.dispatcher = dispatcher
	if dispatcher != nil {
		go e.receive()
	}
}

func (e *offloadedTap) AddHeader(pkt stack.PacketBufferPtr) {
	header.Ethernet(pkt.LinkHeader().Push(header.EthernetMinimumSize)).Encode(&header.EthernetFields{
		SrcAddr: pkt.EgressRoute.LocalLinkAddress,
		DstAddr: pkt.EgressRoute.RemoteLinkAddress,
		Type:    pkt.NetworkProtocolNumber,
	})
}

func (e *offloadedTap) WritePackets(pkts stack.PacketBufferList) (int, tcpip.Error) {
	written := 0
	for _, pkt := range pkts.AsSlice() {
		var virtio [virtioHeader]byte
		if gso := pkt.GSOOptions; gso.Type != stack.GSONone {
			if gso.NeedsCsum {
				virtio[0] = needsSum
				binary.LittleEndian.PutUint16(virtio[6:], header.EthernetMinimumSize+gso.L3HdrLen)
				binary.LittleEndian.PutUint16(virtio[8:], gso.CsumOffset)
			}
			if pkt.Data().Size() > int(gso.MSS) {
				virtio[1] = gsoTCPv4
				binary.LittleEndian.PutUint16(virtio[2:], uint16(pkt.HeaderSize()))
				binary.LittleEndian.PutUint16(virtio[4:], gso.MSS)
			}
		}
		parts := append(make([][]byte, 0, 8), virtio[:])
		if _, err := unix.Writev(e.fd, append(parts, pkt.AsSlices()...)); err != nil {
			return written, rawfile.TranslateErrno(err.(unix.Errno))
		}
		written++
	}
	return written, nil
}

func (e *offloadedTap) receive() {
	frame := make([]byte, virtioHeader+header.EthernetMinimumSize+superFrame)
	for {
		n, errno := rawfile.BlockingRead(e.fd, frame)
		if errno != nil {
			return
		}
		if n < virtioHeader+header.EthernetMinimumSize {
			continue
		}
		payload := append([]byte(nil), frame[virtioHeader:n]...)
		pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: bufferv2.MakeWithData(payload)})
		link, ok := pkt.LinkHeader().Consume(header.EthernetMinimumSize)
		if !ok {
			pkt.DecRef()
			continue
		}
		e.dispatcher.DeliverNetworkPacket(header.Ethernet(link).Type(), pkt)
		pkt.DecRef()
	}
}
