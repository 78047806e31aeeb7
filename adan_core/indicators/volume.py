"""Indicators of volume: how much is traded, at which prices and on which side."""

import numpy as np

from adan_core.accounting.compiled import compiled_inline
from adan_core.indicators.bar import Bar, Floats, Parameters, or_zero, typical_price
from adan_core.indicators.windows import sum_step, sums_step


@compiled_inline
def volume_balance(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Volume against its mean: their difference over their sum, -1-1."""
    mean = sum_step(state, parameters[0], bar.volume) / parameters[0]
    return or_zero(bar.volume - mean, bar.volume + mean)


@compiled_inline
def _signed(change: float, amount: float) -> float:
    """``amount`` with the sign of ``change``; 0 where nothing changed."""
    # Two choices of a value instead of branches, half of which would be guessed wrong.
    gained = amount if change > 0.0 else 0.0
    lost = amount if change < 0.0 else 0.0
    return gained - lost


@compiled_inline
def on_balance_volume(state: Floats, _parameters: Parameters, bar: Bar) -> float:
    """Volume of rising less that of falling closes since the first candle, which counts 0 (OBV)."""
    if state[0] != 0.0:
        state[1] += _signed(bar.close - state[0], bar.volume)
    state[0] = bar.close
    return float(state[1])


@compiled_inline
def on_balance_share(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Volume of rising less that of falling closes as a share of all of it, -1-1."""
    previous = state[0]
    state[0] = bar.close
    if previous == 0.0:
        return np.nan
    signed = _signed(bar.close - previous, bar.volume)
    balance, total = sums_step(state[1:], parameters[0], signed, bar.volume)
    return or_zero(balance, total)


@compiled_inline
def money_flow_index(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Money of rising typical prices as a share of rising and falling, 0-100; 50 for none (MFI)."""
    price = typical_price(bar)
    previous = state[0]
    state[0] = price
    if previous == 0.0:
        return np.nan
    flow = _signed(price - previous, price * bar.volume)
    balance, total = sums_step(state[1:], parameters[0], flow, abs(flow))
    return 50.0 + 50.0 * or_zero(balance, total)


@compiled_inline
def volume_weighted_mean(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Mean of the last typical prices by volume; the last one where nothing traded (VWAP)."""
    price = typical_price(bar)
    money, volume = sums_step(state, parameters[0], price * bar.volume, bar.volume)
    return price if volume == 0.0 else money / volume


@compiled_inline
def volume_weighted_distance(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Logarithm of the close over the last typical prices' mean by volume."""
    return float(np.log(bar.close / volume_weighted_mean(state, parameters, bar)))


@compiled_inline
def volume_weighted_mean_to_date(state: Floats, _parameters: Parameters, bar: Bar) -> float:
    """Mean of all typical prices since the first candle by volume (cumulative VWAP)."""
    price = typical_price(bar)
    state[0] += price * bar.volume
    state[1] += bar.volume
    return price if state[1] == 0.0 else float(state[0] / state[1])
