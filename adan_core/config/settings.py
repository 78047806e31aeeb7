"""Every setting ADAN knows, its type, its bounds and when a change of it takes effect.

The models carry no defaults: those are written once, with their reasons, in ``configs/adan.yaml``.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, PlainSerializer, PlainValidator, model_validator

from adan_core.config.algorithm_settings import Algorithm
from adan_core.config.behaviour_settings import Behaviour
from adan_core.config.candle_checks import Validation
from adan_core.config.compute_settings import Compute
from adan_core.config.environment_settings import Playing
from adan_core.config.gate_settings import Gates
from adan_core.config.judgement_settings import Judgement
from adan_core.config.policy import Applies, Limit, Section
from adan_core.config.profile_settings import Profiles, Voting
from adan_core.config.reward_settings import Reward
from adan_core.config.risk_tiers import Fraction, Tier, check_bounds
from adan_core.config.service_settings import Service
from adan_core.config.tuning_settings import Tuning
from adan_core.domain.candles import Timeframe
from adan_core.domain.errors import DataError

NOW, WHEN_FLAT, RESTART = Applies.NOW, Applies.WHEN_FLAT, Applies.RESTART
LIMIT = Limit()
_MEGABYTE = 1024 * 1024


def _timeframe(value: object) -> Timeframe:
    if isinstance(value, Timeframe):
        return value
    if not isinstance(value, str):
        raise ValueError(f"a timeframe such as 5m, 1h or 1d, not {value!r}")  # noqa: TRY004 (pydantic's own)
    try:
        return Timeframe.parse(value)
    except DataError as error:
        raise ValueError(str(error)) from error


def _symbol(value: str) -> str:
    base, slash, quote = value.partition("/")
    if not (slash and base and quote) or value != value.upper() or quote.count("/"):
        raise ValueError(f"a symbol such as BTC/SIM, not {value!r}")
    return value


def _unique(values: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(values)) != len(values):
        raise ValueError("each symbol once")
    return values


def _absolute(value: str) -> str:
    if not Path(value).is_absolute():
        raise ValueError(f"an absolute path, not {value!r}")
    return value


AbsolutePath = Annotated[str, AfterValidator(_absolute)]
TimeframeField = Annotated[Timeframe, PlainValidator(_timeframe), PlainSerializer(str)]
Symbol = Annotated[str, AfterValidator(_symbol)]
Rate = Annotated[float, Field(ge=0.0, lt=0.5)]
Positive = Annotated[float, Field(gt=0.0)]
Percent = Annotated[float, Field(gt=0.0, le=100.0)]
Count = Annotated[int, Field(ge=1)]


class Market(Section):
    """Where candles come from."""

    source: Annotated[Literal["simulated", "dataset", "exchange"], RESTART]
    symbols: Annotated[tuple[Symbol, ...], Field(min_length=1), AfterValidator(_unique), RESTART]
    timeframe: Annotated[TimeframeField, RESTART]
    seed: Annotated[int, Field(ge=0), RESTART]
    candle_seconds: Annotated[Positive, RESTART]
    dataset: Annotated[str | None, RESTART]


class Exchange(Section):
    """Whose candles are traded on with source exchange, and how far two sources may be apart."""

    name: Annotated[str | None, RESTART]
    base_url: Annotated[str | None, RESTART]
    second: Annotated[str | None, RESTART]
    second_base_url: Annotated[str | None, RESTART]
    first_candles: Annotated[Count, RESTART]
    close_grace: Annotated[float, Field(ge=0.0, le=60.0), NOW]
    deviation_warning: Annotated[Positive, NOW]
    deviation_reducing: Annotated[Positive, NOW, LIMIT]
    agreeing_candles: Annotated[Count, NOW, Limit(larger=False)]

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if self.deviation_warning >= self.deviation_reducing:
            raise ValueError(
                f"deviation_warning {self.deviation_warning:g} must lie below deviation_reducing "
                f"{self.deviation_reducing:g}"
            )
        if self.second is not None and (self.second, self.second_base_url) == (
            self.name,
            self.base_url,
        ):
            raise ValueError(f"second must be another source than {self.name} itself")
        return self


class Account(Section):
    """The paper account."""

    quote: Annotated[str, Field(min_length=1), RESTART]
    starting_capital: Annotated[Positive, RESTART]
    short: Annotated[bool, RESTART]


class CostRates(Section):
    """What a simulated fill costs, as fractions of its notional."""

    fee_rate: Annotated[Rate, WHEN_FLAT]
    slippage_rate: Annotated[Rate, WHEN_FLAT]
    funding_rate: Annotated[float, Field(gt=-0.5, lt=0.5), WHEN_FLAT]


class Risk(Section):
    """The hard limits below the agent."""

    stop_loss: Annotated[float, Field(ge=0.005, le=0.20), NOW, LIMIT]
    take_profit: Annotated[float, Field(ge=0.01, le=0.50), NOW]
    rebalance_band: Annotated[Fraction, NOW]
    price_collar: Annotated[Fraction, NOW, LIMIT]
    max_order_notional: Annotated[Positive, NOW, LIMIT]
    max_orders_per_minute: Annotated[Count, NOW, LIMIT]
    tiers: Annotated[tuple[Tier, ...], AfterValidator(check_bounds), NOW, LIMIT]


class Learning(Playing):
    """How the agent is trained; a change takes effect with the next training run."""

    algorithm: Algorithm
    copies: Annotated[Count, NOW]
    steps_per_copy: Annotated[Count, NOW]
    batch_size: Annotated[Count, NOW]
    epochs: Annotated[Count, NOW]
    learning_rate: Annotated[Positive, NOW]
    gamma: Annotated[float, Field(ge=0.0, lt=1.0), NOW]
    gae_lambda: Annotated[float, Field(ge=0.0, le=1.0), NOW]
    entropy: Annotated[float, Field(ge=0.0), NOW]
    episode_length: Annotated[Count, NOW]
    exposures: Annotated[tuple[float, ...], Field(min_length=2), NOW]
    exposure_cap: Annotated[Fraction, NOW]
    train_fraction: Annotated[Fraction, NOW]
    validation_fraction: Annotated[Fraction, NOW]
    steps: Annotated[Count, NOW]
    checkpoint_seconds: Annotated[Positive, NOW]
    early_stop_validations: Annotated[Count | None, NOW]
    threads: Annotated[Count, NOW]

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if sorted(set(self.exposures)) != list(self.exposures):
            raise ValueError(f"exposures must ascend, each once; found {list(self.exposures)}")
        if self.exposures[0] < -1.0 or 0.0 not in self.exposures or self.exposures[-1] != 1.0:
            raise ValueError(
                "exposures must hold 0.0 (flat) and end with 1.0 (the full cap); shorts go down to "
                f"-1.0; found {list(self.exposures)}"
            )
        if (self.algorithm.name == "SAC") != (self.action == "continuous"):
            raise ValueError(
                f"algorithm.name {self.algorithm.name} cannot take {self.action} actions: SAC learns "
                "continuous ones, every other algorithm discrete ones; set action, too"
            )
        if self.batch_size > self.copies * self.steps_per_copy:
            raise ValueError(
                f"batch_size {self.batch_size} must not exceed copies x steps_per_copy = "
                f"{self.copies * self.steps_per_copy}"
            )
        if self.train_fraction + self.validation_fraction >= 1.0:
            raise ValueError(
                "train_fraction + validation_fraction must leave a part for the test; found "
                f"{self.train_fraction + self.validation_fraction:g}"
            )
        return self

    @property
    def smallest_exposure(self) -> float:
        """The smallest share of a position cap the agent can ask for."""
        if self.action == "continuous":
            return self.dead_band
        return min(abs(share) for share in self.exposures if share != 0.0)


class RuleOverrides(Section):
    """One symbol's rules where they differ from the defaults (null: they do not)."""

    lot_step: Positive | None = None
    tick_size: Positive | None = None
    minimum_quantity: Positive | None = None
    minimum_notional: Positive | None = None


