"""A small market with holes and a small feature set, for tests of the leak checker."""

import dataclasses
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from adan_core.config.settings import Settings
from adan_core.data.external import ExternalColumn, ExternalData
from adan_core.data.features import Feature, FeatureSet
from adan_core.data.series import CandleSeries
from adan_core.data.split import Split, split_by_fractions
from adan_core.data.state import StateFrame
from adan_core.domain.candles import Timeframe
from adan_core.domain.time import HOUR
from adan_core.learning.leakcheck import LeakReport, check
from adan_core.learning.leakcheck_changes import History
from adan_core.learning.leakcheck_instants import Instant
from adan_core.learning.leakcheck_stages import Pipeline, program_pipeline

Floats = NDArray[np.float64]

LADDER = tuple(Timeframe.parse(text) for text in ("5m", "15m", "1h"))
STEP = LADDER[0].duration
SPEC = FeatureSet(
    2,
    "small",
    (2, 1, 1),
    (
        Feature("return", "log_return", (1,), (0, 1, 2)),
        Feature("mean", "mean_distance", (6,), (0, 1)),
        Feature("strength", "strength_balance", (3,), (0, 2)),
        Feature("volume", "volume_balance", (4,), (0,)),
    ),
    (ExternalColumn("mood", 24 * HOUR),),
)


def market(seed: int, count: int, holes: int = 3) -> History:
    """Five-minute candles with a few gaps, and a mood that is known every fifty minutes or so."""
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.standard_normal(count) * 0.01))
    open_price = np.concatenate([[100.0], close[:-1]])
    spread = 1.0 + np.abs(rng.standard_normal((2, count))) * 0.01
    present = np.ones(count, dtype=np.bool_)
    for start in rng.integers(count // 3, count - 20, holes):
        present[start : start + int(rng.integers(1, 15))] = False
    series = CandleSeries(
        symbol="BTC/SIM",
        timeframe=LADDER[0],
        open_time=(np.arange(count) * STEP)[present],
        open=open_price[present],
        high=(np.maximum(open_price, close) * spread[0])[present],
        low=(np.minimum(open_price, close) / spread[1])[present],
        close=close[present],
        volume=rng.lognormal(0.0, 1.0, count)[present],
        synthetic=True,
    )
    known_at = np.cumsum(rng.integers(1, 20, count // 10)) * STEP + 17
    return History(
        series, {"mood": ExternalData("mood", known_at, rng.standard_normal(count // 10))}
    )


def split_of(history: History) -> Split:
    """Return the parts that training makes of it."""
    return split_by_fractions(history.series, 0.7, 0.1)


def small_pipeline(settings: Settings) -> Pipeline:
    """Return the program's own stages over the small feature set."""
    return program_pipeline(settings, "BTC/SIM", LADDER, SPEC, None)


def in_column(
    pipeline: Pipeline, place: int, leak: Callable[[CandleSeries, Floats], Floats]
) -> Pipeline:
    """Return ``pipeline`` with ``leak`` in one column of its state."""

    def state(history: History) -> StateFrame:
        frame = pipeline.state(history)
        market = frame.market.copy()
        market[:, place] = leak(history.series, market[:, place])
        return dataclasses.replace(frame, market=market)

    return dataclasses.replace(pipeline, state=state)


def checked(pipeline: Pipeline, history: History, *bars: int) -> LeakReport:
    """Return what the checker finds at ``bars``."""
    instants = [Instant(bar, "asked for") for bar in bars]
    return check(pipeline, history, LADDER, split_of(history), instants, 0, lambda _share: None)
