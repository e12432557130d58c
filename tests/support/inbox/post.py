"""Takes messages and prints each as a line of JSON.

    post.py webhook PORT CHAIN KEY
    post.py smtp PORT CHAIN KEY USER PASSWORD     STARTTLS is demanded, and then a login
    post.py smtps PORT CHAIN KEY USER PASSWORD    TLS from the first byte, and a login
    post.py plain PORT                            mail in clear, without a login
"""
import email
import email.policy
import http.server
import json
import re
import ssl
import sys
import threading
import urllib.parse


def main():
    kind, port, *rest = sys.argv[1:]
    if kind == "webhook":
        webhook(int(port), *rest)
    else:
        smtp(kind, int(port), *rest)


def context(chain, key):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(chain, key)
    return made


def tell(**message):
    print(json.dumps(message), flush=True)


def webhook(port, chain, key):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            tell(path=self.path, authorization=self.headers["Authorization"], type=self.headers["Content-Type"],
                 body=json.loads(body))
            asked = re.search(r"/(\d{3})$", self.path)
            status = int(asked[1]) if asked else 401 if "no" in self.path else 204
            # As frameworks do: what they were asked for, as it came and escaped.
            escaped = urllib.parse.quote(self.path, safe="")
            said = f"Cannot POST {self.path} ({escaped}) as {self.headers['Authorization']}" if status >= 300 else ""
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", "https://elsewhere.test/verborgen")
            if said:
                self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said.encode())

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.socket = context(chain, key).wrap_socket(server.socket, server_side=True)
    server.serve_forever()


def smtp(kind, port, chain=None, key=None, user=None, password=None):
    from aiosmtpd.controller import Controller
    from aiosmtpd.smtp import AuthResult

    class Handler:
        async def handle_DATA(self, server, session, envelope):
            mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
            tell(sender=envelope.mail_from, recipients=envelope.rcpt_tos, tls=session.ssl is not None or kind == "smtps",
                 login=session.auth_data, headers=[[name, str(value)] for name, value in mail.items()],
                 text=mail.get_content())
            return "250 taken"

    def authenticate(server, session, envelope, mechanism, data):
        is_right = (data.login, data.password) == (user.encode(), password.encode())
        return AuthResult(success=is_right, handled=False, auth_data=data.login.decode(),
                          message=None if is_right else "535 5.7.8 who are you?")

    options = {}
    if kind != "plain":
        options.update(authenticator=authenticate, auth_required=True)
    if kind == "smtp":
        options.update(tls_context=context(chain, key), require_starttls=True)
    if kind == "smtps":
        options.update(ssl_context=context(chain, key), auth_require_tls=False)
    Controller(Handler(), hostname="127.0.0.1", port=port, **options).start()
    threading.Event().wait()


main()