class Rules(Section):
    """What simulated venues ask of an order."""

    lot_step: Annotated[Positive, RESTART]
    tick_size: Annotated[Positive, RESTART]
    minimum_quantity: Annotated[Positive, RESTART]
    minimum_notional: Annotated[Positive, RESTART]
    symbols: Annotated[dict[Symbol, RuleOverrides], RESTART]


class Monitoring(Section):
    """Health readings and alerts."""

    health_seconds: Annotated[float, Field(ge=1.0), NOW]
    no_answer_seconds: Annotated[Positive, NOW]
    memory_warning: Annotated[Percent, NOW]
    memory_critical: Annotated[Percent, NOW]
    disk_warning: Annotated[Percent, NOW]
    disk_critical: Annotated[Percent, NOW]
    alert_cooldown: Annotated[float, Field(ge=0.0), NOW]
    alert_history: Annotated[int, Field(ge=10, le=100_000), NOW]

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        for name in ("memory", "disk"):
            warning, critical = getattr(self, f"{name}_warning"), getattr(self, f"{name}_critical")
            if warning >= critical:
                raise ValueError(
                    f"{name}_warning {warning:g} must lie below {name}_critical {critical:g}"
                )
        return self


class Cache(Section):
    """How much of what was computed from candles is kept; 0 keeps nothing there."""

    memory_megabytes: Annotated[int, Field(ge=0), NOW]
    disk_megabytes: Annotated[int, Field(ge=0), NOW]

    @property
    def memory_bytes(self) -> int:
        """The bound of each process's memory."""
        return self.memory_megabytes * _MEGABYTE

    @property
    def disk_bytes(self) -> int:
        """The bound of the folder all processes share."""
        return self.disk_megabytes * _MEGABYTE


