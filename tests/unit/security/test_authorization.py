"""The operator is the operating system's user, and words are exact."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adan_core.domain.commands import FLATTEN_WORD, REARM_WORD
from adan_core.domain.errors import SecurityError
from adan_core.security.authorization import (
    peer_uid,
    require_owner,
    require_same_user,
    require_word,
    word_matches,
)

STRANGER = """
import os, socket, sys
os.setuid(65534)
connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
sys.stdin.read()
"""


def test_the_peer_of_a_unix_socket_is_known_by_its_uid() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        assert peer_uid(ours) == os.geteuid()
        require_same_user(ours)


def test_another_user_s_peer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    monkeypatch.setattr(os, "geteuid", lambda: 4_242)
    with ours, theirs, pytest.raises(SecurityError, match="at the other end"):
        require_same_user(ours)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_process_of_another_user_is_seen_as_such(tmp_path: Path) -> None:
    path = Path("/tmp") / f"adan-peer-{os.getpid()}"  # noqa: S108 - reachable by the other user
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        try:
            path.chmod(0o777)
            server.listen()
            client = subprocess.Popen(
                [
                    sys.executable,
                    "-c",
                    STRANGER,
                    str(path),
                ],
                stdin=subprocess.PIPE,
            )
            connection, _ = server.accept()
            with connection:
                assert peer_uid(connection) == 65534
                with pytest.raises(SecurityError, match="uid 65534"):
                    require_same_user(connection)
            client.communicate()
        finally:
            path.unlink()


def test_a_socket_without_credentials_is_refused() -> None:
    with socket.socket(socket.AF_UNIX) as lonely:
        lonely.close()
        with pytest.raises(SecurityError, match="does not tell"):
            peer_uid(lonely)


def test_files_of_another_user_are_not_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_owner(tmp_path)
    require_owner(tmp_path / "absent")
    monkeypatch.setattr(os, "geteuid", lambda: 4_242)
    with pytest.raises(SecurityError, match=r"acts as uid 4242"):
        require_owner(tmp_path)


@pytest.mark.parametrize("word", [FLATTEN_WORD, REARM_WORD])
def test_the_typed_word_is_exact(word: str) -> None:
    require_word(word, word)
    for typed in ("", word.lower(), word + " ", " " + word, word[:-1], word + word, "yes"):
        with pytest.raises(SecurityError, match=word):
            require_word(typed, word)


@given(st.text(max_size=12))
def test_any_other_text_does_not_match(typed: str) -> None:
    assert word_matches(typed, REARM_WORD) == (typed == REARM_WORD)
