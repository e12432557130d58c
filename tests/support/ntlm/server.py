"""A server that knows its users by NTLM and Negotiate, and keeps that per connection, as IIS does.

    server.py PORT [--tls CHAIN KEY] [--bindings CERTIFICATE]

The users stand in the file that NTLM_USER_FILE names, as DOMAIN:USER:PASSWORD. With `--bindings` a client has to name the
certificate that it saw (tls-server-end-point, RFC 5929 §4): Extended Protection, set to be required.

A request without credentials gets its 401 at once, while its body may still be on its way; the body is then read and
forgotten. Authenticated, `/ws` is a WebSocket that sends back what it gets; every other path answers with the user, the
number of the connection, and the length and SHA-256 of the body. Each end of a connection is a line on standard output.
"""

import base64
import hashlib
import socket
import ssl
import sys
import threading

import spnego
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from spnego.channel_bindings import GssChannelBindings


def main(port, *options):
    tls, bindings = None, None
    if "--tls" in options:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*options[options.index("--tls") + 1 :][:2])
    if "--bindings" in options:
        bindings = bindings_of(options[options.index("--bindings") + 1])
    listener = socket.create_server(("127.0.0.1", int(port)), backlog=512)
    number = 0
    while True:
        stream, _ = listener.accept()
        threading.Thread(target=run, args=(stream, tls, bindings, number), daemon=True).start()
        number += 1


def bindings_of(path):
    with open(path, "rb") as file:
        leaf = x509.load_pem_x509_certificates(file.read())[0]
    digest = hashlib.sha256(leaf.public_bytes(Encoding.DER)).digest()
    return GssChannelBindings(application_data=b"tls-server-end-point:" + digest)


def run(stream, tls, bindings, number):
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        if tls:
            stream = tls.wrap_socket(stream, server_side=True)
        Connection(stream, bindings, number).serve()
    except (OSError, ValueError) as error:
        print(f"connection {number} broke: {error}", flush=True)
    finally:
        stream.close()
        print(f"connection {number} has ended", flush=True)


class Connection:
    def __init__(self, stream, bindings, number):
        self.file = stream.makefile("rwb")
        self.bindings = bindings
        self.number = number
        self.user = None
        self.context = None

    def serve(self):
        while head := self.read_head():
            method, target, headers = head
            scheme, _, token = headers.get("authorization", "").partition(" ")
            if scheme.lower() in ("ntlm", "negotiate"):
                challenges = self.step(scheme, base64.b64decode(token))
            else:
                challenges = [] if self.user else ["Negotiate", "NTLM"]
            if not self.user:
                self.answer(401, challenges, b"who are you?\n", method)
                self.read_body(headers)
            elif headers.get("upgrade", "").lower() == "websocket":
                return self.web_socket(headers)
            else:
                body = self.read_body(headers)
                text = f"{self.user} {self.number} {target} {len(body)} {hashlib.sha256(body).hexdigest()}\n"
                self.answer(200, challenges, text.encode(), method)

    def step(self, scheme, token):
        """Takes one message of a handshake; gives what to challenge the client with."""
        if self.context is None or token.startswith(b"NTLMSSP\0\1"):
            self.user = None
            protocol = "ntlm" if token.startswith(b"NTLMSSP\0") else "negotiate"
            force = spnego.NegotiateOptions.use_ntlm if protocol == "ntlm" else spnego.NegotiateOptions.use_negotiate
            self.context = spnego.server("server", "http", self.bindings, protocol=protocol, options=force)
        try:
            answer = self.context.step(token)
        except Exception as error:
            print(f"connection {self.number} is refused: {error}", flush=True)
            self.context = None
            return ["Negotiate", "NTLM"]
        if self.context.complete:
            self.user = self.context.client_principal
            self.context = None
        return [f"{scheme} {base64.b64encode(answer).decode()}"] if answer else []

    def read_head(self):
        line = self.file.readline()
        if not line:
            return None
        method, target, _ = line.decode("latin-1").split(" ", 2)
        headers = {}
        while (line := self.file.readline()) not in (b"\r\n", b""):
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        return method, target, headers

    def read_body(self, headers):
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = b""
            while size := int(self.file.readline().split(b";")[0], 16):
                body += self.file.read(size)
                self.file.readline()
            self.file.readline()
            return body
        return self.file.read(int(headers.get("content-length", 0)))

    def answer(self, status, challenges, body, method):
        lines = [f"HTTP/1.1 {status} {'OK' if status == 200 else 'Unauthorized'}", f"Content-Length: {len(body)}"]
        lines += ["Content-Type: text/plain"] + [f"WWW-Authenticate: {challenge}" for challenge in challenges]
        self.file.write("\r\n".join(lines + ["", ""]).encode() + (b"" if method == "HEAD" else body))
        self.file.flush()

    def web_socket(self, headers):
        """Sends every frame of up to 125 bytes back."""
        key = headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        self.file.write(f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        f"Sec-WebSocket-Accept: {accept}\r\nX-User: {self.user}\r\n\r\n".encode())
        self.file.flush()
        while len(begin := self.file.read(2)) == 2:
            length = begin[1] & 0x7F
            mask = self.file.read(4)
            payload = bytes(byte ^ mask[index % 4] for index, byte in enumerate(self.file.read(length)))
            self.file.write(bytes([begin[0], length]) + payload)
            self.file.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
