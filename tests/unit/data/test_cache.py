"""The cache serves what was built or builds it again, stays within its bounds, and never stops the work."""

import fcntl
import os
import resource
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adan_core.data import cache as module
from adan_core.data.cache import DataCache
from adan_core.data.cache_entry import Arrays, CacheKey, file_name

MANY = 100_000_000


def key(name: str) -> CacheKey:
    return CacheKey("frame", name, "schema", "code")


def numbers(seed: int, count: int = 1000) -> Callable[[], Arrays]:
    """What a build would make: another array for each seed."""
    return lambda: {"market": np.random.default_rng(seed).random(count)}


def never() -> Arrays:
    raise AssertionError("this was to come from the cache")


class Told:
    """A cache and what it warned of."""

    def __init__(self, folder: Path, memory: int = MANY, disk: int = MANY) -> None:
        self.warnings: list[str] = []
        self.cache = DataCache(folder, memory, disk, self.warnings.append)

    def fetch(self, name: str, build: Callable[[], Arrays]) -> bytes:
        return self.cache.fetch(key(name), build)["market"].tobytes()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "data"


def entry(folder: Path, name: str) -> Path:
    return folder / file_name(key(name))


def used(folder: Path, *names: str) -> None:
    """Let the entries have been used in this order, whatever the grain of the file system's clock."""
    for place, name in enumerate(names):
        os.utime(entry(folder, name), (1_000_000 + place, 1_000_000 + place))


def test_a_value_is_built_once_then_comes_from_memory_then_from_disk(folder: Path) -> None:
    first, second = Told(folder), Told(folder)
    made = first.fetch("a", numbers(1))
    assert made == numbers(1)()["market"].tobytes()
    assert first.fetch("a", never) == second.fetch("a", never) == second.fetch("a", never) == made
    for told, hits, misses in ((first, 1, 1), (second, 2, 0)):
        found = told.cache.statistics
        assert (found.hits, found.misses, found.memory_entries) == (hits, misses, 1)
        assert (found.disk_entries, found.disk_bytes) == (1, entry(folder, "a").stat().st_size)
        assert (found.memory_limit, found.disk_limit) == (MANY, MANY)
        assert (found.evictions, found.damaged, found.failures) == (0, 0, 0)
    assert first.warnings == second.warnings == []


def test_nobody_can_write_into_what_others_are_given(folder: Path) -> None:
    mine = np.arange(5.0)
    for told in (Told(folder), Told(folder)):
        for _ in range(2):
            arrays = told.cache.fetch(key("a"), lambda: {"market": mine})
            with pytest.raises(ValueError, match="read-only"):
                arrays["market"][0] = 7.0
            with pytest.raises(TypeError):
                arrays["market"] = mine  # type: ignore[index]


@pytest.mark.parametrize("part", [slice(0, 3), slice(0, 1000, 2)])
def test_a_part_of_a_larger_array_does_not_keep_the_whole_alive(folder: Path, part: slice) -> None:
    whole = np.arange(1000.0)
    arrays = Told(folder).cache.fetch(key("a"), lambda: {"market": whole[part]})
    assert arrays["market"].tobytes() == whole[part].tobytes()
    assert arrays["market"].base is None


def test_what_the_build_raises_is_raised_and_nothing_is_kept(folder: Path) -> None:
    told = Told(folder)
    with pytest.raises(AssertionError):
        told.fetch("a", never)
    assert told.fetch("a", numbers(1)) == numbers(1)()["market"].tobytes()
    assert told.cache.statistics.misses == 2


# -- memory ---------------------------------------------------------------------------------------


def test_memory_is_measured_as_it_is(folder: Path) -> None:
    told = Told(folder, disk=0)
    told.fetch("the first loads what is imported late", numbers(0))
    before = told.cache.statistics.memory_bytes
    tracemalloc.start()
    try:
        for number in range(20):
            told.fetch(f"entry {number}", numbers(number, 50 + 400 * number))
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    measured = told.cache.statistics.memory_bytes - before
    assert measured == pytest.approx(taken, rel=0.02)


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 3000)), max_size=25))
def test_memory_never_exceeds_its_bound_and_keeps_what_was_used_last(
    asked: list[tuple[int, int]],
) -> None:
    limit = 40_000
    told = Told(Path("/dev/null/nowhere"), limit, 0)
    sizes: dict[int, int] = {}
    for number, size in asked:
        size = sizes.setdefault(number, size)  # noqa: PLW2901 a key stands for one value
        assert told.fetch(f"{number}", numbers(number, size)) == (
            numbers(number, size)()["market"].tobytes()
        )
        assert told.cache.statistics.memory_bytes <= limit
        if 8 * size < limit / 2:
            told.fetch(f"{number}", never)


