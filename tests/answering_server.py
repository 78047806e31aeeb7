"""A server on loopback that answers each path as a test says, and remembers what it was asked."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Request:
    """One request: its host, its path and what its query says."""

    host: str
    path: str
    query: dict[str, str]


@dataclass(frozen=True)
class Answer:
    """One answer; ``announced`` is the length it claims to have (None: the true one)."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    announced: int | None = None


class AnsweringServer(ThreadingHTTPServer):
    """Asks ``answer`` what to say; ``requests`` are those that came in so far, in order."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, answer: Callable[[Request], Answer]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.requests: list[Request] = []

    @property
    def url(self) -> str:
        """Where it is to be found."""
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: AnsweringServer

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        request = Request(self.headers["Host"], parts.path, dict(parse_qsl(parts.query)))
        self.server.requests.append(request)
        answer = self.server.answer(request)
        self.send_response_only(answer.status)
        usual = {"Content-Type": "application/json", "Date": self.date_time_string()}
        for name, value in {**usual, **answer.headers}.items():
            self.send_header(name, value)
        length = len(answer.body) if answer.announced is None else answer.announced
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(answer.body)
        self.close_connection = length != len(answer.body)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.do_GET()

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 -- theirs
        """Say nothing."""


@contextmanager
def answering(answer: Callable[[Request], Answer]) -> Iterator[AnsweringServer]:
    """Run a server for as long as the block runs."""
    with AnsweringServer(answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
