"""A test is looked at once: repeated looks are free, second ones refused, and a changed record noticed."""

from pathlib import Path

import pytest

from adan_core.config.loading import load_settings
from adan_core.config.locations import locate
from adan_core.domain.errors import SecurityError, UsageError
from adan_core.domain.time import ManualClock
from adan_core.learning.test_ledger import FirstLook, TestLedger, TestPeriod, recipe_of

YEAR = TestPeriod("BTC/USDT", "", 1_000, 2_000)


@pytest.fixture
def ledger(tmp_path: Path) -> TestLedger:
    return TestLedger(tmp_path / "looks.jsonl", ManualClock(1_700_000_000_000))


def test_a_second_look_at_the_test_period_is_refused(ledger: TestLedger) -> None:
    assert ledger.look("model", "recipe", "first", YEAR).number == 1
    with pytest.raises(UsageError, match="second look") as refusal:
        ledger.look("model", "recipe", "second", YEAR)
    assert "first was judged on it at 2023-11-14" in str(refusal.value)
    assert "--look-again" in str(refusal.value)


def test_the_same_subject_may_be_looked_at_as_often_as_one_likes(ledger: TestLedger) -> None:
    first = ledger.look("model", "recipe", "first", YEAR)
    again = ledger.look("model", "recipe", "first", YEAR)
    assert (first.repeated, again.repeated) == (False, True)
    assert (first.number, again.number) == (1, 1)


def test_a_second_look_with_a_reason_counts(ledger: TestLedger) -> None:
    ledger.look("model", "recipe", "first", YEAR)
    assert ledger.look("model", "recipe", "second", YEAR, "the first had a bug").number == 2
    assert ledger.look("model", "recipe", "second", YEAR).repeated


def test_another_recipe_is_a_look_of_its_own_and_counts(ledger: TestLedger) -> None:
    ledger.look("model", "recipe", "first", YEAR)
    assert ledger.look("model", "another", "second", YEAR).number == 2


@pytest.mark.parametrize(
    ("period", "refused"),
    [
        (TestPeriod("BTC/USDT", "", 1_999, 9_000), True),
        (TestPeriod("BTC/USDT", "", 2_000, 9_000), False),
        (TestPeriod("ETH/USDT", "", 1_000, 2_000), False),
    ],
)
def test_what_counts_is_whether_a_candle_lies_in_both(
    ledger: TestLedger, period: TestPeriod, *, refused: bool
) -> None:
    ledger.look("model", "recipe", "first", YEAR)
    if refused:
        with pytest.raises(UsageError):
            ledger.look("model", "recipe", "second", period)
    else:
        assert ledger.look("model", "recipe", "second", period).number == 1


def test_a_made_up_market_counts_looks_and_refuses_none(ledger: TestLedger) -> None:
    made = TestPeriod("BTC/SIM", "hash", 1_000, 2_000)
    numbers = [ledger.look("model", "recipe", f"s{seed}", made).number for seed in range(3)]
    assert numbers == [1, 2, 3]


def test_a_record_that_was_shortened_or_altered_is_noticed(
    ledger: TestLedger, tmp_path: Path
) -> None:
    ledger.look("model", "recipe", "first", YEAR)
    path = tmp_path / "looks.jsonl"
    whole = path.read_bytes()
    for harmed in (b"", whole.replace(b"first", b"other")):
        path.write_bytes(harmed)
        with pytest.raises(SecurityError):
            ledger.look("model", "recipe", "second", YEAR)


def test_a_recipe_is_what_is_learnt_and_how_not_how_long_or_how_fast(tmp_path: Path) -> None:
    def recipe(*overrides: str, features: str = "f", profile: str = "agent") -> str:
        settings = load_settings(locate(tmp_path, {}), overrides, {}).settings
        assert recipe_of(settings, features, [profile]) == recipe_of(
            settings.model_dump(mode="json"), features, [profile]
        )
        return recipe_of(settings, features, [profile])

    usual = recipe()
    assert recipe("learning.steps=5", "learning.threads=2", "screen.theme=adan-light") == usual
    others = {
        recipe("learning.gamma=0.98"),
        recipe("costs.slippage_rate=0.0004"),
        recipe(features="g"),
        recipe(profile="swing"),
    }
    assert len(others | {usual}) == 5


def test_a_look_of_many_parts_is_taken_down_once_with_the_first_of_them(tmp_path: Path) -> None:
    path = tmp_path / "looks.jsonl"
    ledger = TestLedger(path, ManualClock(1_700_000_000_000))
    question = "walk-forward", "recipe", "first", YEAR
    taking = FirstLook(ledger, *question)
    assert not path.exists()  # what comes to nothing has shown nothing
    first = taking.look()
    assert not first.repeated
    assert taking.look() == first
    assert ledger.look(*question).repeated
    with pytest.raises(UsageError, match="second look"):
        FirstLook(ledger, "walk-forward", "recipe", "second", YEAR)
