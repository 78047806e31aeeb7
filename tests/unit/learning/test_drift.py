"""Drift: what lies outside the training range, and actions that are not those of the judgement."""

import math

import numpy as np
import pytest

from adan_core.config.loading import load_settings
from adan_core.config.locations import locate
from adan_core.config.service_settings import Service
from adan_core.learning.drift import DriftMeter
from adan_core.learning.expectation import MIX_WINDOW, Expectation

SERVICE: Service = load_settings(locate(None, {"ADAN_HOME": "/nonexistent"})).settings.service
HALF = Expectation(
    candles=10_000,
    floors=((250, -0.1),),
    max_drawdown=0.2,
    mix=((0.0, 0.5), (1.0, 0.5)),
    mix_distance=0.1,
    entropy=math.log(2.0),
)
CALM = np.zeros(20, dtype=np.float32)
WILD = np.where(np.arange(20) < 2, 9.0, 0.0).astype(np.float32)
"""One column in ten beyond the limit: more than the share that makes an observation outside."""


def played(meter: DriftMeter, count: int, *, wild: float = 0.0, wants: float = 0.5) -> None:
    """Let so many decisions in: a share of them on wild markets, a share of them long."""
    for number in range(count):
        observed = WILD if (number * 0.6180339887) % 1.0 < wild else CALM
        meter.saw("BTC/SIM", observed, float((number * 0.7548776662) % 1.0 < wants))


def test_nothing_is_said_before_enough_was_seen() -> None:
    meter = DriftMeter(HALF, SERVICE, 1)
    played(meter, MIX_WINDOW - 1, wild=1.0, wants=1.0)
    reading = meter.reading()
    assert (reading.observations, reading.outside, reading.mix_distance) == (999, None, None)
    assert reading.mix_limit == SERVICE.mix_distance


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_share_outside_the_training_range_is_measured(share: float) -> None:
    meter = DriftMeter(HALF, SERVICE, 1)
    played(meter, MIX_WINDOW, wild=share)
    assert meter.reading().outside == pytest.approx(share, abs=0.01)


def test_a_market_that_changed_is_noticed_and_forgotten_again() -> None:
    meter = DriftMeter(HALF, SERVICE, 1)
    played(meter, MIX_WINDOW)
    played(meter, MIX_WINDOW, wild=1.0)
    outside = meter.reading().outside
    assert outside == pytest.approx(1.0 - math.exp(-1.0), abs=0.01)
    played(meter, 5 * MIX_WINDOW)
    assert meter.reading().outside == pytest.approx(0.0, abs=0.01)


@pytest.mark.parametrize(("wants", "distance"), [(0.5, 0.0), (0.9, 0.4), (0.0, 0.5)])
def test_actions_are_held_against_the_judgement_s(wants: float, distance: float) -> None:
    meter = DriftMeter(HALF, SERVICE, 1)
    played(meter, MIX_WINDOW, wants=wants)
    reading = meter.reading()
    assert reading.mix_distance == pytest.approx(distance, abs=0.01)
    share = max(wants, 1.0 - wants)
    entropy = -sum(part * math.log(part) for part in (share, 1.0 - share) if part)
    assert reading.entropy == pytest.approx(entropy, abs=0.02)
    assert reading.judged_entropy == math.log(2.0)


def test_staying_counts_as_what_was_asked_for_last_and_the_unheard_of_as_neither() -> None:
    meter = DriftMeter(HALF, SERVICE, 1)
    meter.saw("BTC/SIM", CALM, 1.0)
    for _ in range(MIX_WINDOW - 1):
        meter.saw("BTC/SIM", CALM, math.nan)
    assert meter.reading().mix_distance == pytest.approx(0.5)
    odd = DriftMeter(HALF, SERVICE, 1)
    for _ in range(MIX_WINDOW):
        odd.saw("BTC/SIM", CALM, 0.3)
    assert odd.reading().mix_distance == pytest.approx(1.0)


def test_each_symbol_lengthens_the_memory() -> None:
    meter = DriftMeter(HALF, SERVICE, 2)
    played(meter, MIX_WINDOW)
    assert meter.reading().outside is None
    played(meter, MIX_WINDOW)
    assert meter.reading().outside is not None


def test_its_own_restlessness_in_the_judgement_widens_the_limit() -> None:
    restless = Expectation(10, ((250, -0.1),), 0.2, ((0.0, 1.0),), 0.8, 0.0)
    assert DriftMeter(restless, SERVICE, 1).reading().mix_limit == 0.8


def test_without_a_judgement_only_the_range_is_known() -> None:
    meter = DriftMeter(None, SERVICE, 1)
    played(meter, MIX_WINDOW, wild=1.0)
    reading = meter.reading()
    assert reading.outside == pytest.approx(1.0)
    assert (reading.mix_distance, reading.mix_limit, reading.judged_entropy) == (None, None, None)


def test_its_memory_goes_on_to_the_same_figures() -> None:
    through, stopped = DriftMeter(HALF, SERVICE, 1), DriftMeter(HALF, SERVICE, 1)
    for meter in (through, stopped):
        played(meter, 700, wild=0.4, wants=0.8)
    again = DriftMeter(HALF, SERVICE, 1)
    again.restore(stopped.memory())
    for meter in (through, again):
        meter.saw("BTC/SIM", CALM, math.nan)
        played(meter, 700, wild=0.1)
    assert through.reading() == again.reading()
