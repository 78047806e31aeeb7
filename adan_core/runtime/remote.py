"""A core in another process, reached over its control socket."""

import socket
import threading
from pathlib import Path

from adan_core.domain.commands import Command, CommandResult
from adan_core.domain.errors import AdanError, NotRunning, UsageError
from adan_core.domain.snapshot import CoreSnapshot
from adan_core.runtime.frames import (
    FRAMES_SCHEMA_VERSION,
    LENGTH,
    LONGEST_REPLY,
    LONGEST_REQUEST,
    Reply,
    Request,
    pack,
    unpack,
)
from adan_core.security.authorization import require_same_user

_TIMEOUT_SECONDS = 2.0


def ask(path: Path, command: Command | None = None, timeout: float = _TIMEOUT_SECONDS) -> Reply:
    """Send one request to the core behind ``path`` and return its reply.

    Raises NotRunning if nobody answers within ``timeout`` seconds, UsageError if the core refuses
    the request, SecurityError if the socket is another user's.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout)
        try:
            connection.connect(str(path))
            require_same_user(connection)
            connection.sendall(pack(Request(FRAMES_SCHEMA_VERSION, command), LONGEST_REQUEST))
            (length,) = LENGTH.unpack(_receive(connection, LENGTH.size))
            if length > LONGEST_REPLY:
                raise UsageError(f"a reply of {length} bytes", f"at most {LONGEST_REPLY}")
            reply = unpack(_receive(connection, length), Reply)
        except (OSError, TimeoutError) as error:
            raise NotRunning(
                f"no core answers at {path} ({error})", "", "start one with `adan-core run`"
            ) from error
    if reply.error:
        raise UsageError(reply.error)
    return reply


def _receive(connection: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = connection.recv(size - len(parts))
        if not part:
            raise ConnectionResetError("the core closed the connection")
        parts += part
    return bytes(parts)


class RemoteClient:
    """A CoreClient that keeps asking the core behind the socket for its newest snapshot."""

    def __init__(self, path: Path, interval: float) -> None:
        self._path = path
        self._interval = interval
        self._newest: CoreSnapshot | None = None
        self._trouble = "not connected yet"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="remote", daemon=True)
        self._thread.start()

    def snapshot(self) -> CoreSnapshot | None:
        """Return the newest snapshot received; it keeps its own times, so its age can be told."""
        return self._newest

    def submit(self, command: Command) -> CommandResult:
        """Hand ``command`` to the core on a connection of its own."""
        result = ask(self._path, command).result
        if result is None:
            raise UsageError("a reply without a result", "what became of the command")
        return result

    def link(self) -> str:
        """Return an empty string while the core answers, else why it does not."""
        return self._trouble

    def close(self) -> None:
        """Stop asking; the core behind the socket goes on."""
        self._stop.set()
        self._thread.join()

    def _poll(self) -> None:
        while not self._stop.is_set():
            try:
                self._newest = ask(self._path).snapshot
                self._trouble = ""
            except AdanError as error:
                self._trouble = str(error)
            self._stop.wait(self._interval)
