"""Clients that speak NTLM by requests_ntlm, many at a time.

    client.py PLAN

PLAN is JSON: `host` and `port` of the server, which is on loopback; `root`, the trust anchor; `users`, pairs of a name and
a password that the clients take in turn; `clients`, how many; `requests`, each a method, a path and the length of a body;
and whether to name the certificate that was seen, `bindings`. With `websocket`, there is one client instead, which
authenticates by the scheme that this names and opens a WebSocket on that connection. All clients are connected at once, and each asks everything
on the one connection that it has. What they got is printed as JSON: the user, and status and text of each answer.
"""

import base64
import json
import socket
import ssl
import sys
import threading

import requests
import spnego
from requests_ntlm import HttpNtlmAuth


def main(plan):
    plan = json.loads(plan)
    if plan.get("websocket"):
        return json.dump(web_socket(plan), sys.stdout)
    resolve = socket.getaddrinfo
    socket.getaddrinfo = lambda host, *rest, **named: resolve("127.0.0.1" if host == plan["host"] else host, *rest, **named)
    together = threading.Barrier(plan["clients"])
    results = [None] * plan["clients"]
    users = plan["users"]

    def run(index):
        user, password = users[index % len(users)]
        results[index] = [user, ask(plan, user, password, together)]

    threads = [threading.Thread(target=run, args=(index,)) for index in range(plan["clients"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    json.dump(results, sys.stdout)


def web_socket(plan):
    """Authenticates one connection, then opens a WebSocket on it; gives who the server says we are, and what came back."""
    (user, password), scheme = plan["users"][0], plan["websocket"]
    force = spnego.NegotiateOptions.use_ntlm if scheme == "NTLM" else spnego.NegotiateOptions.use_negotiate
    client = spnego.client(user, password, hostname=plan["host"], service="http", protocol=scheme.lower(), options=force)
    stream = socket.create_connection(("127.0.0.1", plan["port"]), timeout=180)
    stream = ssl.create_default_context(cafile=plan["root"]).wrap_socket(stream, server_hostname=plan["host"])
    file, challenge, statuses = stream.makefile("rb"), None, []
    while not statuses or statuses[-1] == 401 and len(statuses) < 5:
        token = base64.b64encode(client.step(challenge)).decode()
        head = f"GET /login HTTP/1.1\r\nHost: {plan['host']}\r\nAuthorization: {scheme} {token}\r\n\r\n"
        stream.sendall(head.encode())
        status, headers = read_head(file)
        statuses.append(status)
        text = file.read(int(dict(headers)["content-length"])).decode()
        tokens = [value[len(scheme) + 1 :] for name, value in headers if name == "www-authenticate"]
        challenge = base64.b64decode(tokens[0]) if tokens else None
    stream.sendall(f"GET /ws HTTP/1.1\r\nHost: {plan['host']}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                   "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode())
    status, headers = read_head(file)
    # A text of three letters, masked with zeros.
    stream.sendall(b"\x81\x83\0\0\0\0hej")
    return [statuses + [status], text, dict(headers).get("x-user"), file.read(5)[2:].decode()]


def read_head(file):
    status = int(file.readline().split()[1])
    headers = []
    while (line := file.readline().decode()) != "\r\n":
        name, _, value = line.partition(":")
        headers.append((name.lower(), value.strip()))
    return status, headers


def ask(plan, user, password, together):
    session, answers = requests.Session(), []
    session.trust_env = False
    session.verify = plan["root"]
    session.auth = HttpNtlmAuth(user, password, send_cbt=plan["bindings"])
    for method, path, length in plan["requests"]:
        body = b"x" * length if length else None
        try:
            answer = session.request(method, f"https://{plan['host']}:{plan['port']}{path}", data=body, timeout=180)
            answers.append([answer.status_code, answer.text])
        except Exception as error:
            answers.append([0, repr(error)])
        if len(answers) == 1:
            # Everybody is somebody by now; only then do they go on.
            together.wait(180)
    return answers


if __name__ == "__main__":
    main(*sys.argv[1:])
