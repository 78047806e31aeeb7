"""The control socket: how other terminals reach a running core.

Its thread only looks at snapshots and hands commands over; it shares no lock with trading. The
folder is 0700, the socket 0600, and every peer must be the core's own user.
"""

import asyncio
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

from adan_core.domain.commands import Command, CommandKind, CommandResult
from adan_core.domain.errors import AdanError, SystemFailure, UsageError
from adan_core.domain.snapshot import CoreSnapshot
from adan_core.resilience.files import private_folder
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

_IDLE_SECONDS = 30.0
_AT_ONCE = frozenset({CommandKind.HALT, CommandKind.FLATTEN})


class ControlServer:
    """Serves snapshots and takes commands until stopped."""

    def __init__(
        self,
        path: Path,
        snapshot: Callable[[], CoreSnapshot | None],
        submit: Callable[[Command], CommandResult],
        complain: Callable[[str], None],
    ) -> None:
        self._path = path
        self._snapshot = snapshot
        self._submit = submit
        self._complain = complain
        self._loop = asyncio.new_event_loop()
        self._done = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="control", daemon=True)

    def start(self) -> None:
        """Listen; SystemFailure if the socket cannot be made, SecurityError if its folder is open.

        The caller holds the home's lock, so a socket that lies there is a dead core's.
        """
        private_folder(self._path.parent)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._path.unlink(missing_ok=True)
            former = os.umask(0o177)
            try:
                listener.bind(str(self._path))
            finally:
                os.umask(former)
            listener.listen()
            listener.settimeout(0)  # asyncio wants it non-blocking
        except OSError as error:
            listener.close()
            raise SystemFailure(
                f"the control socket {self._path}: {error.strerror}", "a folder for sockets"
            ) from error
        self._listener = listener
        self._thread.start()

    def stop(self) -> None:
        """Close the socket, take it off the disk and join the thread."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._done.set)
            self._thread.join()
        self._path.unlink(missing_ok=True)

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        server = await asyncio.start_unix_server(self._converse, sock=self._listener)
        async with server:
            await self._done.wait()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            require_same_user(writer.get_extra_info("socket"))
            while True:
                async with asyncio.timeout(_IDLE_SECONDS):
                    (length,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
                    if length > LONGEST_REQUEST:
                        raise UsageError(
                            f"a request of {length} bytes", f"at most {LONGEST_REQUEST}"
                        )
                    body = await reader.readexactly(length)
                writer.write(await self._answer(body))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError):
            pass  # the client has said all it wanted to say
        except AdanError as error:
            self._complain(f"a control connection was refused: {error}")
        except asyncio.CancelledError:
            pass  # the server stops; streams' own task would otherwise log it
        finally:
            writer.close()

    async def _answer(self, body: bytes) -> bytes:
        try:
            request = unpack(body, Request)
            if request.command is None:
                reply = Reply(FRAMES_SCHEMA_VERSION, snapshot=self._snapshot())
            elif request.command.kind in _AT_ONCE:
                reply = Reply(FRAMES_SCHEMA_VERSION, result=self._submit(request.command))
            else:
                # Some commands wait for others; meanwhile a kill must get through.
                result = await asyncio.to_thread(self._submit, request.command)
                reply = Reply(FRAMES_SCHEMA_VERSION, result=result)
        except AdanError as error:
            reply = Reply(FRAMES_SCHEMA_VERSION, error=str(error))
        return pack(reply, LONGEST_REPLY)