class Staleness(Section):
    """From which age a figure counts as stale, in seconds."""

    heartbeat: Annotated[Positive, NOW]
    other_minimum: Annotated[Positive, NOW]
    other_cadences: Annotated[Positive, NOW]
    candle_grace_seconds: Annotated[Positive, NOW]
    candle_grace_fraction: Annotated[Positive, NOW]
    stream_silent: Annotated[Positive, NOW]
    stream_reconnect: Annotated[Positive, NOW]

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if self.stream_silent > self.stream_reconnect:
            raise ValueError(
                f"stream_silent {self.stream_silent:g} must not exceed stream_reconnect "
                f"{self.stream_reconnect:g}"
            )
        return self


class Screen(Section):
    """The operator's screen."""

    theme: Annotated[str, Field(min_length=1), NOW]
    refresh_hertz: Annotated[float, Field(ge=0.5, le=10.0), NOW]
    plot_hertz: Annotated[float, Field(ge=0.1, le=1.0), NOW]
    time_zone: Annotated[Literal["UTC", "local"], NOW]


class Settings(Section):
    """All settings of one core, validated as a whole."""

    schema_version: Annotated[Literal[1], RESTART]
    market: Market
    exchange: Exchange
    ladders: Annotated[dict[TimeframeField, tuple[TimeframeField, ...]], RESTART]
    features: Annotated[str, RESTART]
    external: Annotated[dict[str, AbsolutePath], RESTART]
    account: Account
    costs: CostRates
    risk: Risk
    behaviour: Behaviour
    learning: Learning
    reward: Reward
    compute: Compute
    profiles: Profiles
    voting: Voting
    judgement: Judgement
    tuning: Tuning
    gates: Gates
    service: Service
    rules: Rules
    monitoring: Monitoring
    cache: Cache
    staleness: Staleness
    validation: Validation
    screen: Screen

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        for base, ladder in self.ladders.items():
            if not ladder or ladder[0] != base or list(ladder) != sorted(set(ladder)):
                raise ValueError(
                    f"ladders: the ladder of {base} must begin with {base} and ascend, each once; "
                    f"found {[str(step) for step in ladder]}"
                )
            for step in ladder:
                if step.duration % base.duration:
                    raise ValueError(f"ladders: {step} is no whole number of {base} candles")
        if self.market.timeframe not in self.ladders:
            raise ValueError(
                f"market.timeframe {self.market.timeframe} has no ladder; ladders exist for "
                + ", ".join(str(base) for base in self.ladders)
            )
        if self.market.source == "dataset" and self.market.dataset is None:
            raise ValueError("market.source is dataset, so market.dataset must name one")
        if self.market.source == "exchange" and self.exchange.name is None:
            raise ValueError("market.source is exchange, so exchange.name must name one")
        if self.market.source != "dataset":
            for symbol in self.market.symbols:
                if symbol.partition("/")[2] != self.account.quote:
                    raise ValueError(
                        f"market.symbols: {symbol} must be quoted in account.quote "
                        f"{self.account.quote}"
                    )
        return self

    @model_validator(mode="after")
    def _positions_can_be_held(self) -> Self:
        if not self.account.short and self.learning.exposures[0] < 0.0:
            raise ValueError(
                f"learning.exposures: {self.learning.exposures[0]:g} is a short; account.short must be "
                "true for that"
            )
        if not self.account.short and self.costs.funding_rate != 0.0:
            raise ValueError(
                f"costs.funding_rate {self.costs.funding_rate:g}: spot positions pay none; "
                "account.short must be true for that"
            )
        round_trip = 2 * (self.costs.fee_rate + self.costs.slippage_rate)
        for tier in self.risk.tiers:
            loss = tier.position_cap * (self.risk.stop_loss + round_trip)
            if loss > tier.risk_per_trade + 1e-9:
                raise ValueError(
                    f"risk.tiers: a full position of tier {tier.name} stopped out loses "
                    f"position_cap x (stop_loss + costs of both sides) = {loss:.5f} of equity, more "
                    f"than its risk_per_trade {tier.risk_per_trade:g}"
                )
        return self
