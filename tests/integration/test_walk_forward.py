"""Folds, seeds and searches for real, but tiny: what was seen when, what is kept, what is refused."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from adan_core.config.judgement_settings import Judgement
from adan_core.config.loading import load_settings
from adan_core.config.locations import Locations, locate
from adan_core.config.profile_settings import PROFILES
from adan_core.config.settings import Settings
from adan_core.config.tuning_settings import Range
from adan_core.data.series import CandleSeries
from adan_core.data.store import CandleStore
from adan_core.data.synthetic import SimulatedMarket
from adan_core.domain.candles import Timeframe
from adan_core.domain.errors import ConfigurationError, DataError, UsageError
from adan_core.learning import fold_run
from adan_core.learning.executor import InProcess
from adan_core.learning.fold_run import USUAL, FoldResult, FoldTask, run_fold
from adan_core.learning.folds import folds, last_split
from adan_core.learning.market import feature_text
from adan_core.learning.recipe_run import RecipeRun, plan_run, work_out
from adan_core.learning.tuning import Assignment, Search, StudyResult
from adan_core.learning.walk_forward import Circumstances, Curves, WalkForward, judge
from adan_core.resilience.files import exclusive_lock

SMALL = (
    "learning.copies=8",
    "learning.steps_per_copy=32",
    "learning.batch_size=128",
    "learning.episode_length=100",
    "learning.epochs=1",
    "judgement.folds=2",
    "judgement.seeds=2",
    "judgement.bootstrap_samples=200",
    "judgement.random_draws=40",
)
STEPS = 512
ROWS = 2_600
HOUR = Timeframe.parse("1h")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Locations:
    return locate(tmp_path_factory.mktemp("home"), {})


@pytest.fixture(scope="module")
def settings(home: Locations) -> Settings:
    return load_settings(home, SMALL, {}).settings


@pytest.fixture(scope="module")
def series(home: Locations) -> CandleSeries:
    candles = SimulatedMarket("BTC/SIM", HOUR, 21).candles(0, ROWS)
    CandleStore(home.datasets).write("practice", candles, "made")
    return candles


def planned(settings: Settings, series: CandleSeries, home: Locations, shelf: Path) -> RecipeRun:
    features = feature_text(settings, home)
    return plan_run(series, "practice", settings, features, "", STEPS, (1, 2), home.datasets, shelf)


@pytest.fixture(scope="module")
def judged(
    settings: Settings,
    series: CandleSeries,
    home: Locations,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[RecipeRun, tuple[FoldResult, ...], WalkForward, Curves]:
    run = planned(settings, series, home, tmp_path_factory.mktemp("shelf"))
    results = work_out(run, InProcess(), lambda _task, _failure: None)
    about = Circumstances("practice", run.recipe, STEPS, 1, leakcheck_clean=True, unavailable={})
    return run, results, *judge(series, settings, run.splits, results, about)


@pytest.mark.slow
def test_what_is_worked_out_is_not_worked_out_again(
    judged: tuple[RecipeRun, tuple[FoldResult, ...], WalkForward, Curves],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run, results, _, _ = judged

    def refuse(_task: FoldTask) -> None:
        raise AssertionError("learnt again")

    monkeypatch.setattr(fold_run, "_learn", refuse)
    told: list[str] = []
    again = work_out(run, InProcess(), lambda task, _failure: told.append(f"{task.fold}"))
    assert again == results
    assert len(told) == len(run.tasks) == 4


@pytest.mark.slow
def test_the_tests_follow_each_other_to_the_last_candle(
    judged: tuple[RecipeRun, tuple[FoldResult, ...], WalkForward, Curves],
    series: CandleSeries,
    settings: Settings,
) -> None:
    run, _, report, curves = judged
    assert run.splits[0].test.start == ROWS // 2
    assert run.splits[-1].test.stop == ROWS
    assert report.candles == len(curves.close_time) == ROWS - ROWS // 2
    assert curves.close_time[-1] == series.close_time[-1]
    for equity in (*curves.seeds.values(), *curves.strategies.values()):
        assert len(equity) == report.candles
        assert equity[0] == settings.account.starting_capital


@pytest.mark.slow
def test_the_worst_seed_stands_first_and_the_median_is_never_the_best_of_two(
    judged: tuple[RecipeRun, tuple[FoldResult, ...], WalkForward, Curves],
) -> None:
    _, _, report, curves = judged
    earned = [one.interval.estimate for one in report.seeds]
    assert earned == sorted(earned)
    assert report.median == report.seeds[0]
    for one in report.seeds:
        equity = curves.seeds[one.seed]
        assert one.interval.estimate == pytest.approx(np.log(equity[-1] / equity[0]))
        assert one.interval.lower <= one.interval.estimate <= one.interval.upper
        assert one.metrics.log_return == pytest.approx(one.interval.estimate)
    assert report.trials == 2


@pytest.mark.slow
def test_every_seeds_confidence_is_counted_over_all_its_tests(
    judged: tuple[RecipeRun, tuple[FoldResult, ...], WalkForward, Curves],
) -> None:
    run, results, report, _ = judged
    for one in report.seeds:
        own = [result.confidence.decisions for result in results if result.seed == one.seed]
        assert len(own) == len(run.splits)
        assert all(own)
        assert one.confidence.decisions == sum(own) < report.candles
        assert one.confidence.expected_error is not None


@pytest.mark.slow
def test_costs_take_from_who_trades_and_holding_is_held_to_the_same_stress(
    judged: tuple[RecipeRun, tuple[FoldResult, ...], WalkForward, Curves],
) -> None:
    _, results, report, _ = judged
    # Chance is held to the same stops: those that came with the decisions.
    for one in results:
        stops = one.trials[USUAL].protection
        assert stops is not None
        assert stops.stop_loss == pytest.approx(0.05)
    holding = next(one for one in report.strategies if one.strategy == "buy and hold")
    assert holding.metrics.log_return is not None
    own = min(one.stressed["fee stress"] for one in report.seeds)
    assert report.stressed_excess["flat"] == own
    # A doubled fee of 0.1 % on the one purchase, and on the way out at the end.
    doubled = own - report.stressed_excess["buy and hold"]
    assert doubled == pytest.approx(holding.metrics.log_return - 0.002, abs=2e-4)


@pytest.mark.parametrize("expanding", [True, False])
def test_no_period_of_a_fold_touches_another(
    series: CandleSeries, settings: Settings, *, expanding: bool
) -> None:
    purge = 40
    for count, embargo in itertools.product((2, 3, 5), (0, 24)):
        judgement: Judgement = settings.judgement.model_copy(
            update={"folds": count, "embargo": embargo, "expanding": expanding}
        )
        found = folds(series, judgement, purge)
        assert len(found) == count
        for split in found:
            assert split.validation.start - split.training.stop == purge
            assert split.test.start - split.validation.stop == purge + embargo
        for before, after in itertools.pairwise(found):
            assert before.test.stop == after.test.start


def test_a_series_too_short_for_its_folds_is_refused(
    series: CandleSeries, settings: Settings
) -> None:
    with pytest.raises(DataError, match="fewer folds"):
        folds(series.slice(0, 100), settings.judgement, 40)


SPACE = {"learning.gamma": Range(low=0.9, high=0.99)}


def search(
    name: str, settings: Settings, series: CandleSeries, home: Locations, shelf: Path
) -> Search:
    split = last_split(series, settings, 40)
    features = feature_text(settings, home)

    def tasks(values: Assignment) -> Sequence[FoldTask]:
        overrides = (*SMALL, *(f"{key}={value}" for key, value in values.items()))
        own = load_settings(home, overrides, {}).settings
        known = series.slice(0, split.validation.stop)
        return plan_run(
            known, "practice", own, features, "", STEPS, (1,), home.datasets, shelf
        ).tasks

    return Search("s", shelf / f"{name}.journal", "q", SPACE, 2, tasks, InProcess())


@pytest.mark.slow
def test_tune_never_sees_the_test_period(settings: Settings, tmp_path: Path) -> None:
    """Whatever the candles of the test are, the search finds the same, to the bit."""
    candles = SimulatedMarket("BTC/SIM", HOUR, 22).candles(0, ROWS)
    start = last_split(candles, settings, 40).test.start
    found = []
    for place, factor in enumerate((1.0, 3.0)):
        home = locate(tmp_path / str(place), {})
        change = np.where(np.arange(ROWS) < start, 1.0, factor)
        other = CandleSeries(
            symbol=candles.symbol,
            timeframe=candles.timeframe,
            synthetic=True,
            open_time=candles.open_time,
            open=candles.open * change,
            high=candles.high * change,
            low=candles.low * change,
            close=candles.close * change,
            volume=candles.volume,
        )
        CandleStore(home.datasets).write("practice", other, "made")
        one = search("study", settings, other, home, tmp_path / str(place))
        one.run(2, lambda _found: None, lambda: False)
        found.append(one.result())
    assert found[0] == found[1]
    assert found[0].finished + found[0].pruned == 2


@pytest.mark.slow
def test_a_search_goes_on_where_it_was_and_refuses_another_question(
    settings: Settings, series: CandleSeries, home: Locations, tmp_path: Path
) -> None:
    told: list[StudyResult] = []

    def after_one() -> Iterator[bool]:
        yield from (False, True)

    stops = after_one()
    search("study", settings, series, home, tmp_path).run(2, told.append, lambda: next(stops))
    assert [one.finished for one in told] == [1]
    again = search("study", settings, series, home, tmp_path)
    assert again.result() == told[0]
    again.run(2, told.append, lambda: False)
    assert told[-1].finished + told[-1].pruned == 2
    with pytest.raises(UsageError, match="begun with other"):
        Search("s", tmp_path / "study.journal", "other", SPACE, 2, lambda _: (), InProcess())


def test_whatever_moves_a_result_keeps_it_apart(
    settings: Settings, series: CandleSeries, home: Locations, tmp_path: Path
) -> None:
    """A result that lies there is taken only for the very settings it was worked out under."""

    def folder(*overrides: str) -> str:
        own = load_settings(home, (*SMALL, *overrides), {}).settings
        return planned(own, series, home, tmp_path).tasks[0].folder

    overrides = (
        "rules.minimum_notional=4000",
        "voting.agreement=0.8",
        "compute.precision=bfloat16",
        "learning.threads=2",
        "account.starting_capital=77",
        "risk.take_profit=0.2",
        "behaviour.enabled=false",
        "costs.fee_rate=0.0005",
        "reward.drawdown=0.1",
        "judgement.stressed_fee=3",
    )
    assert len({folder(), *(folder(one) for one in overrides)}) == len(overrides) + 1
    assert folder("screen.theme=adan-light", "learning.steps=77") == folder()


@pytest.mark.slow
def test_a_study_that_is_begun_again_tries_something_new(
    settings: Settings, series: CandleSeries, home: Locations, tmp_path: Path
) -> None:
    """As after a crash: each run of the command is a process of its own."""
    for trials in (1, 2, 3):
        search("study", settings, series, home, tmp_path).run(
            trials, lambda _found: None, lambda: False
        )
    found = search("study", settings, series, home, tmp_path).result()
    assert len({one.values["learning.gamma"] for one in found.best}) == found.finished >= 2


@pytest.mark.slow
def test_two_searches_of_one_study_do_not_meet(
    settings: Settings, series: CandleSeries, home: Locations, tmp_path: Path
) -> None:
    refused: list[str] = []

    def beside(_found: StudyResult) -> None:
        with pytest.raises(UsageError, match="another process") as caught:
            search("study", settings, series, home, tmp_path).run(2, beside, lambda: False)
        refused.append(str(caught.value))

    search("study", settings, series, home, tmp_path).run(1, beside, lambda: False)
    assert len(refused) == 1


def test_two_walk_forwards_of_one_question_do_not_meet(
    settings: Settings, series: CandleSeries, home: Locations, tmp_path: Path
) -> None:
    run = planned(settings, series, home, tmp_path)
    with (
        exclusive_lock(Path(run.tasks[0].folder) / ".lock"),
        pytest.raises(UsageError, match="another process"),
    ):
        work_out(run, InProcess(), lambda _task, _failure: None)


@pytest.mark.slow
def test_settings_that_contradict_each_other_end_a_trial_and_not_the_search(
    settings: Settings, series: CandleSeries, home: Locations, tmp_path: Path
) -> None:
    tried: list[float] = []
    good = search("other", settings, series, home, tmp_path)

    def tasks(values: Assignment) -> Sequence[FoldTask]:
        tried.append(float(values["learning.gamma"]))
        if len(tried) == 2:
            raise ConfigurationError("batch_size 1000000", "at most 256")
        return good._tasks_of({"learning.gamma": 0.95})

    one = Search("s", tmp_path / "study.journal", "q", SPACE, 2, tasks, InProcess())
    one.run(3, lambda _found: None, lambda: False)
    found = one.result()
    assert (found.finished, found.pruned, found.failed) == (2, 1, 0)


def test_a_search_of_which_nothing_can_be_tried_says_so(tmp_path: Path) -> None:
    def tasks(_values: Assignment) -> Sequence[FoldTask]:
        raise ConfigurationError("learning.gama: unknown key")

    one = Search("s", tmp_path / "study.journal", "q", SPACE, 2, tasks, InProcess())
    with pytest.raises(ConfigurationError, match="gama"):
        one.run(3, lambda _found: None, lambda: False)
    assert one.result().failed == 1


@pytest.mark.slow
def test_four_profiles_are_judged_as_they_vote(
    settings: Settings, series: CandleSeries, home: Locations, tmp_path: Path
) -> None:
    features = feature_text(settings, home)

    def run(profile: str) -> RecipeRun:
        return plan_run(
            series, "practice", settings, features, profile, 256, (1,), home.datasets, tmp_path
        )

    together = run("all")
    result = run_fold(together.tasks[1])  # the first is too short for the longest horizon
    assert len(result.selected_at) == len(set(result.weights_hash.split("+"))) == 4
    assert together.recipe not in {run(profile).recipe for profile in (*PROFILES, "")}
    # The longest horizon of the four is left out between the periods of each fold.
    longest = max(settings.profiles.of(name).horizon for name in PROFILES)
    split = together.splits[0]
    assert split.validation.start - split.training.stop == longest


@pytest.mark.slow
def test_a_result_of_another_version_is_worked_out_again(
    judged: tuple[RecipeRun, tuple[FoldResult, ...], WalkForward, Curves],
) -> None:
    run, results, _, _ = judged
    task = run.tasks[0]
    task.path.write_bytes(task.path.read_bytes().replace(b'"code_version":"', b'"code_version":"0'))
    assert fold_run.finished(task) is None
    assert run_fold(task) == next(
        one for one in results if (one.fold, one.seed) == (task.fold, task.seed)
    )
