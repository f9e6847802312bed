"""Stands in for the app of a guest: says what it was started with, and what it is asked.

`python guest_app.py FD`, as a lobby starts an app.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path


class Says(BaseHTTPRequestHandler):
    """One answer for every path."""

    def do_GET(self) -> None:
        told = {
            "environ": dict(os.environ),
            "argv": sys.argv[1:],
            "here": [str(path) for path in Path.cwd().iterdir()],
            "headers": {name.lower(): value for name, value in self.headers.items()},
        }
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Set-Cookie", "its=own")
        self.end_headers()
        self.wfile.write(json.dumps(told).encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


def main() -> None:
    server = HTTPServer(("127.0.0.1", 0), Says, bind_and_activate=False)
    server.socket.close()
    server.socket = socket.socket(fileno=int(sys.argv[1]))
    server.serve_forever()


if __name__ == "__main__":
    main()