def test_the_longest_unused_goes_first_from_memory(folder: Path) -> None:
    told = Told(folder, memory=2 * 8_000 + 4_000, disk=0)
    told.fetch("a", numbers(1))
    told.fetch("b", numbers(2))
    told.fetch("a", never)
    told.fetch("c", numbers(3))
    told.fetch("a", never)
    assert told.cache.statistics.evictions == 1
    with pytest.raises(AssertionError):
        told.fetch("b", never)


def test_what_is_larger_than_memory_is_served_from_disk(folder: Path) -> None:
    told = Told(folder, memory=100)
    told.fetch("a", numbers(1))
    told.fetch("a", never)
    assert told.cache.statistics.memory_bytes == 0


# -- disk -----------------------------------------------------------------------------------------


def test_the_longest_unused_goes_first_from_disk(folder: Path) -> None:
    told = Told(folder, memory=0, disk=3 * 8_500)
    for number, name in enumerate("abc"):
        told.fetch(name, numbers(number))
    used(folder, "a", "b", "c")
    told.fetch("a", never)
    told.fetch("d", numbers(3))
    assert told.cache.statistics.evictions == 1
    for name in "acd":
        told.fetch(name, never)
    assert not entry(folder, "b").exists()


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3000)), max_size=12))
def test_disk_never_exceeds_its_bound(
    tmp_path_factory: pytest.TempPathFactory, asked: list[tuple[int, int]]
) -> None:
    told = Told(tmp_path_factory.mktemp("cache"), memory=0, disk=30_000)
    for number, size in asked:
        told.fetch(f"{number} {size}", numbers(number, size))
        assert told.cache.statistics.disk_bytes <= 30_000


def test_what_an_interrupted_write_left_counts_and_goes_first(folder: Path) -> None:
    told = Told(folder, memory=0, disk=20_000)
    told.fetch("a", numbers(1))
    torn = folder / f".{entry(folder, 'b').name}.123.abcd"
    torn.write_bytes(bytes(9_000))
    os.utime(torn, (1, 1))
    (folder / "notes.txt").write_bytes(bytes(90_000))
    assert told.cache.statistics.disk_bytes == entry(folder, "a").stat().st_size + 9_000
    told.fetch("c", numbers(3))
    assert not torn.exists()
    assert {path.name for path in folder.iterdir()} == {
        ".lock",
        "notes.txt",
        entry(folder, "a").name,
        entry(folder, "c").name,
    }


def test_an_entry_that_is_removed_stays_whole_for_whom_has_it(folder: Path) -> None:
    Told(folder).fetch("a", numbers(1))
    arrays = Told(folder, memory=0).cache.fetch(key("a"), never)
    Told(folder).cache.clear()
    assert not entry(folder, "a").exists()
    assert arrays["market"].tobytes() == numbers(1)()["market"].tobytes()


def test_other_limits_hold_at_once(folder: Path) -> None:
    told = Told(folder)
    for number, name in enumerate("abc"):
        told.fetch(name, numbers(number))
    used(folder, "a", "b", "c")
    told.cache.limit(0, 9_000)
    found = told.cache.statistics
    assert (found.memory_bytes, found.memory_entries, found.disk_entries) == (0, 0, 1)
    assert (found.memory_limit, found.disk_limit) == (0, 9_000)
    told.fetch("c", never)


def test_clearing_removes_entries_and_nothing_else(folder: Path) -> None:
    told = Told(folder)
    told.fetch("a", numbers(1))
    (folder / "notes.txt").touch()
    size = entry(folder, "a").stat().st_size
    assert told.cache.clear() == size
    assert {path.name for path in folder.iterdir()} == {".lock", "notes.txt"}
    with pytest.raises(AssertionError):
        told.fetch("a", never)


# -- what goes wrong ------------------------------------------------------------------------------


@given(st.integers(0, 10_000), st.integers(0, 255), st.booleans())
def test_a_damaged_entry_is_dropped_counted_and_built_again(
    tmp_path_factory: pytest.TempPathFactory, place: int, change: int, cut: bool
) -> None:
    folder = tmp_path_factory.mktemp("cache")
    made = Told(folder).fetch("a", numbers(1))
    path = entry(folder, "a")
    content = bytearray(path.read_bytes())
    place %= len(content)
    if cut:
        del content[place:]
    else:
        content[place] ^= change
    harmed = bytes(content) != path.read_bytes()
    path.write_bytes(content)
    told = Told(folder)
    assert told.fetch("a", numbers(1)) == made
    found = told.cache.statistics
    assert (found.damaged, found.misses, found.hits) == (harmed, harmed, not harmed)
    assert Told(folder).fetch("a", never) == made


