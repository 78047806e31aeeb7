"""An entry on disk is what was written, to the bit, or it is refused."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from adan_core.data import cache_entry
from adan_core.data.cache_entry import Arrays, CacheKey, decode, encode, file_name, is_entry
from adan_core.domain.errors import DataError

KEY = CacheKey("frame", "candles", "features", "code")
FORMS = st.sampled_from([np.float64, np.float32, np.int64, np.uint8, np.bool_]).map(np.dtype)
ARRAYS = st.dictionaries(
    st.text(max_size=5),
    FORMS.flatmap(
        lambda form: arrays_of.arrays(form, arrays_of.array_shapes(min_dims=0, min_side=0))
    ),
    max_size=4,
)


def written(arrays: Arrays, key: CacheKey = KEY) -> bytes:
    return b"".join(encode(key, arrays))


@given(ARRAYS)
def test_what_was_written_is_read_to_the_bit_and_cannot_be_written_to(arrays: Arrays) -> None:
    read = decode(KEY, written(arrays))
    assert list(read) == list(arrays)
    for name, array in arrays.items():
        assert read[name].dtype == array.dtype
        assert read[name].shape == array.shape
        assert read[name].tobytes() == array.tobytes()
        assert not read[name].flags.writeable


SMALL = written({"market": np.arange(6.0).reshape(3, 2), "ready": np.array([2])})


@given(st.integers(0, len(SMALL) - 1), st.integers(1, 255))
def test_any_changed_byte_is_found(place: int, change: int) -> None:
    damaged = bytearray(SMALL)
    damaged[place] ^= change
    with pytest.raises(DataError):
        decode(KEY, bytes(damaged))


def test_every_single_byte_counts() -> None:
    for place in range(len(SMALL)):
        damaged = bytearray(SMALL)
        damaged[place] ^= 0x10
        with pytest.raises(DataError):
            decode(KEY, bytes(damaged))


@given(st.integers(0, len(SMALL) - 1))
def test_a_file_cut_off_anywhere_is_refused(length: int) -> None:
    with pytest.raises(DataError):
        decode(KEY, SMALL[:length])


@given(st.binary(min_size=1, max_size=100))
def test_a_file_with_more_behind_it_is_refused(more: bytes) -> None:
    with pytest.raises(DataError):
        decode(KEY, SMALL + more)


@given(st.binary(max_size=300))
def test_any_other_file_is_refused(content: bytes) -> None:
    with pytest.raises(DataError):
        decode(KEY, content)


def test_an_entry_of_another_key_is_refused() -> None:
    for other in (
        CacheKey("other", "candles", "features", "code"),
        CacheKey("frame", "other", "features", "code"),
        CacheKey("frame", "candles", "other", "code"),
        CacheKey("frame", "candles", "features", "other"),
    ):
        assert file_name(other) != file_name(KEY)
        with pytest.raises(DataError, match="an entry of"):
            decode(other, SMALL)


def test_a_newer_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_entry, "ENTRY_SCHEMA_VERSION", 2)
    newer = written({})
    monkeypatch.undo()
    with pytest.raises(DataError, match="version 2"):
        decode(KEY, newer)


@pytest.mark.parametrize(
    ("form", "shape"),
    [
        ("|O", (1,)),
        ("<U1", (1,)),
        ("<M8[s]", (1,)),
        ("<b8", (1,)),
        ("<f8", (-1,)),
        ("<f8", (-2, -4)),
        ("<f8", (9,)),
        ("<f8", (0,)),
        ("<f8", (2**70,)),
        ("<f8", (2**40, 2**40, 0)),
    ],
)
def test_a_header_that_lies_is_refused_though_its_checksum_is_right(
    form: str, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Lie(msgspec.Struct):
        name: str
        form: str
        shape: tuple[int, ...]
        checksums: tuple[int, ...]

    honest = cache_entry._Array
    monkeypatch.setattr(cache_entry, "_Array", lambda *it: Lie("market", form, shape, it[3]))
    lie = written({"market": np.arange(8.0)})
    monkeypatch.setattr(cache_entry, "_Array", honest)
    with pytest.raises(DataError):
        decode(KEY, lie)


@pytest.mark.slow
def test_a_large_array_is_checked_in_blocks_and_every_block_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cache_entry, "_BLOCK", 64)
    arrays = {"market": np.arange(100.0), "none": np.empty((0, 3)), "few": np.arange(3)}
    content = written(arrays)
    read = decode(KEY, content)
    assert [read[name].tobytes() for name in arrays] == [each.tobytes() for each in arrays.values()]
    for place in range(0, len(content), 7):
        damaged = bytearray(content)
        damaged[place] ^= 0x01
        with pytest.raises(DataError):
            decode(KEY, bytes(damaged))


def test_entries_are_told_from_other_files() -> None:
    assert is_entry(file_name(KEY))
    assert is_entry(f".{file_name(KEY)}.123.abcd")
    assert not is_entry("notes.txt")
    assert not is_entry(".entry-of-mine")
