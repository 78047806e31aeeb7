"""`adan-core data regimes`: shares of time, the newest reading, and the truth beside it."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars
import pytest

from adan_core.cli.main import main
from adan_core.data.synthetic import SimulatedMarket
from adan_core.domain.candles import Timeframe
from adan_core.domain.market import Regime
from adan_core.domain.time import iso
from adan_core.learning.regime import detect_regimes
from adan_core.learning.regime_delays import onset_delays
from adan_core.learning.regime_features import WARM_UP
from adan_core.learning.regime_model import REGIMES

ROWS = 6000
CRISIS = REGIMES.index(Regime.CRISIS)
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
def practice(run: Run, tmp_path: Path) -> tuple[str, str]:
    candles, labels = str(tmp_path / "candles.parquet"), str(tmp_path / "labels.parquet")
    made = ("--rows", str(ROWS), "--seed", "3", "--output", candles, "--labels", labels)
    assert run("sample", *made)[0] == 0
    return candles, labels


def test_it_says_what_the_detector_says_and_how_often_it_is_right(
    run: Run, practice: tuple[str, str], tmp_path: Path
) -> None:
    candles, labels = practice
    output = tmp_path / "regimes.parquet"
    code, out, _ = run("regimes", candles, "--labels", labels, "--output", str(output), "--json")
    assert code == 0
    document = json.loads(out)

    market = SimulatedMarket("BTC/SIM", Timeframe.parse("5m"), 3)
    history = detect_regimes(market.candles(0, ROWS))
    answer, truth = history.regimes[WARM_UP:], market.regimes(0, ROWS)[WARM_UP:]
    assert document["warming"] == WARM_UP
    assert document["synthetic"] is True
    shares = [row["share"] for row in document["regimes"]]
    assert shares == [np.mean(answer == place) for place in range(len(REGIMES))]
    assert sum(row["stays"] for row in document["regimes"]) == 1 + np.count_nonzero(np.diff(answer))
    assert list(document["newest"]["probabilities"].values()) == history.probabilities[-1].tolist()
    confusion = [row["answers"] for row in document["truth"]["regimes"]]
    assert confusion == [
        [int(np.sum((truth == row) & (answer == column))) for column in range(len(REGIMES))]
        for row in range(len(REGIMES))
    ]
    changes = np.flatnonzero(np.diff(answer == CRISIS, prepend=False, append=False)) + WARM_UP
    stays = [tuple(pair) for pair in changes.reshape(-1, 2).tolist()]
    series = market.candles(0, ROWS)
    assert stays
    assert document["crises"] == [
        {
            "start": int(series.close_time[first]),
            "end": int(series.close_time[stop]) if stop < ROWS else None,
            "candles": stop - first,
            "change": series.close[stop - 1] / series.close[first - 1] - 1.0,
        }
        for first, stop in stays
    ]
    late = onset_delays(truth.astype(np.int64), answer, CRISIS)
    assert document["truth"]["crises"] == len(late)
    assert document["truth"]["crises_missed"] == np.isinf(late).sum()
    assert document["truth"]["crisis_delay_p90"] == np.quantile(late, 0.9, method="higher")
    written = polars.read_parquet(output)
    assert written["regime"].null_count() == WARM_UP
    assert written["regime"][-1] == document["newest"]["regime"]

    code, out, _ = run("regimes", candles, "--labels", labels)
    assert code == 0
    assert "SIMULATED BTC/SIM 5m" in out
    assert f"macro-F1 {document['truth']['macro_f1']:.3f}" in out
    (strip,) = [line for line in out.splitlines() if line.startswith(" ") and " crisis " in line]
    assert set(strip.split("crisis", 1)[1]) & set("░▒▓█")
    newest = document["crises"][-1]
    assert f"{iso(newest['start'])[:16]}  {iso(newest['end'])[:16]}" in out


def test_a_market_that_stands_still_is_a_range_without_a_crisis(run: Run, tmp_path: Path) -> None:
    still = tmp_path / "still.csv"
    times = 1_700_000_100_000 + 300_000 * np.arange(600)
    lines = [f"{time},1e-8,1e-8,1e-8,1e-8,0" for time in times.tolist()]
    still.write_text("timestamp,open,high,low,close,volume\n" + "\n".join(lines) + "\n")
    words = (
        "regimes",
        str(still),
        "--symbol",
        "BTC/USDT",
        "--timeframe",
        "5m",
        "--on",
        "stuck=warn",
    )
    code, out, err = run(*words, "--json")
    assert code == 0, err
    document = json.loads(out)
    assert document["crises"] == []
    assert {row["regime"]: row["share"] for row in document["regimes"]}["range"] == 1.0
    assert "no crisis was reported" in run(*words)[1]


def test_labels_of_other_candles_are_refused(
    run: Run, practice: tuple[str, str], tmp_path: Path
) -> None:
    candles, labels = practice
    polars.read_parquet(labels).head(ROWS - 1).write_parquet(tmp_path / "fewer.parquet")
    code, _, err = run("regimes", candles, "--labels", str(tmp_path / "fewer.parquet"))
    assert code != 0
    assert "other candles" in err


def test_what_is_missing_or_would_be_overwritten_is_refused(
    run: Run, practice: tuple[str, str], tmp_path: Path
) -> None:
    code, _, err = run("regimes", "nothing")
    assert code != 0
    assert "neither a file nor a stored data set" in err
    code, _, err = run("regimes", practice[0], "--output", practice[1])
    assert code != 0
    assert "exists" in err
    short = str(tmp_path / "short.parquet")
    assert run("sample", "--rows", "300", "--output", short)[0] == 0
    code, _, err = run("regimes", short)
    assert code != 0
    assert "warm" in err
