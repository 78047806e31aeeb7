"""Killed, refused by the disk or read at any instant, a data set is the old one or the new one."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from adan_core.data.series import CandleSeries
from adan_core.data.store import CandleStore
from adan_core.domain.candles import Timeframe
from adan_core.domain.errors import AlreadyRunning, DataError, SystemFailure
from adan_core.domain.time import DAY
from adan_core.resilience.files import ExclusiveLock, exclusive_lock

pytestmark = pytest.mark.slow

START = 18_628 * DAY  # 2021-01-01
# What changes the disk, or makes a change outlive a power cut.
STEPS = ("open", "fsync", "rename", "unlink", "mkdir", "rmdir")


def made(count: int, level: float = 100.0) -> CandleSeries:
    rows = np.arange(count, dtype=np.int64)
    close = level + np.sin(rows / 7.0)
    return CandleSeries(
        "BTC/USDT",
        Timeframe(DAY),
        START + rows * DAY,
        close,
        close + 1.0,
        close - 1.0,
        close,
        np.ones(count),
        synthetic=False,
    )


OLD, LONGER, OTHER = made(70), made(100), made(40, level=500.0)

Change = Callable[[CandleStore], object]
CHANGES: dict[str, tuple[Change, frozenset[str | None]]] = {
    "append": (
        lambda store: store.append("name", LONGER, "new"),
        frozenset({OLD.content_hash, LONGER.content_hash}),
    ),
    "replace": (
        lambda store: store.write("name", OTHER, "new", replace=True),
        frozenset({OLD.content_hash, OTHER.content_hash}),
    ),
    "remove": (lambda store: store.remove("name"), frozenset({OLD.content_hash, None})),
}


def state(root: Path) -> str | None:
    """Return the hash of the candles that are read from a store, None if it has no such data set."""
    store = CandleStore(root, patience=0.0)
    if "name" not in store.names():
        return None
    series = store.read("name")
    assert store.info("name").content_hash == series.content_hash
    assert store.size_on_disk("name") > 0
    return series.content_hash


def files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*")} - {".lock"}


@contextmanager
def watched(patch: pytest.MonkeyPatch, before: Callable[[int], None]) -> Iterator[None]:
    """Call ``before`` with the number of each step that touches the disk, and then take it."""
    count = 0

    def watch(original: Callable[..., object]) -> Callable[..., object]:
        def step(*arguments: object, **options: object) -> object:
            nonlocal count
            count += 1
            before(count)
            return original(*arguments, **options)

        return step

    with patch.context() as inner:
        for name in STEPS:
            inner.setattr(os, name, watch(getattr(os, name)))
        yield


@pytest.fixture
def root(tmp_path: Path) -> Path:
    CandleStore(tmp_path / "store", patience=0.0).write("name", OLD, "old")
    return tmp_path / "store"


@pytest.mark.parametrize("change", CHANGES)
def test_a_store_left_at_any_step_is_read_and_goes_on(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    act, allowed = CHANGES[change]
    left: list[Path] = []

    def keep_a_copy(number: int) -> None:
        left.append(tmp_path / f"left-{number}")
        subprocess.run(["cp", "-a", str(root), str(left[-1])], check=True)

    with watched(monkeypatch, keep_a_copy):
        act(CandleStore(root, patience=0.0))
    assert len(left) > 6
    seen = {state(copy) for copy in left}
    assert seen <= allowed
    for copy in left:
        # A lock dies with its holder; the next writer finds the store free and clears up.
        CandleStore(copy, patience=0.0).write("name", LONGER, "next", replace=True)
        assert state(copy) == LONGER.content_hash
        partitions = CandleStore(copy).info("name").partitions
        assert files(copy) == {
            "name.json",
            "name.candles",
            *(f"name.candles/{each.file}" for each in partitions),
        }


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_disk_that_refuses_any_step_leaves_one_or_the_other(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str, code: int
) -> None:
    act, allowed = CHANGES[change]
    refused = 0
    for failing in range(1, 100):
        copy = tmp_path / f"refused-{failing}"
        shutil.copytree(root, copy)
        reached = False

        def refuse(number: int, failing: int = failing) -> None:
            nonlocal reached
            if number >= failing:  # a full disk stays full
                reached = True
                raise OSError(code, os.strerror(code))

        with watched(monkeypatch, refuse):
            try:
                act(CandleStore(copy, patience=0.0))
            except SystemFailure:
                refused += 1
        assert state(copy) in allowed
        if state(copy) == OLD.content_hash:
            act(CandleStore(copy, patience=0.0))
        assert state(copy) in allowed - {OLD.content_hash}
        if not reached:
            break
    assert refused > 3


def test_what_a_refused_writer_has_written_does_not_stay_in_the_way(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files(root)

    def refuse_the_manifest(path: Path, data: bytes) -> None:
        if path.suffix == ".json":
            raise SystemFailure("the disk is full")
        path.write_bytes(data)

    monkeypatch.setattr("adan_core.data.store_writer.write_atomically", refuse_the_manifest)
    with pytest.raises(SystemFailure):
        CandleStore(root).write("name", OTHER, "new", replace=True)
    assert files(root) == before


def test_a_manifest_that_is_in_place_keeps_its_files_though_the_disk_complained_then(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def complain_at_the_end(path: Path, data: bytes) -> None:
        path.write_bytes(data)
        if path.suffix == ".json":
            raise SystemFailure("the folder could not be synced")

    monkeypatch.setattr("adan_core.data.store_writer.write_atomically", complain_at_the_end)
    with pytest.raises(SystemFailure):
        CandleStore(root).write("name", OTHER, "new", replace=True)
    assert state(root) == OTHER.content_hash


def test_a_reader_keeps_the_data_set_it_began_with(root: Path) -> None:
    store = CandleStore(root, patience=0.0)
    chunks = store.chunks("name", 35)
    first = next(chunks)
    store.write("name", OTHER, "new", replace=True)
    second = next(chunks)
    assert second.content_hash == OLD.slice(35, 70).content_hash
    assert list(chunks) == []
    assert len(first) == 35


def test_a_data_set_replaced_between_manifest_and_file_is_read_anew(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = CandleStore(root, patience=0.0)
    original = Path.open
    replaced: list[Path] = []

    def replace_first(path: Path, mode: str = "r") -> object:
        if path.suffix == ".parquet" and not replaced:
            replaced.append(path)
            store.write("name", OTHER, "new", replace=True)
        return original(path, mode)

    monkeypatch.setattr(Path, "open", replace_first)
    assert store.read("name").content_hash == OTHER.content_hash
    assert replaced


def test_a_writer_waits_for_another_that_is_soon_done(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    met = threading.Event()
    original = exclusive_lock

    def say_when_met(path: Path) -> ExclusiveLock:
        try:
            return original(path)
        except AlreadyRunning:
            met.set()
            raise

    monkeypatch.setattr("adan_core.data.store.exclusive_lock", say_when_met)
    with ThreadPoolExecutor(1) as pool:
        with original(root / ".lock"):
            appended = pool.submit(CandleStore(root, patience=60.0).append, "name", LONGER, "new")
            assert met.wait(60.0)
        assert appended.result(60.0).content_hash == LONGER.content_hash


_WRITER = """
import sys
from pathlib import Path
from adan_core.data.store import CandleStore
from tests.unit.data.test_store_crashes import made
store = CandleStore(Path(sys.argv[1]), patience=0.0)
store.write("name", made(70), "a writer", replace=True)
print("ready", flush=True)
while True:
    for count in range(71, 200):
        store.append("name", made(count), "a writer")
    store.write("name", made(70), "a writer", replace=True)
