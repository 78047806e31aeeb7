"""Checkpoints: whole or refused, three kept, nothing executable, the older one when the newest is torn."""

from pathlib import Path

import numpy as np
import pytest

from adan_core.domain.errors import ModelError
from adan_core.learning.checkpoint import (
    Checkpoint,
    checkpoints,
    decode,
    encode,
    newest_valid,
    save_checkpoint,
)


def made(steps: int) -> Checkpoint:
    arrays = {
        "policy.weight": np.arange(6, dtype=np.float32).reshape(2, 3) + steps,
        "generator": np.array([1, 2**32 - 1], dtype=np.uint32),
        "flags": np.array([True, False]),
    }
    return Checkpoint(steps, arrays, {"score": None, "rollouts": steps // 10})


def test_round_trip_keeps_every_bit() -> None:
    before = made(7)
    after = decode(encode(before))
    assert after.steps == 7
    assert after.state == before.state
    assert set(after.arrays) == set(before.arrays)
    for name, array in before.arrays.items():
        assert after.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(after.arrays[name], array)


@pytest.mark.parametrize("place", [0, 20, 90, 200, -1])
def test_any_flipped_byte_is_noticed(place: int) -> None:
    data = bytearray(encode(made(1)))
    data[place] ^= 1
    with pytest.raises(ModelError):
        decode(bytes(data))


@pytest.mark.parametrize("length", [0, 10, 100, 300])
def test_a_torn_file_is_refused(length: int) -> None:
    with pytest.raises(ModelError):
        decode(encode(made(1))[:length])


def test_a_newer_schema_is_refused() -> None:
    import hashlib

    payload = (
        encode(made(1)).split(b"\n", 2)[2].replace(b'"schema_version":1', b'"schema_version":9')
    )
    data = b"ADAN checkpoint\n" + hashlib.sha256(payload).hexdigest().encode() + b"\n" + payload
    with pytest.raises(ModelError, match="schema version 9"):
        decode(data)


def test_three_are_kept(tmp_path: Path) -> None:
    for steps in (10, 20, 30, 40, 50):
        save_checkpoint(tmp_path, made(steps))
    assert [path.name for path in checkpoints(tmp_path)] == [
        f"checkpoint-{steps:012d}.adan" for steps in (30, 40, 50)
    ]


def test_a_corrupt_newest_one_is_skipped_and_said(tmp_path: Path) -> None:
    for steps in (10, 20):
        newest = save_checkpoint(tmp_path, made(steps))
    newest.write_bytes(newest.read_bytes()[:-1])
    said: list[str] = []
    assert newest_valid(tmp_path, said.append).steps == 10
    assert len(said) == 1
    assert newest.name in said[0]


def test_without_a_valid_one_it_refuses(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, made(1)).write_bytes(b"junk")
    with pytest.raises(ModelError, match="no valid checkpoint"):
        newest_valid(tmp_path, lambda _text: None)
