"""Comparing figures with printed ones: the digits a table shows are the tolerance."""

from collections.abc import Sequence

import numpy as np

from tests.unit.indicators.market import Columns, Floats

# Two orders of summation in double precision differ by less than this share of a column's scale;
# a table that prints more digits prints its own rounding.
_ROUNDING = 1e-12


def assert_digits(ours: Floats, printed: Sequence[str], half_units: float = 1.0) -> None:
    """Assert that ``ours`` are the printed numbers, to half a unit of each one's last place."""
    assert len(ours) == len(printed)
    theirs = numbers(printed)
    places = np.array([len(text.strip().partition(".")[2]) for text in printed])
    tolerance = np.maximum(
        half_units * (0.5 + 1e-6) * 10.0**-places, _ROUNDING * np.abs(theirs).max()
    )
    wrong = ~(np.abs(ours - theirs) <= tolerance)
    assert not wrong.any(), list(
        zip(np.flatnonzero(wrong), ours[wrong], theirs[wrong], strict=True)
    )


def numbers(printed: Sequence[str]) -> Floats:
    """Return printed numbers; NaN for an empty cell."""
    return np.array([float(text) if text.strip() else np.nan for text in printed])


def market(**printed: Sequence[str]) -> Columns:
    """Return the candles of printed columns; a column that is not given is 1."""
    count = len(next(iter(printed.values())))
    return Columns(
        *(numbers(printed[name]) if name in printed else np.ones(count) for name in Columns._fields)
    )


def preceded(candles: Columns, count: int) -> Columns:
    """Return the candles after ``count`` still ones at the first close.

    A recurrence that is seeded with a mean is then seeded with the first value, and the first
    candle has a true range: its own.
    """
    return Columns(
        *(
            np.concatenate([np.full(count, _at_rest(candles, name)), getattr(candles, name)])
            for name in Columns._fields
        )
    )


def _at_rest(candles: Columns, name: str) -> float:
    return float(candles.volume[0] if name == "volume" else candles.close[0])
