"""The table of indicators: what each is called, takes and remembers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from adan_core.indicators import momentum, trend, volatility, volume
from adan_core.indicators.bar import Bar, Floats, Parameters

Step = Callable[[Floats, Parameters, Bar], float]


@dataclass(frozen=True, slots=True)
class Indicator:
    """One entry of the table: its step, its parameters' names, and how much state it needs."""

    step: Step
    parameters: tuple[str, ...]
    state_size: Callable[[Sequence[float]], int]


def _fixed(size: int) -> Callable[[Sequence[float]], int]:
    return lambda _parameters: size


def _ring(fixed: int, rings: int = 1) -> Callable[[Sequence[float]], int]:
    return lambda parameters: fixed + rings * int(parameters[0])


# A program's codes are positions in this table.
INDICATORS: dict[str, Indicator] = {
    "exponential_mean": Indicator(trend.exponential_mean, ("period",), _fixed(3)),
    "simple_mean": Indicator(trend.simple_mean, ("period",), _ring(2)),
    "deviation": Indicator(volatility.deviation, ("period",), _ring(4, 2)),
    "relative_strength": Indicator(momentum.relative_strength, ("period",), _fixed(8)),
    "average_true_range": Indicator(volatility.average_true_range, ("period",), _fixed(5)),
    "directional_index": Indicator(trend.directional_index, ("period",), _fixed(9)),
    "convergence_histogram": Indicator(
        trend.convergence_histogram, ("fast", "slow", "signal"), _fixed(10)
    ),
    "log_return": Indicator(momentum.log_return, ("lag",), _ring(1)),
    "mean_distance": Indicator(trend.mean_distance, ("period",), _fixed(3)),
    "strength_balance": Indicator(momentum.strength_balance, ("period",), _fixed(8)),
    "true_range_share": Indicator(volatility.true_range_share, ("period",), _fixed(5)),
    "trend_strength": Indicator(trend.trend_strength, ("period",), _fixed(9)),
    "direction": Indicator(trend.direction, ("period",), _fixed(9)),
    "convergence_share": Indicator(trend.convergence_share, ("fast", "slow", "signal"), _fixed(10)),
    "band_position": Indicator(volatility.band_position, ("period",), _ring(4, 2)),
    "volatility": Indicator(volatility.volatility, ("period",), _ring(5, 2)),
    "volatility_ratio": Indicator(
        volatility.volatility_ratio,
        ("short", "long"),
        lambda parameters: 10 + 2 * int(parameters[0]) + 2 * int(parameters[1]),
    ),
    "range_position": Indicator(momentum.range_position, ("period",), _ring(3, 2)),
    "volume_balance": Indicator(volume.volume_balance, ("period",), _ring(2)),
    "candle_body": Indicator(momentum.candle_body, (), _fixed(0)),
}
