"""`adan-core tune`: its trials count where a walk-forward tests, and its test is looked at once."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from adan_core.cli.main import main
from adan_core.config.locations import locate
from adan_core.data.store import CandleStore
from adan_core.data.synthetic import SimulatedMarket
from adan_core.domain.candles import Timeframe

Run = Callable[..., tuple[int, str, str]]

pytestmark = pytest.mark.slow

SMALL = tuple(
    word
    for setting in (
        "learning.copies=8",
        "learning.steps_per_copy=32",
        "learning.batch_size=128",
        "learning.episode_length=100",
        "learning.epochs=1",
        "tuning.seeds=1",
        "judgement.seeds=2",
        "judgement.folds=2",
        "judgement.bootstrap_samples=100",
        "judgement.random_draws=20",
    )
    for word in ("--set", setting)
)
ASKED = ("--dataset", "recorded", "--steps", "256", "--workers", "1", "--json", *SMALL)


@pytest.fixture
def run(home: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """A home with candles that were recorded."""
    candles = SimulatedMarket("BTC/SIM", Timeframe.parse("1h"), 21).candles(0, 2_600)
    store = CandleStore(locate(home, {}).datasets)
    store.write("recorded", replace(candles, synthetic=False), "test")

    def command(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(words)
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return command


def test_trials_count_and_another_name_is_no_second_test(run: Run) -> None:
    code, out, err = run("tune", *ASKED, "--study", "one", "--trials", "2")
    assert code == 0, err
    study = json.loads(out)["study"]
    assert study["finished"] + study["pruned"] == 2
    # What the trials were judged on lies within the walk-forward's tests.
    code, out, err = run("walk-forward", *ASKED)
    assert code == 0, err
    document = json.loads(out)
    assert document["look"]["number"] == 3
    assert document["report"]["trials"] == 2 * 3

    first = run("tune", *ASKED, "--study", "one", "--final")
    assert first[0] == 0, first[2]
    again = json.loads(run("tune", *ASKED, "--study", "one", "--final")[1])
    assert again["look"]["repeated"]
    assert again["report"] == json.loads(first[1])["report"]
    code, _, err = run(
        "tune", *ASKED, "--steps", "512", "--study", "two", "--trials", "1", "--final"
    )
    assert code == 2
    assert "second look at the test of BTC/SIM" in err
