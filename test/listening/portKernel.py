"""Asks the kernel the questions of portRules.ts, one JSON object a line on standard input; answers likewise."""
import errno, json, socket, sys

ADDRESS = {
    "any": "0.0.0.0",
    "one": "127.0.0.1",
    "two": "127.0.0.2",
    "any6": "::",
    "only6": "::",
    "one6": "::1",
    "mappedAny": "::ffff:0.0.0.0",
    "mappedOne": "::ffff:127.0.0.1",
}


def make(reuse, address, port):
    family = socket.AF_INET6 if ":" in ADDRESS[address] else socket.AF_INET
    s = socket.socket(family, socket.SOCK_STREAM)
    if family == socket.AF_INET6:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, address == "only6")
    if reuse["reuseAddress"]:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if reuse["reusePort"]:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    s.bind((ADDRESS[address], port))
    return s


def ask(question, port):
    held = []
    first = make(question["first"], question["firstAddress"], port)
    held.append(first)
    if question["holder"] != "bound":
        first.listen(1)
    if question["holder"] in ("connected", "time-wait"):
        client = socket.create_connection(("127.0.0.1", port))
        accepted, _ = first.accept()
        first.close()
        if question["holder"] == "time-wait":
            accepted.shutdown(socket.SHUT_WR)
            client.recv(1)
            client.close()
            accepted.recv(1)
            accepted.close()
        else:
            held += [client, accepted]
    answer = {"bind": "", "listen": ""}
    try:
        second = make(question["second"], question["secondAddress"], port)
        held.append(second)
        second.listen(1)
    except OSError as e:
        name = errno.errorcode[e.errno]
        bound = len(held) > 0 and held[-1] is locals().get("second")
        answer = {"bind": "" if bound else name, "listen": name}
    for s in held:
        s.close()
    return answer


for n, line in enumerate(sys.stdin):
    print(json.dumps(ask(json.loads(line), 10000 + n)))
