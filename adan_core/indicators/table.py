"""The table of indicators: what each is called, takes and remembers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from adan_core.indicators import momentum, trend, volatility, volume
from adan_core.indicators.bar import Bar, Floats, Parameters

Step = Callable[[Floats, Parameters, Bar], float]


@dataclass(frozen=True, slots=True)
class Indicator:
    """One entry of the table.

    ``memory`` says how long its state is: a fixed size, then for each parameter how many times it.
    """

    step: Step
    parameters: tuple[str, ...] = ("period",)
    memory: tuple[int, ...] = (0,)

    def state_size(self, values: Sequence[float]) -> int:
        """Return the length of its state with these parameters."""
        fixed, *rings = self.memory
        return fixed + sum(
            times * int(value) for times, value in zip(rings, values, strict=False) if times
        )

    @property
    def description(self) -> str:
        """What it is, in one line, with the field's acronym in brackets."""
        return str(self.step.__doc__).rstrip(".")


_CONVERGENCE = ("fast", "slow", "signal")
_BANDS = ("period", "deviations")
_PARABOLA = ("acceleration", "maximum")
# All other parameters count candles.
REAL_PARAMETERS = frozenset({"deviations", "acceleration", "maximum"})

# A program's codes are positions in this table.
INDICATORS: dict[str, Indicator] = {
    # Means and trend
    "simple_mean": Indicator(trend.simple_mean, memory=(2, 1)),
    "exponential_mean": Indicator(trend.exponential_mean, memory=(3,)),
    "weighted_mean": Indicator(trend.weighted_mean, memory=(3, 2)),
    "mean_distance": Indicator(trend.mean_distance, memory=(3,)),
    "convergence_line": Indicator(trend.convergence_line, _CONVERGENCE[:2], (10,)),
    "convergence_signal": Indicator(trend.convergence_signal, _CONVERGENCE, (10,)),
    "convergence_histogram": Indicator(trend.convergence_histogram, _CONVERGENCE, (10,)),
    "convergence_share": Indicator(trend.convergence_share, _CONVERGENCE, (10,)),
    "upward_direction": Indicator(trend.upward_direction, memory=(7,)),
    "downward_direction": Indicator(trend.downward_direction, memory=(7,)),
    "direction": Indicator(trend.direction, memory=(7,)),
    "directional_index": Indicator(trend.directional_index, memory=(9,)),
    "trend_strength": Indicator(trend.trend_strength, memory=(9,)),
    "parabolic_stop": Indicator(trend.parabolic_stop, _PARABOLA, (7,)),
    "parabolic_distance": Indicator(trend.parabolic_distance, _PARABOLA, (7,)),
    # Momentum
    "log_return": Indicator(momentum.log_return, ("lag",), (1, 1)),
    "rate_of_change": Indicator(momentum.rate_of_change, ("lag",), (1, 1)),
    "relative_strength": Indicator(momentum.relative_strength, memory=(8,)),
    "strength_balance": Indicator(momentum.strength_balance, memory=(8,)),
    "strength_stochastic": Indicator(
        momentum.strength_stochastic, ("period", "window"), (11, 0, 2)
    ),
    "strength_stochastic_mean": Indicator(
        momentum.strength_stochastic_mean, ("period", "window", "smoothing"), (13, 0, 2, 1)
    ),
    "stochastic": Indicator(momentum.stochastic, memory=(3, 2)),
    "stochastic_mean": Indicator(momentum.stochastic_mean, ("period", "smoothing"), (5, 2, 1)),
    "stochastic_signal": Indicator(
        momentum.stochastic_signal, ("period", "smoothing", "signal"), (7, 2, 1, 1)
    ),
    "williams_range": Indicator(momentum.williams_range, memory=(3, 2)),
    "range_position": Indicator(momentum.range_position, memory=(3, 2)),
    "commodity_channel": Indicator(momentum.commodity_channel, memory=(1, 1)),
    "candle_body": Indicator(momentum.candle_body, ()),
    # Volatility
    "deviation": Indicator(volatility.deviation, memory=(4, 2)),
    "upper_band": Indicator(volatility.upper_band, _BANDS, (4, 2)),
    "lower_band": Indicator(volatility.lower_band, _BANDS, (4, 2)),
    "band_width": Indicator(volatility.band_width, _BANDS, (4, 2)),
    "band_share": Indicator(volatility.band_share, _BANDS, (4, 2)),
    "band_position": Indicator(volatility.band_position, memory=(4, 2)),
    "true_range": Indicator(volatility.true_range, (), (2,)),
    "average_true_range": Indicator(volatility.average_true_range, memory=(5,)),
    "true_range_share": Indicator(volatility.true_range_share, memory=(5,)),
    "channel_high": Indicator(volatility.channel_high, memory=(3, 2)),
    "channel_low": Indicator(volatility.channel_low, memory=(3, 2)),
    "channel_middle": Indicator(volatility.channel_middle, memory=(3, 2)),
    "channel_width": Indicator(volatility.channel_width, memory=(3, 2)),
    "volatility": Indicator(volatility.volatility, memory=(5, 2)),
    "volatility_ratio": Indicator(volatility.volatility_ratio, ("short", "long"), (9, 2, 2)),
    # Volume
    "volume_balance": Indicator(volume.volume_balance, memory=(2, 1)),
    "on_balance_volume": Indicator(volume.on_balance_volume, (), (2,)),
    "on_balance_share": Indicator(volume.on_balance_share, memory=(4, 2)),
    "money_flow_index": Indicator(volume.money_flow_index, memory=(4, 2)),
    "volume_weighted_mean": Indicator(volume.volume_weighted_mean, memory=(3, 2)),
    "volume_weighted_distance": Indicator(volume.volume_weighted_distance, memory=(3, 2)),
    "volume_weighted_mean_to_date": Indicator(volume.volume_weighted_mean_to_date, (), (2,)),
}
