"""A Space's program for tests: tells what it finds and gets, streams, echoes, misbehaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

STRAY = "import time; time.sleep(600)"
"""What is started in a session of its own, to be found out."""


class App(BaseHTTPRequestHandler):
    """`/env` `/headers` `/stream` `/exit` `/break`, `POST` echoes, all else says hello."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/stream":
            self.stream()
            return
        if self.path == "/exit":
            print("about to leave", flush=True)
            os._exit(3)
        if self.path == "/break":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"only this")
            self.wfile.flush()
            os._exit(3)
        told = {"/env": dict(os.environ), "/headers": dict(self.headers), "/pids": PIDS}
        self.answer(json.dumps(told.get(self.path.partition("?")[0], "hello")).encode())

    def do_POST(self) -> None:
        self.answer(self.rfile.read(int(self.headers["Content-Length"])))

    def answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Set-Cookie", "own=1")
        self.end_headers()
        self.wfile.write(body)

    def stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for number in range(3):
            self.wfile.write(f"data: {number}\n\n".encode())
            self.wfile.flush()
            time.sleep(0.3)

    def log_message(self, *_: object) -> None:
        """Say nothing of requests."""


PIDS = [os.getpid()]

if __name__ == "__main__":
    print("hello from", Path.cwd().name, *sys.argv[1:], flush=True)
    if "stray" in sys.argv:
        stray = subprocess.Popen([sys.executable, "-c", STRAY], start_new_session=True)
        PIDS.append(stray.pid)
    address = (os.environ["GRADIO_SERVER_NAME"], int(os.environ["GRADIO_SERVER_PORT"]))
    ThreadingHTTPServer(address, App).serve_forever()
