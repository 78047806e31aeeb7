"""What travels over the socket: whole, bounded, typed, versioned."""

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adan_core.domain.commands import Command, CommandKind, CommandResult
from adan_core.domain.errors import UsageError
from adan_core.domain.training import TrainingRequest
from adan_core.runtime.frames import FRAMES_SCHEMA_VERSION, LENGTH, Reply, Request, pack, unpack
from tests.fake_core import live_snapshot

COMMANDS = st.builds(
    Command,
    kind=st.sampled_from(CommandKind),
    reason=st.text(max_size=50),
    word=st.text(max_size=10),
    training=st.none()
    | st.builds(
        TrainingRequest,
        dataset=st.none() | st.text(max_size=10),
        steps=st.integers(1, 10**9),
        seed=st.integers(0, 2**31),
        timeout=st.none() | st.floats(0.1, 1e6),
    ),
    alert_id=st.none() | st.integers(0, 10**6),
)


@given(COMMANDS)
def test_a_command_arrives_as_it_was_sent(command: Command) -> None:
    frame = pack(Request(FRAMES_SCHEMA_VERSION, command), 64 * 1024)
    (length,) = LENGTH.unpack(frame[: LENGTH.size])
    assert length == len(frame) - LENGTH.size
    assert unpack(frame[LENGTH.size :], Request).command == command


def test_a_whole_snapshot_arrives_as_it_was_sent() -> None:
    snapshot = live_snapshot()
    body = pack(Reply(FRAMES_SCHEMA_VERSION, snapshot=snapshot), 8 * 1024 * 1024)[LENGTH.size :]
    assert unpack(body, Reply).snapshot == snapshot


def test_a_message_longer_than_its_bound_is_refused_before_it_is_sent() -> None:
    with pytest.raises(UsageError, match="at most 100"):
        pack(Reply(FRAMES_SCHEMA_VERSION, error="x" * 200), 100)


def test_another_version_is_refused_by_its_number() -> None:
    body = msgspec.json.encode(replace(Reply(FRAMES_SCHEMA_VERSION), schema_version=99))
    with pytest.raises(UsageError, match="schema version 99"):
        unpack(body, Reply)


@given(st.binary(max_size=200))
def test_noise_is_a_usage_error_and_nothing_else(body: bytes) -> None:
    with pytest.raises(UsageError):
        unpack(body, Request)


def test_a_result_without_words_is_still_a_result() -> None:
    reply = Reply(FRAMES_SCHEMA_VERSION, result=CommandResult(accepted=False, message=""))
    assert unpack(msgspec.json.encode(reply), Reply) == reply
