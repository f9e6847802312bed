"""A worker in little: serves a page where it is told to, writes numbered lines, ends when asked.

`params` of its job say what it does: `lines` to write, 0.05 s apart, and whether to `die` then.
"""

import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Page(BaseHTTPRequestHandler):
    """Answers everything, quietly."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"page")

    def log_message(self, *args: object) -> None:
        """Say nothing."""


def main() -> None:
    params = json.loads(Path("job.json").read_text(encoding="utf-8"))["params"]
    if port := os.environ.get("GRADIO_SERVER_PORT"):
        server = ThreadingHTTPServer((os.environ["GRADIO_SERVER_NAME"], int(port)), Page)
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print("started on", os.environ.get("ACCELERATOR"), "key", "HF_TOKEN" in os.environ, flush=True)
    for n in range(params["lines"]):
        print("line", n, flush=True)
        time.sleep(0.05)
    if params.get("die"):
        sys.exit("died as asked")
    time.sleep(300)


main()
