"""Speaks the HTTP API of joohoi/acme-dns, and keeps the texts in a zone of a name server that takes dynamic updates.

Arguments: port, zone, port of the name server, file with the TSIG key.
As the original: POST /register, POST /update with X-Api-User and X-Api-Key, the last two texts of an account are kept.
"""

import http.server
import json
import re
import secrets
import subprocess
import sys
import uuid

port, zone, name_server, key = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
accounts = {}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/register":
            self.register()
        elif self.path == "/update":
            self.update(body)
        else:
            self.answer(404, {"error": "not_found"})

    def register(self):
        subdomain = str(uuid.uuid4())
        account = {
            "username": str(uuid.uuid4()),
            "password": secrets.token_urlsafe(30),
            "fulldomain": f"{subdomain}.{zone}",
            "subdomain": subdomain,
            "allowfrom": [],
        }
        accounts[account["username"]] = (account, [])
        self.answer(201, account)

    def update(self, body):
        account, texts = accounts.get(self.headers.get("X-Api-User"), (None, None))
        if account is None or self.headers.get("X-Api-Key") != account["password"]:
            return self.answer(401, {"error": "forbidden"})
        wanted = json.loads(body)
        if wanted.get("subdomain") != account["subdomain"]:
            return self.answer(401, {"error": "forbidden"})
        if not re.fullmatch("[A-Za-z0-9_-]{43}", wanted.get("txt", "")):
            return self.answer(400, {"error": "bad_txt"})
        texts.append(wanted["txt"])
        del texts[:-2]
        lines = [f"server 127.0.0.1 {name_server}", f"update delete {account['fulldomain']} TXT"]
        lines += [f'update add {account["fulldomain"]} 1 TXT "{text}"' for text in texts]
        subprocess.run(["nsupdate", "-k", key], input="\n".join(lines + ["send", ""]), text=True, check=True)
        self.answer(200, {"txt": wanted["txt"]})

    def answer(self, status, what):
        body = json.dumps(what).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
