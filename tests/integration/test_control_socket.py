"""The control socket: real sockets, real threads, and clients that misbehave."""

import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from adan_core.domain.commands import Command, CommandKind, CommandResult
from adan_core.domain.errors import NotRunning, UsageError
from adan_core.runtime.control import ControlServer
from adan_core.runtime.frames import LENGTH, Reply, unpack
from adan_core.runtime.remote import RemoteClient, ask
from tests.fake_core import live_snapshot


class Core:
    """What the server serves here: one snapshot, and a record of the commands."""

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.complaints: list[str] = []

    def submit(self, command: Command) -> CommandResult:
        self.commands.append(command)
        return CommandResult(accepted=True, message="taken")


@pytest.fixture
def core() -> Core:
    return Core()


@pytest.fixture
def path(tmp_path: Path, core: Core) -> Iterator[Path]:
    found = tmp_path / "run" / "core.sock"
    server = ControlServer(found, live_snapshot, core.submit, core.complaints.append)
    server.start()
    yield found
    server.stop()
    assert not found.exists()


def connected(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(5.0)
    connection.connect(str(path))
    return connection


def test_the_socket_and_its_folder_are_the_operators_alone(path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_client_gets_the_snapshot_and_hands_over_commands(path: Path, core: Core) -> None:
    assert ask(path).snapshot == live_snapshot()
    result = ask(path, Command(CommandKind.HALT, reason="news")).result
    assert result == CommandResult(accepted=True, message="taken")
    assert core.commands == [Command(CommandKind.HALT, reason="news")]


def test_noise_is_answered_with_an_error_and_the_next_client_is_served(path: Path) -> None:
    with connected(path) as connection:
        connection.sendall(LENGTH.pack(5) + b"noise")
        (length,) = LENGTH.unpack(connection.recv(LENGTH.size))
        assert "no request" in unpack(connection.recv(length), Reply).error
    assert ask(path).snapshot is not None


def test_a_frame_that_claims_to_be_huge_ends_the_conversation(path: Path, core: Core) -> None:
    with connected(path) as connection:
        connection.sendall(LENGTH.pack(2**31))
        assert connection.recv(1) == b""
    assert "2147483648 bytes" in core.complaints[0]
    assert ask(path).snapshot is not None


def test_clients_that_say_nothing_keep_nobody_waiting(path: Path) -> None:
    silent = [connected(path) for _ in range(20)]
    half = connected(path)
    half.sendall(LENGTH.pack(100)[:2])
    assert ask(path, timeout=2.0).snapshot is not None
    for connection in [*silent, half]:
        connection.close()


def test_many_clients_at_once_each_get_their_own_answer(path: Path, core: Core) -> None:
    def work(number: int) -> None:
        assert ask(path, Command(CommandKind.HALT, reason=str(number)), timeout=10.0).result

    threads = [threading.Thread(target=work, args=(number,)) for number in range(25)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(int(command.reason) for command in core.commands) == list(range(25))


def test_a_core_of_another_version_is_named(tmp_path: Path) -> None:
    path = tmp_path / "old.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen()

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                body = b'{"schema_version":7}'
                connection.sendall(LENGTH.pack(len(body)) + body)

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(UsageError, match="schema version 7"):
            ask(path)
        thread.join()


def test_without_a_core_it_is_said_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(NotRunning, match="adan-core run"):
        ask(tmp_path / "nobody.sock")


def test_a_dead_cores_socket_is_replaced(tmp_path: Path, core: Core) -> None:
    path = tmp_path / "run" / "core.sock"
    path.parent.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(path))
    server = ControlServer(path, live_snapshot, core.submit, core.complaints.append)
    server.start()
    assert ask(path).snapshot is not None
    server.stop()


def test_a_remote_client_says_when_the_core_has_gone_and_keeps_what_it_knew(
    tmp_path: Path, core: Core
) -> None:
    path = tmp_path / "run" / "core.sock"
    seen = threading.Event()

    def snapshot() -> object:
        seen.set()
        return live_snapshot()

    server = ControlServer(path, snapshot, core.submit, core.complaints.append)  # type: ignore[arg-type]
    server.start()
    client = RemoteClient(path, 0.01)
    assert seen.wait(5.0)
    assert client.submit(Command(CommandKind.STOP_TRAINING)).accepted
    server.stop()
    poll = threading.Event()
    for _ in range(500):
        if client.link():
            break
        poll.wait(0.01)
    assert "no core answers" in client.link()
    assert client.snapshot() == live_snapshot()
    client.close()
