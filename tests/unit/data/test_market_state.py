"""What a decision is taken on: whole, finite, and read only by the normaliser made for it."""

import dataclasses

import numpy as np
import pytest

from adan_core.accounting.account import PORTFOLIO_COLUMNS
from adan_core.data.market_state import EnhancedMarketState
from adan_core.data.normaliser import Normaliser
from adan_core.domain.errors import DataError

STATE = EnhancedMarketState(
    "BTC/USDT",
    1_704_067_200_000,
    ("1h:a", "1h:b"),
    np.array([3.0, -1e9]),
    np.linspace(0.0, 1.0, len(PORTFOLIO_COLUMNS)),
    "this state",
)
NORMALISER = Normaliser(np.array([1.0, 0.0]), np.array([4.0, 1.0]), 0, 1, "data", "this state")


def test_the_observation_is_the_normalised_market_then_the_account() -> None:
    observation = STATE.validate().to_tensor(NORMALISER)
    assert observation.dtype == np.float32
    assert observation.flags.c_contiguous
    assert observation[:2].tolist() == [0.5, -10.0]
    assert observation[2:].tolist() == STATE.portfolio.astype(np.float32).tolist()


def test_a_normaliser_of_another_state_is_refused() -> None:
    with pytest.raises(DataError, match="another state"):
        STATE.to_tensor(dataclasses.replace(NORMALISER, schema_hash="another state"))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    ("part", "name"), [("market", "1h:b"), ("portfolio", PORTFOLIO_COLUMNS[1])]
)
def test_the_first_figure_that_is_none_is_named(part: str, name: str, value: float) -> None:
    values = getattr(STATE, part).copy()
    values[1] = value
    with pytest.raises(DataError, match=f"{name} is {value}"):
        dataclasses.replace(STATE, **{part: values}).validate()


@pytest.mark.parametrize("part", ["market", "portfolio"])
def test_a_column_too_few_is_refused(part: str) -> None:
    with pytest.raises(DataError, match=f"{part} of shape"):
        dataclasses.replace(STATE, **{part: getattr(STATE, part)[:-1]}).validate()
