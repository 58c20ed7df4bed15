"""A web hook on loopback that keeps what it is sent; it may be told to refuse, to be slow, or to be away."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Receiver:
    """Takes what Apprise's ``json://`` service posts."""

    def __init__(self, port: int = 0) -> None:
        self.taken: list[dict[str, Any]] = []
        self.asked = 0
        self.status = 200
        self.delay_s = 0.0
        self.answers = threading.Event()
        """While it is not set, nothing is answered, and nothing taken."""
        self.answers.set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                receiver.asked += 1
                time.sleep(receiver.delay_s)
                receiver.answers.wait(120)
                if receiver.status == 200:
                    receiver.taken.append(body)
                self.send_response(receiver.status)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self._server.server_address[1]
        self.address = f"json://someone:a-secret-word@127.0.0.1:{self.port}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def lines(self) -> list[str]:
        """All sentences that were taken, in order."""
        return [line for one in self.taken for line in one["message"].split("\n")]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
