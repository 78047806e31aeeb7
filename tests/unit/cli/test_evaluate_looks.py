"""`adan-core evaluate`: the test part is looked at once, and the program remembers who looked."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from adan_core.cli.main import main
from adan_core.config.locations import locate
from adan_core.data.store import CandleStore
from adan_core.domain.errors import SystemFailure
from tests.service_home import ServiceHome, path

Run = Callable[..., tuple[int, str, str]]

pytestmark = pytest.mark.slow


@pytest.fixture
def run(home: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """A home with two models of one recipe, and candles that were recorded."""
    served = ServiceHome(home)
    served.seal("first", 1.0)
    served.seal("second", 0.0)
    recorded = replace(path((900, 0.0002), (900, -0.0001)), synthetic=False)
    CandleStore(served.locations.datasets).write("recorded", recorded, "test")
    CandleStore(served.locations.datasets).write("made", path((1_800, 0.0001)), "test")

    def command(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(words)
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return command


def test_a_second_model_of_the_recipe_is_refused_the_test_it_would_be_chosen_by(run: Run) -> None:
    first = run("evaluate", "first", "--dataset", "recorded", "--json")
    assert first[0] == 0
    assert json.loads(first[1])["look"] == 1
    # The same model, byte for byte, is the same look.
    assert run("evaluate", "first", "--dataset", "recorded", "--json") == first
    code, out, err = run("evaluate", "second", "--dataset", "recorded")
    assert code == 2
    assert out == ""
    assert "second look at the test of BTC/SIM" in err
    assert "--look-again" in err
    assert "a data set has grown" in err
    again = run(
        "evaluate", "second", "--dataset", "recorded", "--look-again", "the first was a trial"
    )
    assert again[0] == 0
    assert "look number 2 at this test part" in again[1]


def test_simulated_candles_have_no_end_and_refuse_nobody(run: Run) -> None:
    for number, model in enumerate(("first", "second"), start=1):
        code, out, _ = run("evaluate", model, "--dataset", "made", "--json")
        assert code == 0
        assert json.loads(out)["look"] == number


def test_every_figure_is_shown_with_how_it_is_computed(run: Run) -> None:
    _, out, _ = run("evaluate", "first", "--dataset", "recorded")
    assert "mean over sample deviation of candle returns, risk-free rate 0" in out


def test_a_judgement_that_is_refused_is_no_look_and_one_that_is_not_shown_to_the_end_is(
    run: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = locate(home, {}).test_looks
    short = replace(path((900, 0.0002), (900, -0.0001)).slice(0, 9), synthetic=False)
    CandleStore(locate(home, {}).datasets).write("short", short, "test")
    code, _, err = run("evaluate", "first", "--dataset", "short")
    assert code != 0
    assert "enough to warm up" in err
    assert not looks.exists()

    def broken(judged: object, look: object) -> list[str]:
        assert looks.exists()  # on disk before the first figure is
        raise SystemFailure(f"no screen for {judged} and {look}")

    with monkeypatch.context() as patched:
        patched.setattr("adan_core.cli.evaluate._lines", broken)
        assert run("evaluate", "first", "--dataset", "recorded")[0] != 0
    code, _, err = run("evaluate", "second", "--dataset", "recorded")
    assert code == 2
    assert "second look" in err


def test_a_comparison_is_a_look_of_both_and_of_one_recipe_asks_for_a_reason(
    run: Run, home: Path
) -> None:
    words = ("models", "compare", "first", "second", "--dataset")
    code, out, err = run(*words, "recorded")
    assert (code, out) == (2, "")
    assert "are of one recipe" in err
    assert not locate(home, {}).test_looks.exists()
    assert run(*words, "recorded", "--look-again", "which of the two to keep")[0] == 0
    assert json.loads(run("evaluate", "second", "--dataset", "recorded", "--json")[1])["look"] == 2
    assert run(*words, "recorded")[0] == 0  # both have been looked at: it is the same look
    assert run(*words, "made")[0] == 0  # of simulated candles there is no end
