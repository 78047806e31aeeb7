"""`adan-core data leakcheck`: what it says of a clean program and of a leaking one, and its exit code."""

import dataclasses
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adan_core.cli.main import main
from adan_core.data.export import export
from adan_core.data.state import StateFrame
from adan_core.data.synthetic import SimulatedMarket
from adan_core.domain.candles import Timeframe
from adan_core.learning import leakcheck_instants, leakcheck_stages
from adan_core.learning.leakcheck_changes import History
from adan_core.learning.leakcheck_stages import Pipeline, Stage
from adan_core.learning.registry import shipped_models

pytestmark = pytest.mark.slow

Run = Callable[..., tuple[int, str, str]]
SHORT = ("--candles", "2500", "--instants", "1")
FEATURES = """\
schema_version: 2
name: two-figures
windows: [1, 1, 1]
features:
  - {name: return_1, function: log_return, parameters: [1], timeframes: [0, 1, 2]}
  - {name: distance, function: mean_distance, parameters: [10], timeframes: [1]}
"""


@pytest.fixture
def run(home: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def command(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["data", "leakcheck", *words])
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return command


@pytest.fixture
def leaking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the program's state show, in its third column, what is known one candle later."""
    honest = leakcheck_stages.program_pipeline

    def program(*arguments: Any) -> Pipeline:  # noqa: ANN401 - handed through
        pipeline = honest(*arguments)

        def state(history: History) -> StateFrame:
            frame = pipeline.state(history)
            market = frame.market.copy()
            market[:-1, 2] = market[1:, 2]
            return dataclasses.replace(frame, market=market)

        return dataclasses.replace(pipeline, state=state)

    monkeypatch.setattr(leakcheck_stages, "program_pipeline", program)


def test_the_shipped_features_are_clean_and_the_warm_up_is_told(run: Run) -> None:
    code, out, err = run(*SHORT)
    assert (code, err) == (0, "")
    assert "SIMULATED BTC/SIM 5m" in out
    assert "random weights" in out
    assert "clean: nothing at or before an instant depends on what comes after it" in out
    assert all(f"\n{stage} " in out for stage in Stage)
    assert "5m:return_1                          2" in out
    assert "never within" in out
    assert "warning: training begins at candle" in out
    assert "4h:mean_distance_24" in out.splitlines()[-1]


def test_the_json_answer_holds_all_of_it(run: Run) -> None:
    code, out, _ = run(*SHORT, "--json")
    told = json.loads(out)
    assert (code, told["clean"], told["schema_version"]) == (0, True, 1)
    assert [each["stage"] for each in told["check"]["stages"]] == list(Stage)
    assert all(each["comparisons"] > 0 for each in told["check"]["stages"])
    assert {"the first ready candle", "after the training part"} <= {
        each["why"] for each in told["check"]["instants"]
    }
    columns = {each["column"]: each for each in told["warm_up"]["columns"]}
    assert columns["5m:return_12"]["agrees"] == 13
    assert columns["4h:mean_distance_24"]["agrees"] is None
    assert "4h:mean_distance_24" in told["still_warming"]
    assert told["training_begins_at"] > 1_000


@pytest.mark.usefixtures("leaking")
def test_a_leak_is_named_and_ends_with_3(run: Run) -> None:
    code, out, _ = run(*SHORT)
    assert code == 3
    assert "LEAK: mend the state first" in out
    assert "state: 5m:return_12 at 20" in out
    assert "it reads 1 candle ahead, at least; columns that differ: 5m:return_12\n" in out
    told = json.loads(run(*SHORT, "--json")[1])
    stages = {each["stage"]: each for each in told["check"]["stages"]}
    leak = stages["state"]["leak"]
    assert told["clean"] is False
    assert (leak["column"], leak["bar"]) == ("5m:return_12", leak["instant"])
    assert stages["state"]["leaking"] == ["5m:return_12"]
    assert stages["regime"]["leak"] is None


def test_own_features_on_own_candles(run: Run, tmp_path: Path) -> None:
    features, candles = tmp_path / "mine.yaml", tmp_path / "prices.parquet"
    features.write_text(FEATURES)
    series = SimulatedMarket("ETH/SIM", Timeframe.parse("1h"), 5).candles(0, 1_500)
    export(series, candles, replace=False)
    code, out, _ = run(
        "--features", str(features), "--dataset", str(candles), "--instants", "5", "--json"
    )
    told = json.loads(out)
    assert code == 0
    assert (told["symbol"], told["feature_set"]) == ("ETH/SIM", "two-figures")
    assert told["ladder"] == ["1h", "4h", "1d"]
    assert told["data_hash"] == series.content_hash
    named = [each["column"] for each in told["warm_up"]["columns"]]
    assert named[:4] == ["1h:return_1", "4h:return_1", "4h:distance", "1d:return_1"]
    nameless = tmp_path / "prices.csv"
    nameless.write_text("time,open,high,low,close,volume\n1704067200,10,12,9,11,1\n")
    code, _, err = run("--dataset", str(nameless))
    assert code == 3
    assert "symbol" in err
    assert "adan-core data import" in err
    features.write_text(FEATURES.replace("log_return", "log_returns"))
    code, out, err = run("--features", str(features))
    assert (code, out) == (2, "")
    assert "log_returns" in err
    assert run("--features", str(tmp_path / "absent.yaml"))[0] == 2


def test_a_sealed_model_decides_where_one_is_named(run: Run) -> None:
    (model,) = [folder.name for folder in shipped_models().iterdir() if folder.is_dir()]
    code, out, _ = run(*SHORT, "--model", model)
    assert code == 0
    assert f"model {model} decides" in out
    assert run("--model", "nobody")[0] == 4


def test_the_self_test_shows_each_planted_leak_caught(run: Run) -> None:
    code, out, _ = run("--self-test")
    assert code == 0
    rows = [line for line in out.splitlines() if line.endswith(("yes", "NO"))]
    assert len(rows) == 11
    assert all(row.endswith("yes") for row in rows)
    assert "all 11 planted leaks were caught" in out
    for name in ("negative shift", "whole-column statistics", "centred window", "a 1h candle"):
        assert any(row.startswith(name) for row in rows)


def test_a_checker_that_does_not_look_fails_its_self_test(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leakcheck_instants, "choose_instants", lambda *_arguments: ())
    code, out, _ = run("--self-test")
    assert code == 3
    assert "NOT CAUGHT RIGHTLY: negative shift, whole-column statistics" in out
    assert len(json.loads(run("--self-test", "--json")[1])["escaped"]) == 11


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("--instants", "0"), 2, "one instant"),
        (("--candles", "1"), 2, "two candles"),
        (("--seed", "-1"), 2, "seed >= 0"),
        (("--candles", "900"), 3, "warm up"),
        (("--dataset", "absent"), 3, "no data set"),
    ],
)
def test_wrong_words_are_answered_with_what_is_right(
    run: Run, words: tuple[str, ...], code: int, message: str
) -> None:
    ended, out, err = run(*words)
    assert (ended, out) == (code, "")
    assert message in err


class Terminal(io.StringIO):
    """Text that somebody reads at a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("more", [(), ("--self-test",)])
def test_a_person_is_told_what_is_computed_before_the_first_bar(
    run: Run, monkeypatch: pytest.MonkeyPatch, more: tuple[str, ...]
) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    seen: list[str] = []
    honest = leakcheck_stages.program_pipeline

    def program(*arguments: Any) -> Pipeline:  # noqa: ANN401 - handed through
        pipeline = honest(*arguments)

        def state(history: History) -> StateFrame:
            seen.append(screen.getvalue())
            return pipeline.state(history)

        return dataclasses.replace(pipeline, state=state)

    monkeypatch.setattr(leakcheck_stages, "program_pipeline", program)
    run(*SHORT, *more)

    assert "reading candles and features" in seen[0]
    assert seen[0].endswith(
        "computing 2,500 states; where their code is not compiled yet, about a minute more"
    )
