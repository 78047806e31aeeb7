"""`adan-core data`: what it says, what it stores, and with which code it ends."""

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import polars
import pytest

from adan_core.cli.instants import instant_of
from adan_core.cli.main import main
from adan_core.data.export import export
from adan_core.data.processes import PROCESSES
from adan_core.data.store import CandleStore
from adan_core.data.synthetic import SimulatedMarket
from adan_core.domain.candles import Timeframe
from adan_core.domain.market import Regime

Run = Callable[..., tuple[int, str, str]]


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
    return CandleStore(home / "data" / "candles")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "prices.csv.gz"
    series = SimulatedMarket("ETH/SIM", Timeframe.parse("1h"), 5).candles(0, 300)
    export(series, path, replace=False)
    return path


def test_a_sample_is_seeded_synthetic_and_listed(run: Run, store: CandleStore) -> None:
    code, out, _ = run("sample", "--rows", "500", "--seed", "3", "--name", "practice")
    assert code == 0
    assert "SIMULATED" in out
    market = SimulatedMarket("BTC/SIM", Timeframe.parse("5m"), 3)
    stored = store.read("practice")
    assert stored.content_hash == market.candles(0, 500).content_hash
    assert stored.synthetic
    listed = json.loads(run("list", "--json")[1])
    assert [each["name"] for each in listed["datasets"]] == ["practice"]
    assert listed["schema_version"] == 1
    assert "practice" in run("list")[1]


@pytest.mark.parametrize("process", PROCESSES)
def test_a_textbook_process_is_stored_as_synthetic_and_says_what_it_is(
    run: Run, store: CandleStore, process: str
) -> None:
    code, out, _ = run("sample", "--process", process, "--rows", "300", "--timeframe", "1h")
    assert code == 0
    assert "SIMULATED" in out
    (name,) = store.names()
    stored, info = store.read(name), store.info(name)
    assert stored.synthetic
    assert info.source == f"simulated, {process}, seed 7"
    made = PROCESSES[process].path(stored.symbol, Timeframe.parse("1h"), 7, 300).series
    assert stored.content_hash == made.content_hash
    assert process in run("sample", "--help")[1]


def test_what_only_the_maker_knows_is_written_on_request(
    run: Run, store: CandleStore, tmp_path: Path
) -> None:
    labels = tmp_path / "labels.parquet"
    words = ["sample", "--rows", "4000", "--gaps", "2", "--outages", "1", "--name", "rough"]
    assert run(*words, "--labels", str(labels))[0] == 0
    written = polars.read_parquet(labels)
    stored = store.read("rough")
    assert written["timestamp"].dt.timestamp("ms").to_list() == stored.open_time.tolist()
    assert set(written["regime"]) <= set(Regime)
    assert {"after a gap", "after an outage"} <= set(written["incident"])
    assert "2 gaps per 1000, 1 outages per 1000" in store.info("rough").source
    assert store.info("rough").missing > 0
    code, _, err = run("sample", "--rows", "50", "--name", "more", "--labels", str(labels))
    assert (code, store.names()) == (2, ("rough",))
    assert "--replace" in err
    words = ["sample", "--process", "drift", "--rows", "500", "--replace"]
    assert run(*words, "--labels", str(labels))[0] == 0
    drift = polars.read_parquet(labels)
    assert (
        drift["best_exposure"].to_list()
        == (drift["hidden_state"] > 0).cast(polars.Float64).to_list()
    )


def test_a_file_is_imported_and_what_was_understood_is_said(
    run: Run, store: CandleStore, file: Path
) -> None:
    code, out, _ = run("import", str(file))
    assert code == 0
    assert "ETH/SIM 1h" in out
    assert "open from column 'open'" in out
    assert len(store.read("ETH-SIM-1h")) == 300
    info = json.loads(run("import", str(file), "--name", "again", "--json")[1])
    assert (info["rows"], info["synthetic"], info["source"]) == (300, True, file.name)
    assert run("check", "again")[0] == 0


def test_nothing_is_stored_on_failure(run: Run, store: CandleStore, tmp_path: Path) -> None:
    bad = tmp_path / "BTCUSDT_1h.csv"
    bad.write_text(
        "time,open,high,low,close,volume\n"
        "1704067200,10,12,9,11,1\n1704070800,11,10,9,10,1\n1704074400,10,12,9,11,1\n"
    )
    code, out, err = run("import", str(bad))
    assert (code, out) == (3, "")
    assert "ohlc" in err
    assert "row 2" in err
    assert "--on ohlc=mark" in err
    assert store.names() == ()
    assert run("check", str(bad))[0] == 3
    report = json.loads(run("check", str(bad), "--json")[1])
    assert (report["accepted"], report["rows"]) == (False, 3)
    assert run("import", str(bad), "--on", "ohlc=mark")[0] == 0
    assert len(store.read("BTC-USDT-1h")) == 2
    assert "repaired on import" in run("check", "BTC-USDT-1h")[1]


def test_a_second_import_needs_a_name_or_a_word(run: Run, file: Path) -> None:
    assert run("sample", "--rows", "50", "--name", "ETH-SIM-1h")[0] == 0
    code, _, err = run("import", str(file))
    assert code == 3
    assert "--replace" in err
    assert run("import", str(file), "--replace")[0] == 0