"""


@pytest.mark.slow
def test_a_writer_killed_again_and_again_never_leaves_a_torn_data_set(root: Path) -> None:
    whole = made(200)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    random = np.random.default_rng(5)
    rows = set()
    for _ in range(6):
        writer = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(root)], stdout=subprocess.PIPE, env=environment
        )
        assert writer.stdout is not None
        with writer:
            assert writer.stdout.readline() == b"ready\n"
            for _ in range(int(random.integers(1, 40))):  # reads while it writes; a while each
                series = CandleStore(root).read("name")
                assert series.content_hash == whole.slice(0, len(series)).content_hash
            writer.send_signal(signal.SIGKILL)
        series = CandleStore(root).read("name")
        assert series.content_hash == whole.slice(0, len(series)).content_hash
        rows.add(len(series))
    assert len(rows) > 1
    CandleStore(root, patience=0.0).append("name", whole, "the last word")
    assert state(root) == whole.content_hash
    named = {each.file for each in CandleStore(root).info("name").partitions}
    assert {path.name for path in (root / "name.candles").iterdir()} == named


def test_nobody_removes_or_adds_while_another_writes(root: Path) -> None:
    store = CandleStore(root, patience=0.0)
    refused: list[str] = []

    def meddle(number: int) -> None:
        if number == 3:
            for act, _ in CHANGES.values():
                with pytest.raises(DataError, match="another process is writing") as error:
                    act(CandleStore(root, patience=0.0))
                refused.append(str(error.value))

    with pytest.MonkeyPatch.context() as patch, watched(patch, meddle):
        store.append("name", LONGER, "new")
    assert len(refused) == 3
    assert state(root) == LONGER.content_hash


def test_foreign_files_keep_nothing_from_being_cleaned(root: Path) -> None:
    store = CandleStore(root)
    names = ("a-left", "b-left")
    for name in names:
        store.write(name, OLD, "made")
    for name in names:
        (root / f"{name}.json").unlink()
        (root / f"{name}.candles" / "notes.txt").write_text("mine")

    store.write("new", OLD, "made")

    for name in names:
        assert [each.name for each in (root / f"{name}.candles").iterdir()] == ["notes.txt"]
