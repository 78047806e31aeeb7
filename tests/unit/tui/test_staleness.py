"""A figure that should be newer is called stale, with its age and what stopped coming."""

from dataclasses import replace

import pytest

from adan_core.domain.state import KillKind, KillPhase
from adan_core.domain.training import TrainingState
from adan_tui.view import Feed, Staleness, View, kill_report, staleness
from tests.fake_core import NOW, SCREEN, halted_snapshot, live_snapshot, progress

LIVE = View(NOW, SCREEN, live_snapshot())
STALE_AFTER = LIVE.snapshot.market.stale_after if LIVE.snapshot else 0


def aged(milliseconds: int, **changes: object) -> View:
    """The live view, that much later, with a heart that still beats."""
    now = NOW + milliseconds
    beating = replace(live_snapshot(), heartbeat_at=now, **changes)  # type: ignore[arg-type]
    return View(now, SCREEN, beating)


@pytest.mark.parametrize("feed", list(Feed))
def test_fresh_figures_are_not_stale(feed: Feed) -> None:
    assert staleness(LIVE, feed) is None


@pytest.mark.parametrize("feed", list(Feed))
def test_without_a_snapshot_nothing_is_stale_because_nothing_is_shown(feed: Feed) -> None:
    assert staleness(View(NOW, SCREEN, link="refused"), feed) is None


@pytest.mark.parametrize("feed", list(Feed))
def test_a_lost_link_makes_everything_stale_since_it_was_lost(feed: Feed) -> None:
    lost = replace(LIVE, link="refused", lost_at=NOW - 7_000)
    assert staleness(lost, feed) == Staleness(7_000, "no answer from the core")


@pytest.mark.parametrize(("silent", "stale"), [(3_000, False), (3_001, True)])
def test_the_heartbeat_may_be_silent_for_three_seconds(silent: int, stale: bool) -> None:
    view = View(NOW, SCREEN, replace(live_snapshot(), heartbeat_at=NOW - silent))
    assert (staleness(view, Feed.CORE) is not None) is stale


@pytest.mark.parametrize(("over", "stale"), [(0, False), (1, True)])
def test_a_candle_is_late_after_the_limit_the_market_names(over: int, stale: bool) -> None:
    view = aged(STALE_AFTER - 1_200 + over)
    found = staleness(view, Feed.MARKET)
    assert (found is not None) is stale
    assert staleness(view, Feed.CORE) is None


def test_a_finished_replay_is_not_late() -> None:
    view = aged(10 * STALE_AFTER, market=replace(live_snapshot().market, finished=True))
    assert staleness(view, Feed.MARKET) is None


@pytest.mark.parametrize(("over", "stale"), [(0, False), (1, True)])
def test_other_figures_may_be_ninety_seconds_old(over: int, stale: bool) -> None:
    assert (staleness(aged(90_000 - 900 + over), Feed.HEALTH) is not None) is stale
    assert (staleness(aged(90_000 - 400 + over), Feed.TRAINING) is not None) is stale


def test_an_ended_training_does_not_grow_stale() -> None:
    view = aged(10_000_000, training=progress(TrainingState.FINISHED))
    assert staleness(view, Feed.TRAINING) is None


def test_a_clock_that_went_back_gives_no_negative_age() -> None:
    view = View(NOW - 60_000, SCREEN, live_snapshot(), link="gone", lost_at=NOW)
    found = staleness(view, Feed.CORE)
    assert found is not None
    assert found.age == 0


def test_an_own_request_is_shown_until_the_core_shows_the_kill() -> None:
    assert kill_report(LIVE).phase is KillPhase.ARMED
    asked = replace(LIVE, requested=KillKind.HALT, requested_at=NOW)
    assert kill_report(asked).phase is KillPhase.REQUESTED
    assert kill_report(View(NOW, SCREEN, halted_snapshot())).phase is KillPhase.CONFIRMED