def test_a_damaged_data_set_is_named_by_list_and_check(run: Run, store: CandleStore) -> None:
    run("sample", "--rows", "50", "--name", "one")
    run("sample", "--rows", "50", "--name", "two")
    (store.root / "one.json").write_text("{")
    code, out, err = run("list")
    assert code == 3
    assert "two" in out
    assert "one" in err
    assert [each["name"] for each in json.loads(run("list", "--json")[1])["damaged"]] == ["one"]
    assert run("check", "one")[0] == 3


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("sample", "--symbol", "BTC/USDT"), 2, "SIM"),
        (("sample", "--rows", "0"), 2, "at least one row"),
        (("sample", "--process", "brownian"), 2, "random-walk"),
        (("sample", "--timeframe", "soon"), 3, "timeframe"),
        (("sample", "--output", "x.csv", "--name", "x"), 2, "one of them"),
        (("check", "nothing"), 2, "neither"),
        (("check", "nothing", "--on", "gap=ignore"), 2, "neither"),
        (("import", "absent_BTCUSDT_1h.csv"), 3, "No such file"),
        (("import", "x.csv", "--on", "gap"), 2, "CODE=TREATMENT"),
        (("import", "x.csv", "--on", "conflict=mark"), 2, "conflict"),
        (("import", "x.csv", "--column", "price=p"), 2, "ROLE=NAME"),
        (("import", "x.csv", "--name", "../x"), 3, "name"),
        ((), 2, "ACTION"),
    ],
)
def test_wrong_words_are_answered_with_what_is_right(
    run: Run, words: tuple[str, ...], code: int, message: str
) -> None:
    ended, out, err = run(*words)
    assert (ended, out) == (code, "")
    assert message in err


def test_a_file_of_simulated_candles_is_written_for_others(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "sample.csv"
    code, out, _ = run("sample", "--rows", "20", "--output", str(path))
    assert code == 0
    assert "SIMULATED" in out
    assert path.read_text().splitlines()[0].endswith("symbol,synthetic")
    assert run("sample", "--output", str(path))[0] == 2
    assert run("sample", "--rows", "5", "--output", str(path), "--replace", "--json")[0] == 0
    for action in ("import", "list", "check", "sample"):
        code, out, _ = run(action, "--help")
        assert code == 0
        assert "example" in out


def test_a_hostile_file_name_commands_no_terminal_and_fakes_no_line(
    run: Run, file: Path, store: CandleStore
) -> None:
    hostile = file.with_name("ETH-SIM-1h-\x1b[2J\x9b31m\n\udcff.csv.gz")
    file.rename(hostile)
    code, out, _ = run("import", str(hostile))
    assert code == 0
    assert store.info("ETH-SIM-1h").source == r"ETH-SIM-1h-\x1b[2J\x9b31m\n\udcff.csv.gz"
    listed = run("list")[1]
    assert len(listed.splitlines()) == 2
    assert not {"\x1b", "\x9b"} & set(out + listed)
    _, _, err = run("import", "\x1b[2J\udcff.csv")
    assert r"\x1b[2J\udcff.csv" in err


class Terminal(io.StringIO):
    """Text that somebody reads at a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_hostile_file_name_commands_no_terminal_while_it_is_read(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    hostile = tmp_path / "a\x1b]0;owned\x07\nb.csv"
    run("sample", "--rows", "100")
    assert run("export", "BTC-SIM-5m", str(hostile))[0] == 0

    shown = screen.getvalue().replace("\r\x1b[K", "")
    assert "writing a\\x1b]0;owned\\x07\\nb.csv" in shown
    assert not set(shown) & set("\x1b\x07\n")


def test_json_says_a_name_that_is_no_text(run: Run, store: CandleStore, tmp_path: Path) -> None:
    assert run("sample", "--rows", "50", "--name", "practice")[0] == 0
    code, out, _ = run("export", "practice", str(tmp_path / "\udcff.csv"), "--json")
    assert (code, json.loads(out)["file"]) == (0, str(tmp_path / "\udcff.csv"))


@pytest.mark.parametrize(
    "words",
    [
        ("export", "practice", "a" * 300 + ".csv"),
        ("features", "practice", "--output", "a" * 300 + ".parquet"),
        ("leakcheck", "--dataset", "a" * 300),
    ],
)
def test_what_the_machine_refuses_is_said_in_words(run: Run, words: tuple[str, ...]) -> None:
    assert run("sample", "--rows", "50", "--name", "practice")[0] == 0
    code, _, err = run(*words)
    assert code == 7
    assert "File name too long" in err


def test_a_time_without_a_zone_is_answered_with_one_that_is_understood(run: Run) -> None:
    assert run("sample", "--rows", "50", "--name", "practice")[0] == 0
    err = run("export", "practice", "x.csv", "--since", "20240101")[2]
    written = err.partition("write ")[2].partition(" ")[0]
    assert written == "2024-01-01T00:00:00Z"
    assert instant_of(written) == instant_of("2024-01-01")


def test_regimes_are_told_only_where_labels_are_wanted(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        pytest.fail("nobody asked for labels")

    with monkeypatch.context() as patched:
        patched.setattr(SimulatedMarket, "regimes", never)
        code, out, _ = run("sample", "--rows", "1500", "--output", str(tmp_path / "x.csv"))
    assert code == 0
    assert "wrote 1,500 SIMULATED candles" in out
    labels = tmp_path / "labels.parquet"
    assert run("sample", "--rows", "1500", "--labels", str(labels))[0] == 0
    assert set(polars.read_parquet(labels)["regime"]) <= {str(each) for each in Regime}
