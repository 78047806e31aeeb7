"""`adan-core data list | export | remove`: what is said, what becomes of the files, which code."""

import dataclasses
import io
import json
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from adan_core.cli.main import main
from adan_core.data.series import CandleSeries
from adan_core.data.store import CandleStore
from adan_core.domain.time import DAY, iso
from adan_core.resilience.files import exclusive_lock
from tests.unit.data.test_store_append import made

Run = Callable[..., tuple[int, str, str]]
SERIES = made(150)


class Terminal(io.StringIO):
    """Text that somebody types, or reads, at a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def run(home: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def command(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["data", *words])
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return command


@pytest.fixture
def store(home: Path) -> CandleStore:
    store = CandleStore(home / "data" / "candles", patience=0.0)
    store.write("real", SERIES, "prices.csv")
    return store


@pytest.fixture
def simulated(run: Run, store: CandleStore) -> CandleSeries:
    assert run("sample", "--rows", "3000", "--timeframe", "1h", "--name", "practice")[0] == 0
    return store.read("practice")


def test_the_list_says_what_is_simulated_where_it_is_from_and_how_large(
    run: Run, store: CandleStore, simulated: CandleSeries
) -> None:
    code, out, _ = run("list")
    head, practice, real = out.splitlines()
    assert (code, head.split()[:4]) == (0, ["name", "market", "candles", "missing"])
    assert practice.split()[:5] == ["practice", "SIMULATED", "BTC/SIM", "1h", "3,000"]
    assert "SIMULATED" not in real
    assert real.endswith("prices.csv")
    assert SERIES.content_hash[:16] in real
    listed = json.loads(run("list", "--json")[1])
    record = next(each for each in listed["datasets"] if each["name"] == "real")
    assert record["content_hash"] == SERIES.content_hash
    assert record["bytes_on_disk"] == store.size_on_disk("real") > 1000
    assert (record["rows"], record["missing"], record["synthetic"]) == (150, 0, False)


@pytest.mark.parametrize(
    ("columns", "head"),
    [(200, ("on", "disk", "hash", "source")), (88, ("on", "disk")), (75, ("to",)), (66, ("to",))],
)
def test_a_narrow_terminal_gets_a_narrow_list(
    run: Run,
    store: CandleStore,
    monkeypatch: pytest.MonkeyPatch,
    columns: int,
    head: tuple[str, ...],
) -> None:
    store.write("simulated", dataclasses.replace(SERIES, synthetic=True), "a venue of long name")
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("COLUMNS", str(columns))
    assert run("list")[0] == 0
    lines = screen.getvalue().splitlines()
    assert max(map(len, lines)) <= columns
    assert tuple(lines[0].split()[-len(head) :]) == head
    assert ("missing" in lines[0]) == (columns > 66)


@pytest.mark.parametrize("place", ["folder", "dangling", "pipe", "self"])
def test_what_stands_in_a_manifest_s_place_is_damage_and_can_be_removed(
    run: Run, store: CandleStore, place: str
) -> None:
    manifest = store.root / "real.json"
    manifest.unlink()
    if place == "folder":
        manifest.mkdir()
    elif place == "pipe":
        os.mkfifo(manifest)
    else:
        manifest.symlink_to("gone.json" if place == "dangling" else "real.json")
    store.write("other", SERIES, "prices.csv")
    assert list(store.root.glob("real.candles/*")), "what a link led to may come back"
    code, out, err = run("list")
    assert code == 3
    assert out.splitlines()[-1].split()[:2] == ["real", "DAMAGED"]
    assert "adan-core data remove real" in err
    assert "no data set" not in err
    code, out, _ = run("remove", "real", "--yes")
    assert (code, out) == (0, "removed real, which was damaged\n")
    assert run("list")[0] == 0
    assert not list(store.root.glob("real*"))


def test_a_folder_with_something_in_it_is_not_removed(run: Run, store: CandleStore) -> None:
    manifest = store.root / "real.json"
    manifest.unlink()
    (manifest / "notes").mkdir(parents=True)
    code, _, err = run("remove", "real", "--yes")
    assert code == 7
    assert "not empty" in err
    assert (manifest / "notes").is_dir()


@pytest.mark.parametrize("words", [("check", "real"), ("export", "real", "out.csv")])
def test_a_pipe_in_a_partition_s_place_keeps_nobody_waiting(
    run: Run, store: CandleStore, words: tuple[str, ...]
) -> None:
    partition = next(store.root.glob("real.candles/*"))
    partition.unlink()
    os.mkfifo(partition)
    code, out, err = run(*words)
    assert (code, out) == (3, "")
    assert "not a plain file" in err


@pytest.mark.parametrize("damage", ["manifest", "gone", "short"])
def test_damage_is_listed_with_its_remedy_and_can_be_removed(
    run: Run, store: CandleStore, simulated: CandleSeries, damage: str
) -> None:
    partition = next(store.root.glob("real.candles/*"))
    if damage == "manifest":
        (store.root / "real.json").write_text("{")
    elif damage == "gone":
        partition.unlink()
    else:
        partition.write_bytes(partition.read_bytes()[:-5])
    code, out, err = run("list")
    assert code == 3
    assert "practice" in out
    assert out.splitlines()[-1].split()[:2] == ["real", "DAMAGED"]
    assert "adan-core data remove real" in err
    (found,) = json.loads(run("list", "--json")[1])["damaged"]
    assert (found["name"], "remove real" in found["error"]) == ("real", True)
    assert run("remove", "real", "--yes")[0] == 0
    assert run("list")[0] == 0
    assert not list(store.root.glob("real*"))


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["csv", "csv.gz", "parquet", "feather"])
@pytest.mark.parametrize("name", ["real", "practice"])
def test_what_is_exported_and_imported_again_has_the_same_hash(
    run: Run, store: CandleStore, simulated: CandleSeries, tmp_path: Path, ending: str, name: str
) -> None:
    path = tmp_path / f"out.{ending}"
    code, out, err = run("export", name, str(path))
    assert (code, err) == (0, "")
    assert ("SIMULATED" in out) == (name == "practice")
    assert run("import", str(path), "--name", "again")[0] == 0
    original, again = store.info(name), store.info("again")
    assert again.content_hash == original.content_hash
    assert (again.symbol, again.synthetic) == (original.symbol, original.synthetic)
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.read_bytes()
    assert run("export", name, str(path))[0] == 2
    assert run("export", name, str(path), "--replace")[0] == 0
    assert path.read_bytes() == before


def test_a_period_is_exported_from_its_first_to_before_its_end(
    run: Run, store: CandleStore, tmp_path: Path
) -> None:
    path = tmp_path / "out.csv"
    since, until = (int(SERIES.open_time[row]) for row in (40, 90))
    words = ("--since", iso(since), "--until", iso(until), "--json")
    told = json.loads(run("export", "real", str(path), *words)[1])
    assert (told["rows"], told["symbol"], told["bytes"]) == (50, "BTC/USDT", path.stat().st_size)
    assert run("import", str(path), "--name", "part")[0] == 0
    assert store.read("part").content_hash == SERIES.slice(40, 90).content_hash
    date = iso(until + DAY)[:10]
    assert run("export", "real", str(path), "--since", date, "--replace")[0] == 0
    rows = path.read_text().splitlines()
    assert rows[1].startswith(f"{date}T00:00:00Z")


def test_a_damaged_month_leaves_the_file_that_was_there(
    run: Run, store: CandleStore, tmp_path: Path
) -> None:
    path = tmp_path / "out.csv"
    path.write_text("precious")
    last = store.root / "real.candles" / store.info("real").partitions[-1].file
    last.write_bytes(last.read_bytes()[:-1] + b"x")
    code, out, err = run("export", "real", str(path), "--replace")
    assert (code, out) == (3, "")
    assert "remove real" in err
    assert path.read_text() == "precious"
    assert [each.name for each in tmp_path.iterdir() if each.is_file()] == ["out.csv"]


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["csv", "csv.gz", "parquet", "feather"])
def test_a_disk_that_is_full_leaves_no_half_of_a_file(
    run: Run, store: CandleStore, tmp_path: Path, ending: str
) -> None:
    path = tmp_path / f"out.{ending}"
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, usual[1]))
    try:
        code, _, err = run("export", "real", str(path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    assert code == 7
    assert f"out.{ending} could not be written" in err
    assert not list(tmp_path.glob("*out*"))
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("export", "real", "x.xlsx"), 2, ".csv"),
        (("export", "nothing", "x.csv"), 3, "one of: real"),
        (("export", "real", "x.csv", "--since", "soon"), 2, "2021-01-01"),
        (("export", "real", "x.csv", "--since", "2030-01-01"), 3, "other dates"),
        (("export", "real", "x.csv", "--since", "2021-03-01", "--until", "2021-02-01"), 2, "end"),
        (("export", "real", "folder.csv", "--replace"), 2, "is a folder"),
        (("export", "real", f"{'n' * 245}.csv"), 7, "name another file"),
        (("remove", "nothing", "--yes"), 3, "one of: real"),
        (("remove", "../real", "--yes"), 3, "name"),
        (("remove", "real"), 2, "--yes"),
    ],
)
def test_wrong_words_are_answered_with_what_is_right(
    run: Run,
    store: CandleStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    code: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder.csv").mkdir()
    ended, out, err = run(*words)
    assert (ended, out) == (code, "")
    assert message in err
    assert store.names() == ("real",)


@pytest.mark.parametrize(("typed", "code"), [("real\n", 0), ("yes\n", 2), ("", 2)])
def test_a_person_types_the_name_of_what_is_to_be_removed(
    run: Run, store: CandleStore, monkeypatch: pytest.MonkeyPatch, typed: str, code: int
) -> None:
    screen, errors = Terminal(), Terminal()
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setattr(sys, "stderr", errors)
    assert run("remove", "real")[0] == code
    assert "BTC/USDT 12h, 150 candles" in errors.getvalue()
    assert store.names() == (() if code == 0 else ("real",))
    assert ("removed real" in screen.getvalue()) == (code == 0)


def test_nothing_is_removed_while_another_writes(
    run: Run, store: CandleStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CandleStore.__init__, "__defaults__", (0.0,))  # waits for nobody
    with exclusive_lock(store.root / ".lock"):
        code, _, err = run("remove", "real", "--yes")
    assert code == 3
    assert "another process is writing" in err
    assert json.loads(run("remove", "real", "--yes", "--json")[1])["rows"] == 150


def test_help_teaches_with_examples(run: Run) -> None:
    for action in ("list", "export", "remove"):
        code, out, _ = run(action, "--help")
        assert code == 0
        assert f"adan-core data {action}" in out
        assert "example" in out
