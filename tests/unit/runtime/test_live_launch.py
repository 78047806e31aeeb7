"""On an exchange's candles: who may decide, whose books are whose, and what limits are counted from."""

from dataclasses import replace
from pathlib import Path

import pytest

from adan_core.config.loading import load_settings
from adan_core.config.locations import locate
from adan_core.data.live_venue import VenueName
from adan_core.domain.candles import Timeframe
from adan_core.domain.errors import InvalidSettings, ModelError
from adan_core.domain.market import MarketSource, StreamStatus
from adan_core.domain.state import Mode
from adan_core.domain.time import MINUTE, SECOND
from adan_core.learning.bundle import seal_model
from adan_core.learning.registry import ModelRegistry
from adan_core.runtime.assembly import doubt_limits, live_limits, plan_market
from adan_core.runtime.choice import choose_live_model
from adan_core.runtime.launch import account_places
from tests.unit.learning.test_registry import (
    FEATURES,
    KEY,
    NORMALISER,
    SCHEMA,
    TRUSTED,
    card,
    weights,
)

BINANCE = VenueName("binance", None)
TEST = VenueName("binance", "http://127.0.0.1:9000")
LIVE = (
    "market.source=exchange",
    "exchange.name=binance",
    "market.symbols=[BTC/USDT]",
    "account.quote=USDT",
)


def registry(folder: Path, shipped: Path, *models: tuple[str, bool]) -> ModelRegistry:
    for model_id, synthetic in models:
        made = replace(card(model_id), synthetic=synthetic, trained_on="candles")
        seal_model(folder, made, [weights()], NORMALISER, FEATURES, KEY)
    return ModelRegistry(folder, shipped, TRUSTED)


def test_the_only_model_trained_on_real_candles_decides(tmp_path: Path) -> None:
    models = registry(tmp_path / "m", tmp_path / "s", ("real", False), ("made", True))
    assert choose_live_model(models, None, BINANCE, SCHEMA).model_id == "real"


def test_of_several_one_must_be_named(tmp_path: Path) -> None:
    models = registry(tmp_path / "m", tmp_path / "s", ("one", False), ("two", False))
    with pytest.raises(ModelError, match=r"2 models could decide.*one, named with --model") as told:
        choose_live_model(models, None, BINANCE, SCHEMA)
    assert set(told.value.remedy.split(", ")) == {"one", "two"}
    assert choose_live_model(models, "two", BINANCE, SCHEMA).model_id == "two"


def test_one_made_for_the_simulated_market_is_refused_with_a_remedy(tmp_path: Path) -> None:
    registry(tmp_path / "s", tmp_path / "none", ("shipped", True))
    models = registry(tmp_path / "m", tmp_path / "s", ("made", True))
    with pytest.raises(ModelError, match=r"no model was trained on real candles") as told:
        choose_live_model(models, None, BINANCE, SCHEMA)
    assert "shipped (made for the simulated market)" in told.value.found
    assert "made (synthetic candles)" in told.value.found
    assert "adan-core data download" in told.value.remedy
    for model_id in ("shipped", "made"):
        with pytest.raises(ModelError, match="was trained on synthetic candles"):
            choose_live_model(models, model_id, BINANCE, SCHEMA)


def test_on_a_test_venue_any_model_may_be_tried_if_it_is_named(tmp_path: Path) -> None:
    models = registry(tmp_path / "m", tmp_path / "s", ("made", True))
    assert choose_live_model(models, "made", TEST, SCHEMA).model_id == "made"
    with pytest.raises(ModelError, match="no model was trained on real candles"):
        choose_live_model(models, None, TEST, SCHEMA)


def test_a_model_of_another_state_is_never_chosen(tmp_path: Path) -> None:
    models = registry(tmp_path / "m", tmp_path / "s", ("real", False))
    with pytest.raises(ModelError, match=r"real \(model real reads state"):
        choose_live_model(models, None, BINANCE, "another")


def test_each_exchange_and_currency_has_an_account_of_its_own(tmp_path: Path) -> None:
    locations = locate(tmp_path, {})
    settings = load_settings(locations, LIVE).settings
    plan = plan_market(settings, Mode.PAPER, None, locations)
    assert plan.source is MarketSource.EXCHANGE
    simulated = account_places(locations, replace(plan, venue=None), "SIM")
    places = [
        account_places(locations, plan, "USDT"),
        account_places(locations, plan, "USDC"),
        account_places(locations, replace(plan, venue=TEST), "USDT"),
        simulated,
    ]
    assert len({one.journal for one in places}) == len({one.exchange for one in places}) == 4
    assert simulated.journal == locations.journal
    assert places[2].journal.name == "journal-test-binance-USDT.sqlite"


def test_a_pinned_address_is_a_test_venue_everywhere_it_is_named(tmp_path: Path) -> None:
    locations = locate(tmp_path, {})
    words = (*LIVE, "exchange.base_url=http://127.0.0.1:9000")
    plan = plan_market(load_settings(locations, words).settings, Mode.PAPER, None, locations)
    assert plan.source is MarketSource.TEST_VENUE
    assert "SIMULATED" in plan.source
    assert plan.venue is not None
    assert plan.venue.shown == "127.0.0.1:9000"
    assert plan.venue.dataset("BTC/USDT", Timeframe.parse("5m")) == "test-binance-BTC-USDT-5m"
    assert BINANCE.dataset("BTC/USDT", Timeframe.parse("5m")) == "binance-BTC-USDT-5m"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("exchange.name=null", "exchange.name must name one"),
        ("account.quote=EUR", "must be quoted in account.quote EUR"),
        ("exchange.second=binance", "second must be another source"),
        ("exchange.deviation_warning=0.2", "must lie below deviation_reducing"),
        ("staleness.stream_silent=31.0", "must not exceed stream_reconnect"),
    ],
)
def test_settings_that_contradict_themselves_are_refused(
    tmp_path: Path, change: str, told: str
) -> None:
    with pytest.raises(InvalidSettings, match=told):
        load_settings(locate(tmp_path, {}), (*LIVE, change))


@pytest.mark.parametrize(
    ("timeframe", "late"), [("1m", 30 * SECOND), ("5m", 30 * SECOND), ("1h", 6 * MINUTE)]
)
def test_the_limits_are_those_of_the_table(tmp_path: Path, timeframe: str, late: int) -> None:
    """5 s, 30 s, and max(30 s, 10 % of the timeframe): requirements § 3."""
    settings = load_settings(locate(tmp_path, {}), LIVE).settings
    limits = live_limits(settings, Timeframe.parse(timeframe))
    assert (limits.silent_after, limits.reconnect_after) == (5 * SECOND, 30 * SECOND)
    assert limits.late_after == late
    doubt = doubt_limits(settings)
    assert (doubt.warning, doubt.reducing) == (0.05, 0.10)


def test_a_stream_is_silent_from_its_last_word_or_its_beginning() -> None:
    stream = StreamStatus(1_000, None, 5_000, "")
    assert stream.silence(6_000) is None
    assert stream.silence(6_001) == 5_001
    assert replace(stream, heard_at=4_000).silence(9_000) is None
    assert replace(stream, heard_at=4_000).silence(9_001) == 5_001
