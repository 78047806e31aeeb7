"""What the panes say: facts that must be on the screen, whatever they look like."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adan_core.domain.alerts import Alert, Severity
from adan_core.domain.health import CacheHealth
from adan_core.domain.market import MarketSource, StreamStatus
from adan_core.domain.snapshot import CoreSnapshot
from adan_core.domain.state import EngineState, KillKind, KillPhase, Mode
from adan_core.domain.training import TrainingState
from adan_tui.layout import LEFT, RIGHT, TABS, make_pane
from adan_tui.lines import Line, Picture
from adan_tui.pane import picture_of
from adan_tui.panes import (
    alerts,
    decisions,
    equity,
    fills,
    header,
    health,
    kill,
    log,
    orders,
    positions,
    regime,
    training,
)
from adan_tui.view import Feed, Trouble, View
from tests.fake_core import (
    NOW,
    SCREEN,
    empty_snapshot,
    gpu,
    halted_snapshot,
    live_snapshot,
    progress,
    waiting_trainings,
)

LIVE = View(NOW, SCREEN, live_snapshot())
EMPTY = View(NOW, SCREEN, empty_snapshot())
HALTED = View(NOW, SCREEN, halted_snapshot())
DRAWS = {
    "alerts": alerts.draw,
    "decisions": decisions.draw,
    "equity": equity.draw,
    "fills": fills.draw,
    "health": health.draw,
    "log": log.draw,
    "orders": orders.draw,
    "positions": positions.draw,
    "regime": regime.draw,
    "training": training.draw,
}


def said(lines: tuple[Line, ...]) -> str:
    return "\n".join("".join(text for text, _ in line) for line in lines)


def told(picture: Picture) -> str:
    return f"{picture.title} {picture.note}\n{said(picture.fixed)}\n{said(picture.rows)}"


def test_every_pane_stands_in_one_column_and_on_one_tab() -> None:
    tabbed = [name for _, names in TABS for name in names]
    assert sorted(tabbed) == sorted((*LEFT, *RIGHT)) == sorted(DRAWS)


@pytest.mark.parametrize("name", list(DRAWS))
def test_an_empty_pane_teaches_in_a_sentence(name: str) -> None:
    picture = DRAWS[name](EMPTY, 70, 10)
    assert said(picture.rows).rstrip().endswith(".")


@pytest.mark.parametrize("name", list(DRAWS))
def test_without_a_core_every_pane_says_what_and_what_to_do(name: str) -> None:
    view = View(NOW, SCREEN, trouble=Trouble("Another core owns this home", "attach to it"))
    picture = picture_of(DRAWS[name], Feed.CORE, view, 70, 10, name)
    assert picture.note == "ERROR"
    assert "Another core owns this home" in said(picture.rows)
    assert "attach to it" in said(picture.rows)


@pytest.mark.parametrize("name", list(DRAWS))
@given(width=st.integers(1, 200), height=st.integers(1, 60))
def test_every_pane_draws_into_any_room(name: str, width: int, height: int) -> None:
    for view in (LIVE, EMPTY, HALTED):
        DRAWS[name](view, width, height)


@given(st.integers(20, 200))
def test_the_header_is_as_wide_as_the_screen(width: int) -> None:
    for view in (LIVE, EMPTY, HALTED, View(NOW, SCREEN), replace(LIVE, link="x" * 300)):
        for line in header.draw(view, width):
            assert sum(len(text) for text, _ in line) == width


@pytest.mark.parametrize("width", [80, 120])
def test_the_header_says_what_must_always_be_seen(width: int) -> None:
    text = said(header.draw(LIVE, width))
    for fact in (
        "PAPER",
        "RUNNING",
        "SIMULATED MARKET",
        "equity 10,228.95 USDT",
        "PnL +228.95 +2.29 %",
        "drawdown 0.69 %",
        "free 7,444.70",
        "positions 2",
        "data 1.2 s",
        "heartbeat 0.2 s",
        "up 01:23:45",
        "UTC",
    ):
        assert fact in text


@pytest.mark.parametrize(
    "source", [MarketSource.SIMULATED, MarketSource.REPLAY, MarketSource.TEST_VENUE]
)
@pytest.mark.parametrize("state", list(EngineState))
@pytest.mark.parametrize("width", [80, 120])
def test_data_that_are_not_live_never_pass_for_live(
    source: MarketSource, state: EngineState, width: int
) -> None:
    core = halted_snapshot()
    snapshot = replace(core, state=state, market=replace(core.market, source=source))
    assert source.value in said(header.draw(View(NOW, SCREEN, snapshot), width))


@pytest.mark.parametrize("width", [80, 120])
def test_an_exchanges_candles_are_said_with_whose_they_are(width: int) -> None:
    market = replace(live_snapshot().market, source=MarketSource.EXCHANGE, venue="binance")
    view = View(NOW, SCREEN, replace(live_snapshot(), market=market))
    assert "EXCHANGE CANDLES binance" in said(header.draw(view, width)).splitlines()[0]
    test = replace(market, source=MarketSource.TEST_VENUE, venue="127.0.0.1:43210")
    view = View(NOW, SCREEN, replace(live_snapshot(), market=test))
    assert "SIMULATED TEST VENUE 127.0.0.1:43210" in said(header.draw(view, width)).splitlines()[0]


def test_a_silent_stream_is_stale_and_a_pause_is_told_with_its_reason() -> None:
    stream = StreamStatus(
        NOW - 60_000, NOW - 31_000, 5_000, "the stream is silent; opening it again"
    )
    market = replace(live_snapshot().market, source=MarketSource.EXCHANGE, stream=stream)
    text = said(header.draw(View(NOW, SCREEN, replace(live_snapshot(), market=market)), 80))
    assert "data STALE 31 s" in text
    assert "PAUSED, nothing is decided: the stream is silent" in text
    speaking = replace(market, stream=replace(stream, heard_at=NOW - 5_000, paused=""))
    text = said(header.draw(View(NOW, SCREEN, replace(live_snapshot(), market=speaking)), 80))
    assert "STALE" not in text
    assert "PAUSED" not in text


@pytest.mark.parametrize("mode", list(Mode))
def test_the_mode_is_said_in_its_own_word(mode: Mode) -> None:
    text = said(header.draw(View(NOW, SCREEN, replace(live_snapshot(), mode=mode)), 80))
    assert f" {mode.value} " in text.splitlines()[0]


def test_a_killed_core_is_halted_in_words_beside_its_mode() -> None:
    text = said(header.draw(HALTED, 80))
    assert "HALTED" in text
    assert "PAPER" in text
    assert "RUNNING" not in text


@pytest.mark.parametrize(
    ("phase", "facts"),
    [
        (KillPhase.REQUESTED, ("HALT REQUESTED", "5.0 s ago")),
        (KillPhase.LATCHED, ("HALT LATCHED", "in 3.0 ms")),
        (KillPhase.CANCELLING, ("HALT CANCELLING", "attempt 1", "0 entry orders left")),
        (KillPhase.RETRYING, ("HALT RETRYING", "attempt 1", "2 protective stops standing")),
        (
            KillPhase.CONFIRMED,
            ("HALT CONFIRMED in 84 ms", "0 entry orders left, 2 protective stops standing", "F8"),
        ),
    ],
)
def test_the_banner_says_how_far_a_kill_has_come(phase: KillPhase, facts: tuple[str, ...]) -> None:
    core = halted_snapshot()
    view = View(NOW, SCREEN, replace(core, kill=replace(core.kill, phase=phase)))
    text = kill.told(view)
    for fact in facts:
        assert fact in text


def test_a_flatten_counts_positions_too() -> None:
    core = halted_snapshot()
    report = replace(core.kill, kind=KillKind.FLATTEN, positions_left=1, entries_left=None)
    text = kill.told(View(NOW, SCREEN, replace(core, kill=report)))
    assert "FLATTEN CONFIRMED" in text
    assert "1 position left" in text
    assert "entry orders left N/A" in text


def test_a_request_that_nobody_answers_says_where_else_to_halt() -> None:
    view = replace(LIVE, requested=KillKind.HALT, requested_at=NOW, link="refused", lost_at=NOW)
    assert "adan-core halt" in kill.told(view)


def test_a_halted_core_that_is_lost_shows_both() -> None:
    view = replace(
        HALTED, link="the socket was closed", lost_at=NOW - 4_000, notice="HALT NOT TAKEN"
    )
    text = said(header.draw(view, 120))
    for fact in ("HALT CONFIRMED", "HALT NOT TAKEN", "NO ANSWER from the core for 4.0 s"):
        assert fact in text


def test_a_bad_configuration_is_said_beside_what_stays_in_force() -> None:
    core = live_snapshot()
    bad = replace(core.configuration, error="risk.stop_lss is unknown")
    text = said(header.draw(View(NOW, SCREEN, replace(core, configuration=bad)), 120))
    assert "risk.stop_lss is unknown" in text
    assert "last good settings stay in force" in text


def test_positions_show_their_protection_and_how_far_it_is() -> None:
    for width in (70, 120):
        text = told(positions.draw(LIVE, width, 10))
        for fact in ("42,110.50", "43,210.10", "40,005.00", "-7.4 %", "+35.30", "none", "3 h 10 m"):
            assert fact in text


def test_cash_and_the_positions_shown_are_the_equity_shown() -> None:
    portfolio = live_snapshot().portfolio
    assert portfolio is not None
    assert portfolio.cash + portfolio.holdings == pytest.approx(portfolio.equity)


def test_a_decision_shows_its_votes_reasons_and_the_limit_that_denied() -> None:
    text = told(decisions.draw(LIVE, 70, 20))
    for fact in ("▲ BUY", "72 %", "intraday wants 100 %", "ADX 31.2", "DENIED", "TOTAL_EXPOSURE"):
        assert fact in text
    assert "82 %, limit 80 %" in text


def test_a_decision_shows_the_risk_mode_and_what_is_given_even_on_a_small_screen() -> None:
    text = " ".join(told(decisions.draw(LIVE, 80, 20)).split())
    assert "mode normal, 93 % given since 01-01 09:10, stop 5.10 %, take-profit 10.40 %" in text
    assert "drawdown 4.1%: size x 0.93" in text


def test_a_roomy_screen_shows_estimates_and_says_which_are_missing() -> None:
    assert "expects +0.42 %, drawdown N/A" in told(decisions.draw(LIVE, 130, 20))


def test_an_unknown_order_is_counted_where_it_cannot_be_overlooked() -> None:
    picture = orders.draw(LIVE, 70, 10)
    assert picture.note == "3 standing, 1 UNKNOWN"


def test_standing_orders_come_before_ended_ones() -> None:
    text = said(orders.draw(LIVE, 70, 10).rows)
    assert text.index("UNKNOWN") < text.index("filled")


@given(st.lists(st.floats(0, 1), min_size=5, max_size=5), st.integers(0, 60))
def test_a_regime_bar_is_shared_out_whole(probabilities: list[float], cells: int) -> None:
    total = sum(probabilities)
    shared = regime.shares(tuple(probabilities), cells)
    assert all(part >= 0 for part in shared)
    if total > 0:
        assert sum(shared) == cells
        for part, probability in zip(shared, probabilities, strict=True):
            assert abs(part - probability / total * cells) <= 1 + 1e-9


def test_a_regime_shows_probabilities_and_drivers() -> None:
    text = told(regime.draw(LIVE, 46, 10))
    for fact in ("trend up", "▲72 ▼3 ─18 ≈6 !1 %", "ADX 31.2", "for 4 h 00 m"):
        assert fact in text


def test_the_worst_unacknowledged_alert_stands_first() -> None:
    ranked = alerts.ranked(live_snapshot().alerts)
    assert [alert.alert_id for alert in ranked] == [3, 2, 1]
    assert "2 to acknowledge" in alerts.draw(LIVE, 60, 5).note


def test_suppressed_repeats_are_counted() -> None:
    again = Alert(9, "X", Severity.INFO, "again", NOW, 4, acknowledged=False)
    view = View(NOW, SCREEN, replace(live_snapshot(), alerts=(again,)))
    assert "(x5)" in told(alerts.draw(view, 60, 5))


@pytest.mark.parametrize("width", [46, 100])
def test_health_says_what_the_cache_has_served_and_how_full_it_is(width: int) -> None:
    text = told(health.draw(LIVE, width, 8))
    assert "12 hits, 3 misses, 1 evicted" in text
    assert "45 MB of 512 MB, disk 180 MB of 4.0 GB" in text
    assert "damaged" not in text
    assert "refused" not in text


def test_health_says_what_is_wrong_with_the_cache() -> None:
    core = live_snapshot()
    assert core.health is not None
    assert core.health.cache is not None
    ill = replace(core.health.cache, damaged=2, failures=5)
    text = told(health.draw(View(NOW, SCREEN, with_cache(ill)), 100, 8))
    assert "2 damaged, 5 refused by the disk" in text
    assert "cache  N/A" in told(health.draw(View(NOW, SCREEN, with_cache(None)), 100, 8))


def with_cache(cache: CacheHealth | None) -> CoreSnapshot:
    core = live_snapshot()
    assert core.health is not None
    return replace(core, health=replace(core.health, cache=cache))


def test_health_names_the_gpu_or_says_why_there_is_none() -> None:
    assert "N/A: no NVIDIA driver" in told(health.draw(LIVE, 60, 6))
    core = live_snapshot()
    assert core.health is not None
    with_gpu = replace(core, health=replace(core.health, gpus=(gpu(),)))
    assert "Fake 4090" in told(health.draw(View(NOW, SCREEN, with_gpu), 90, 6))


def test_training_shows_speed_time_left_deadline_and_whether_it_learns() -> None:
    text = told(training.draw(LIVE, 46, 10))
    for fact in (
        "41 %",
        "412,000 of 1,000,000",
        "41,250 steps/s",
        "ETA 14 s",
        "deadline 9 m 12 s",
        "0.0123",
        "-0.00412",
        "RUNNING",
        "validation  0.0731 at step 409,600",
        "clipped     8.4 %",
        "market      0.00021",
        "costs       -4.3e-05",
        "F7 pauses it",
    ):
        assert fact in text


def test_trainings_that_wait_are_shown_with_their_numbers_right_under_the_one_at_work() -> None:
    core = replace(
        live_snapshot(),
        training=progress(TrainingState.PAUSED),
        training_queue=waiting_trainings(),
    )
    lines = told(training.draw(View(NOW, SCREEN, core), 60, 12)).splitlines()
    assert any("PAUSED" in line for line in lines)
    assert "2 waiting; F4 cancels one" in "\n".join(lines[:6])
    text = "\n".join(lines)
    assert "4: BTC-USDT-1h, 500,000 steps, seed 1" in text
    assert "5: goes on with run-0007, 500,000 steps, seed 2, at most 60…" in text
    assert "3: " not in text
    assert "F7 lets it go on" in text


def test_training_figures_not_known_yet_are_missing_and_its_message_is_said() -> None:
    job = replace(
        progress(TrainingState.PREPARING),
        steps_per_second=None,
        remaining=None,
        deadline_in=None,
        reward=None,
        message="building the environment",
    )
    text = told(training.draw(View(NOW, SCREEN, replace(live_snapshot(), training=job)), 46, 10))
    for fact in ("N/A steps/s", "ETA N/A", "deadline none", "building the environment"):
        assert fact in text


@given(
    st.lists(st.floats(1, 1e6), min_size=2, max_size=400), st.integers(2, 80), st.integers(1, 20)
)
def test_the_curve_fills_its_room_and_hides_no_spike(
    values: list[float], width: int, height: int
) -> None:
    rows = equity.braille(values, width, height)
    assert [len(row) for row in rows] == [width] * height
    spans = equity.ranges(values, 2 * width)
    if len(values) > 2 * width:
        assert max(high for _, high in spans) == max(values)
        assert min(low for low, _ in spans) == min(values)
    # One unbroken line: every column has a dot.
    for column in range(width):
        assert any(row[column] != chr(0x2800) for row in rows)


def test_hostile_words_in_every_field_are_shown_and_do_nothing() -> None:
    evil = "[/x]\x1b]52;c;eA==\x07\u202e[@click=app.exit]"
    core = live_snapshot()
    alert = Alert(1, evil, Severity.CRITICAL, evil, NOW, 0, acknowledged=False)
    spoilt = replace(
        core,
        alerts=(alert,),
        log=tuple(replace(line, event=evil, level=evil) for line in core.log),
        orders=tuple(replace(order, symbol=evil, reason=evil) for order in core.orders),
        state=EngineState.SAFE_MODE,
        state_reason=evil,
    )
    view = View(NOW, SCREEN, spoilt)
    texts = [told(draw(view, 90, 20)) for draw in DRAWS.values()]
    texts.append(said(header.draw(view, 120)))
    for text in texts:
        assert "\x1b" not in text
        assert "\u202e" not in text
    assert "[/x]" in told(alerts.draw(view, 90, 20))


def test_panes_are_made_by_name() -> None:
    assert make_pane("equity").id == "equity"