@pytest.mark.parametrize("planted", [b"", b"not an entry", b"\x80\x04\x95\x00."])
def test_a_foreign_file_in_an_entrys_place_is_dropped_not_opened(
    folder: Path, planted: bytes
) -> None:
    folder.mkdir(parents=True)
    entry(folder, "a").write_bytes(planted)
    told = Told(folder)
    told.fetch("a", numbers(1))
    assert told.cache.statistics.damaged == 1
    Told(folder).fetch("a", never)


@pytest.fixture
def full_disk() -> Iterator[None]:
    """Let no file of this process grow beyond 4000 bytes, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_does_not_stop_the_work_and_is_said_once(folder: Path) -> None:
    told = Told(folder, memory=0)
    for number, name in enumerate("abc"):
        assert told.fetch(name, numbers(number)) == numbers(number)()["market"].tobytes()
    found = told.cache.statistics
    assert (found.failures, found.misses, found.disk_entries) == (3, 3, 0)
    assert len(told.warnings) == 1
    assert "could not be written" in told.warnings[0]
    assert [path.name for path in folder.iterdir()] == [".lock"]


def test_a_folder_that_cannot_be_one_does_not_stop_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    told = Told(tmp_path / "file" / "cache")
    assert told.fetch("a", numbers(1)) == told.fetch("a", never)
    assert told.cache.statistics.failures > 0
    assert len(told.warnings) == 1
    assert "Not a directory" in told.warnings[0]
    assert str(tmp_path / "file" / "cache") in told.warnings[0]


def test_a_writer_that_never_ends_does_not_stop_the_work(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LOOKS", 2)
    told = Told(folder, memory=0)
    folder.mkdir(parents=True)
    with (folder / ".lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert told.fetch("a", numbers(1)) == numbers(1)()["market"].tobytes()
    found = told.cache.statistics
    assert (found.failures, found.disk_entries) == (1, 0)
    assert "another process" in told.warnings[0]
    told.fetch("a", numbers(1))
    assert told.fetch("a", never) == numbers(1)()["market"].tobytes()


def test_a_file_that_cannot_be_removed_is_counted_when_dropped(folder: Path) -> None:
    entry(folder, "a").mkdir(parents=True)  # a folder where the entry should be
    told = Told(folder)
    assert told.fetch("a", numbers(1)) == told.fetch("a", never)
    assert told.cache.statistics.failures > 0
    assert len(told.warnings) == 1


# -- several at once ------------------------------------------------------------------------------


def test_threads_share_one_cache(folder: Path) -> None:
    told = Told(folder, memory=3 * 8_500, disk=4 * 8_500)
    wrong: list[int] = []

    def work(seed: int) -> None:
        random = np.random.default_rng(seed)
        wrong.extend(
            number
            for number in random.integers(0, 8, 200).tolist()
            if told.fetch(f"{number}", numbers(number)) != numbers(number)()["market"].tobytes()
        )

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = told.cache.statistics
    assert not wrong
    assert not told.warnings
    assert (found.hits + found.misses, found.damaged, found.failures) == (800, 0, 0)
    assert found.memory_bytes <= 3 * 8_500


_PROCESS = """
import sys
from pathlib import Path
import numpy as np
from adan_core.data.cache import DataCache
from adan_core.data.cache_entry import CacheKey
warned = []
cache = DataCache(Path(sys.argv[1]), 0, 4 * 8_500, warned.append)
random = np.random.default_rng(int(sys.argv[2]))
print("ready", flush=True)
sys.stdin.readline()
for number in random.integers(0, 8, 300).tolist():
    expected = np.random.default_rng(number).random(1000)
    key = CacheKey("frame", str(number), "schema", "code")
    arrays = cache.fetch(key, lambda: {"market": expected.copy()})
    assert arrays["market"].tobytes() == expected.tobytes()
found = cache.statistics
assert not warned and not found.damaged and not found.failures, (warned, found)
assert found.hits and found.evictions, found
"""


@pytest.mark.slow
def test_processes_share_one_folder(folder: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _PROCESS, str(folder), str(seed)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for seed in range(3)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    said = [process.communicate("go\n")[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], said
    assert Told(folder).cache.statistics.disk_bytes <= 4 * 8_500
