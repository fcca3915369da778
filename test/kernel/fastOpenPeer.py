"""The kernel's end of a Fast Open: `client STACK PORT TIMES`, or `server KERNEL PORT TIMES`."""

import socket
import sys

MSG_FASTOPEN = 0x20000000
TCP_FASTOPEN = 23
OPTIONS = 5  # tcpi_options, the sixth octet of struct tcp_info
SYN_DATA = 0x20  # TCPI_OPT_SYN_DATA: the data of a SYN was acknowledged

role, host, port, times = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
family = socket.AF_INET6 if ":" in host else socket.AF_INET


def early(s):
    return bool(s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)[OPTIONS] & SYN_DATA)


if role == "client":
    for turn in range(times):
        s = socket.socket(family)
        s.sendto(b"early %d" % turn, MSG_FASTOPEN, (host, port))
        s.settimeout(10)
        print(s.recv(100).decode(), "in the SYN" if early(s) else "after the handshake", flush=True)
        s.close()
else:
    listener = socket.socket(family)
    listener.settimeout(10)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN, 5)
    listener.bind((host, port))
    listener.listen(5)
    print("ready", flush=True)
    for turn in range(times):
        s, _ = listener.accept()
        s.settimeout(10)
        data = s.recv(100)
        s.sendall(data)
        print(data.decode(), "in the SYN" if early(s) else "after the handshake", flush=True)
        s.close()
