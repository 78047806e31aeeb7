"""A model of four members decides in the engine exactly as in a backtest, and its votes are kept."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from adan_core.accounting.account import PORTFOLIO_COLUMNS
from adan_core.config.loading import load_settings
from adan_core.config.locations import locate
from adan_core.config.profile_settings import PROFILES
from adan_core.data.features import FeatureSet
from adan_core.data.normaliser import Normaliser
from adan_core.data.series import CandleSeries, concatenate
from adan_core.data.state import build_frame
from adan_core.data.synthetic import SimulatedMarket
from adan_core.domain.candles import Timeframe
from adan_core.domain.decisions import Decision, PolicyOutput, confidence_of
from adan_core.domain.time import Milliseconds
from adan_core.learning.backtest import run_policy
from adan_core.learning.bundle import MODEL_SCHEMA_VERSION, ModelCard, ServiceModel
from adan_core.learning.ensemble import EnsemblePolicy
from adan_core.learning.market import economics, feature_set, segment
from adan_core.learning.regime_features import WARM_UP
from tests.engine_bench import EngineBench
from tests.members import RULES, member_card, reader

pytestmark = pytest.mark.slow

TIMEFRAME = Timeframe.parse("5m")
LADDER = ("5m", "1h", "4h")
READS = ("5m:mean_distance_12", "5m:mean_distance_24", "5m:mean_distance_96", "1h:return_1")
ONE_TIER = """
account: {quote: SIM}
market: {symbols: [BTC/SIM]}
risk:
  max_order_notional: 1.0e9
  max_orders_per_minute: 1000000
  price_collar: 0.9
  tiers:
    - {name: all, lower: 0.5, upper: null, total_exposure: 0.9, position_cap: 0.9,
       positions: 1, risk_per_trade: 0.99, daily_loss: 0.99, max_drawdown: 0.99}
rules: {minimum_notional: 0.1}
"""


def four(normaliser: Normaliser, spec: FeatureSet) -> ServiceModel:
    """A model whose members each follow another column, so that they often disagree."""
    columns = spec.columns(tuple(Timeframe.parse(text) for text in LADDER))
    inputs = len(columns) + len(PORTFOLIO_COLUMNS)
    members = tuple(
        reader(
            replace(member_card(name, horizon), stop_loss=0.01 * (place + 1)),
            columns.index(READS[place]),
            inputs,
            gain=2.0,
        )
        for place, (name, horizon) in enumerate(zip(PROFILES, (4, 8, 24, 48), strict=True))
    )
    card = ModelCard(
        schema_version=MODEL_SCHEMA_VERSION,
        model_id="four",
        created_at=0,
        trained_on="nothing",
        synthetic=True,
        ladder=LADDER,
        feature_schema_hash=normaliser.schema_hash,
        data=(),
        members=tuple(member.card for member in members),
        rules=RULES,
        library_versions={},
        parent=None,
    )
    return ServiceModel(card, members, normaliser, spec, "test", None)


class Kept:
    """A policy, and all that it answered."""

    def __init__(self, policy: EnsemblePolicy) -> None:
        self._policy = policy
        self.answers: list[PolicyOutput] = []

    def decide(
        self,
        symbol: str,
        close_time: Milliseconds,
        close: float,
        observation: NDArray[np.float32],
        regime: int,
    ) -> PolicyOutput:
        self.answers.append(self._policy.decide(symbol, close_time, close, observation, regime))
        return self.answers[-1]


def market() -> CandleSeries:
    """Candles with an outage: longer than three of the horizons, shorter than the fourth."""
    whole = SimulatedMarket("BTC/SIM", TIMEFRAME, 11).candles(0, 1_730)
    return concatenate((whole.slice(0, 1_560), whole.slice(1_590, 1_730)))


def decided(bench: EngineBench) -> list[Decision]:
    return list(reversed(bench.parts.journal.history.decisions(100_000)))


def test_engine_and_backtest_decide_the_same_and_every_vote_is_kept(tmp_path: Path) -> None:
    series = market()
    bench = EngineBench.build(tmp_path, series, lambda _: 0.0, ONE_TIER, model=four)

    async def trade() -> list[Decision]:
        await bench.begin()
        await bench.play()
        made = decided(bench)
        await bench.close()
        return made

    made = asyncio.run(trade())
    locations = locate(tmp_path, {})
    settings = load_settings(locations).settings
    spec = feature_set(settings, locations)
    frame = build_frame(series, settings.ladders[TIMEFRAME], spec)
    model = four(Normaliser.fit(frame, 0, len(series), series.content_hash), spec)
    costs = replace(economics(settings, series.symbol), tiered=True)
    first = max(frame.ready, WARM_UP)
    part = segment(series, frame, model.normaliser, costs, first, len(series))
    kept = Kept(model.open_policy())
    run = run_policy(
        series.slice(first, len(series)), part, kept, settings.account.starting_capital
    )

    # The last close is decided on by the engine alone: no candle follows it in a backtest.
    assert len(made) == len(kept.answers) + 1
    for decision, answer in zip(made, kept.answers, strict=False):
        action = decision.action
        assert action.votes == answer.votes
        assert action.abstained == answer.abstained
        assert action.confidence == answer.confidence == confidence_of(action.votes)
        assert answer.abstained or action.target_exposure == answer.target_exposure
        assert action.expected_return == answer.expected_return
    assert bench.equity[-1] == pytest.approx(run.equity[-1], rel=1e-9)
    weights = {vote.weight for vote in made[-1].action.votes}
    assert len(weights) > 1  # they have adapted on the way
    abstained = [decision for decision in made if decision.action.abstained]
    assert abstained
    assert all(not decision.order_ids for decision in abstained)
    assert "the members disagree" in abstained[0].action.reasoning[0]
    agreed = next(decision for decision in made if not decision.action.abstained)
    assert " of 4 members, " in agreed.action.reasoning[0]
    assert len(run.trades) > 5


def test_a_restart_votes_with_the_weights_it_had(tmp_path: Path) -> None:
    series = market()

    async def trade(*counts: int | None) -> list[Decision]:
        """Play in as many lives as there are counts, on the same books."""
        made: list[Decision] = []
        for count in counts:
            bench = EngineBench.build(
                tmp_path, series, lambda _: 0.0, ONE_TIER, f"books {len(counts)}", model=four
            )
            await bench.begin()
            await bench.play(count)
            made = decided(bench)
            await bench.close()
        return made

    whole = asyncio.run(trade(None))
    resumed = asyncio.run(trade(1_450, None))
    assert [one.action.votes for one in resumed] == [one.action.votes for one in whole]
    assert [one.observation_hash for one in resumed] == [one.observation_hash for one in whole]


def test_the_memory_of_another_model_is_not_taken_over(tmp_path: Path) -> None:
    """The checkpoint names whose memory it is; a new model begins with its own calibration."""
    series = market()

    def other(normaliser: Normaliser, spec: FeatureSet) -> ServiceModel:
        model = four(normaliser, spec)
        return replace(model, card=replace(model.card, model_id="other"))

    async def trade() -> Mapping[str, Any]:
        first = EngineBench.build(tmp_path, series, lambda _: 0.0, ONE_TIER, model=four)
        await first.begin()
        await first.play(1_450)
        await first.close()
        second = EngineBench.build(tmp_path, series, lambda _: 0.0, ONE_TIER, model=other)
        await second.begin()
        await second.play(1)
        newest = decided(second)[-1]
        await second.close()
        return {vote.member: vote.weight for vote in newest.action.votes}

    assert asyncio.run(trade()) == pytest.approx(dict.fromkeys(PROFILES, 0.25))
