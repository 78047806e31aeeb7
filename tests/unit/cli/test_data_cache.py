"""`adan-core data cache`: what commands keep for each other, and how it is emptied."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from adan_core.cli.main import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(home: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def command(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(words)
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return command


def test_an_empty_cache_is_said_to_be_empty(run: Run, home: Path) -> None:
    code, out, _ = run("data", "cache")
    assert code == 0
    assert out == f"0 entries, 0 kB of 4,096 MB, in {home / 'cache' / 'data'}\n"
    assert not home.exists()


@pytest.mark.slow
def test_a_judgement_is_the_same_out_of_the_cache_and_after_it_was_cleared(run: Run) -> None:
    assert run("data", "sample", "--rows", "8000", "--name", "practice")[0] == 0
    judged = [run("backtest", "--dataset", "practice", "--json", "--curve") for _ in range(2)]
    kept = json.loads(run("data", "cache", "--json")[1])
    assert kept["entries"] == 1
    assert kept["bytes"] > 8000 * 8
    assert kept["limit_bytes"] == 4096 * 1024**2
    assert kept["removed_bytes"] is None
    code, out, _ = run("data", "cache", "--clear", "--json")
    assert code == 0
    assert json.loads(out) == kept | {"entries": 0, "bytes": 0, "removed_bytes": kept["bytes"]}
    judged.append(run("backtest", "--dataset", "practice", "--json", "--curve"))
    assert judged[0][0] == 0
    assert judged[0] == judged[1] == judged[2]
    judgement = [run("evaluate", "--dataset", "practice", "--json") for _ in range(2)]
    assert judgement[0][0] == 0
    assert judgement[0] == judgement[1]
    # The frame is the one the backtest asked for; the regimes are the second entry.
    assert json.loads(run("data", "cache", "--json")[1])["entries"] == 2


def test_a_bound_of_zero_keeps_nothing(run: Run) -> None:
    assert run("data", "sample", "--rows", "3000", "--name", "practice")[0] == 0
    run("backtest", "--dataset", "practice", "--set", "cache.disk_megabytes=0")
    assert json.loads(run("data", "cache", "--json")[1])["entries"] == 0
