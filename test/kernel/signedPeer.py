"""The kernel's end of a signed connection: signedPeer.py ROLE KIND KEY FAMILY PORT OCTETS [TTL]

probe:  says "ok" where this kernel knows the kind of signature, or why not.
client: connects to the stack, sends octets, reads their echo; says how many came and their SHA-256.
server: says "ready", echoes one connection to its end, says "done".
"""
import hashlib
import socket
import struct
import sys
import threading

ENDS = {"4": ("198.18.0.1", "198.18.0.2"), "6": ("2001:db8:7::1", "2001:db8:7::2")}
IPV6_UNICAST_HOPS = 16
TCP_MD5SIG, TCP_AO_ADD_KEY = 14, 38
CHUNK = 65536
CONNECTING, PATIENCE = 4.5, 15


def require(sock, kind, key, stack):
    """struct tcp_md5sig or struct tcp_ao_add of linux/tcp.h, for the stack's address."""
    octets = socket.inet_pton(sock.family, stack)
    layout = "=H2x4s120x" if sock.family == socket.AF_INET else "=H6x16s104x"
    storage = struct.pack(layout, sock.family, octets)
    if kind == "md5":
        sock.setsockopt(socket.IPPROTO_TCP, TCP_MD5SIG, storage + struct.pack("=BBHi80s", 0, 0, len(key), 0, key))
    elif kind.startswith("ao"):
        name = b"cmac(aes128)" if kind == "ao-aes128" else b"hmac(sha1)"
        # Both ids as the kernel has them: it sends as 100 and receives as 200.
        ids = struct.pack("=BBBBBB", len(octets) * 8, 100, 200, 0, 0, len(key))
        value = storage + struct.pack("=64siIH", name, 0, 0, 0) + ids + struct.pack("=80s", key)
        sock.setsockopt(socket.IPPROTO_TCP, TCP_AO_ADD_KEY, value)


def main():
    role, kind, key, family, port, octets = sys.argv[1:7]
    kernel, stack = ENDS[family]
    sock = socket.socket(socket.AF_INET if family == "4" else socket.AF_INET6)
    sock.settimeout(CONNECTING)
    if role == "probe":
        try:
            require(sock, kind, key.encode(), stack)
            print("ok")
        except OSError as error:
            print(error.strerror)
        return
    if len(sys.argv) > 7:
        level, option = (socket.IPPROTO_IP, socket.IP_TTL) if family == "4" else (socket.IPPROTO_IPV6, IPV6_UNICAST_HOPS)
        sock.setsockopt(level, option, int(sys.argv[7]))
    require(sock, kind, key.encode(), stack)
    if role == "client":
        try:
            sock.connect((stack, int(port)))
        except OSError as error:
            print(type(error).__name__)
            return
        sock.settimeout(PATIENCE)
        data = hashlib.shake_128(b"octets").digest(int(octets))

        def send():
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)

        threading.Thread(target=send, daemon=True).start()
        digest, count = hashlib.sha256(), 0
        while chunk := sock.recv(CHUNK):
            digest.update(chunk)
            count += len(chunk)
        print(count, digest.hexdigest() == hashlib.sha256(data).hexdigest())
    else:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((kernel, int(port)))
        sock.listen()
        sock.settimeout(PATIENCE)
        print("ready", flush=True)
        connection, _ = sock.accept()
        connection.settimeout(PATIENCE)
        while chunk := connection.recv(CHUNK):
            connection.sendall(chunk)
        connection.close()
        print("done")


main()
