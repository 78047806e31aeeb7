"""Numbers as exchanges write them: decimal text, never an exponent, never fewer digits than held."""

import numpy as np

_DECIMALS = 8


def decimal_text(value: float) -> str:
    """Return ``value`` with eight decimals, or with as many as it takes to read it back exactly."""
    text = f"{value:.{_DECIMALS}f}"
    if float(text) == value:
        return text
    return np.format_float_positional(value, min_digits=_DECIMALS)


def short_text(value: float) -> str:
    """Return ``value`` with no more digits than it takes to read it back exactly."""
    return np.format_float_positional(value, trim="-")
