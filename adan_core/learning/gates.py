"""Promotion gates: what a model must have shown out of sample before it may go into service."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from adan_core.config.gate_settings import Gates

GATES_SCHEMA_VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class GateFigures:
    """What was measured of a model out of sample; None is N/A, and ``unavailable`` says why.

    ``seeds``: how many seeds of the same recipe were judged. ``excess_over_flat`` and
    ``excess_over_buy_and_hold``: the median seed's net log-return minus the strategy's, both after
    doubled fees. ``max_drawdown``: the median seed's, a fraction of the peak. ``deflated_sharpe``:
    the probability that the true Sharpe ratio is above what the best of all trials would show by
    chance (Bailey & Lopez de Prado 2014). ``trades``: closed round trips of the median seed.
    ``largest_share``: share of the commonest exposure among its decisions; ``saturated``: whether
    that is no decision any more. ``leakcheck_clean``: whether the leak check found nothing on
    these very features and candles. ``paper_days``: market time it has decided on paper, in days.
    """

    seeds: int | None = None
    excess_over_flat: float | None = None
    excess_over_buy_and_hold: float | None = None
    max_drawdown: float | None = None
    deflated_sharpe: float | None = None
    trades: int | None = None
    largest_share: float | None = None
    saturated: bool | None = None
    leakcheck_clean: bool | None = None
    paper_days: float | None = None
    unavailable: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate: the figure found, the limit it was held to, and why it did not pass (empty: it did)."""

    name: str
    figure: str
    limit: str
    passed: bool
    reason: str


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """Every gate, judged; the model passes only if each does."""

    schema_version: int
    passed: bool
    gates: tuple[Gate, ...]

    @property
    def failed(self) -> tuple[Gate, ...]:
        """The gates that said no."""
        return tuple(gate for gate in self.gates if not gate.passed)


def judge_gates(figures: GateFigures, settings: Gates, *, for_live: bool = False) -> GateVerdict:
    """Hold ``figures`` to the gates; ``for_live`` asks for the days on paper, too."""
    gates = tuple(_gates(figures, settings, for_live))
    return GateVerdict(GATES_SCHEMA_VERSION, all(gate.passed for gate in gates), gates)


def _gates(figures: GateFigures, settings: Gates, for_live: bool) -> Iterator[Gate]:
    why = figures.unavailable
    yield _at_least("seeds judged", figures.seeds, settings.minimum_seeds, "d", why.get("seeds"))
    for name, excess, key in (
        ("beats flat after doubled fees", figures.excess_over_flat, "excess_over_flat"),
        (
            "beats buy and hold after doubled fees",
            figures.excess_over_buy_and_hold,
            "excess_over_buy_and_hold",
        ),
    ):
        yield _gate(
            name,
            None if excess is None else f"{excess:+.4f}",
            f"above {settings.minimum_excess:+.4f}",
            excess is not None and excess > settings.minimum_excess,
            why.get(key),
        )
    drawdown = figures.max_drawdown
    yield _gate(
        "drawdown",
        None if drawdown is None else f"{drawdown:.2%}",
        f"below {settings.maximum_drawdown:.2%}",
        drawdown is not None and drawdown < settings.maximum_drawdown,
        why.get("max_drawdown"),
    )
    sharpe = figures.deflated_sharpe
    yield _gate(
        "deflated Sharpe ratio",
        None if sharpe is None else f"{sharpe:.3f}",
        f"above {settings.minimum_deflated_sharpe:.3f}",
        sharpe is not None and sharpe > settings.minimum_deflated_sharpe,
        why.get("deflated_sharpe"),
    )
    yield _at_least("trades", figures.trades, settings.minimum_trades, "d", why.get("trades"))
    share = figures.largest_share
    yield _gate(
        "decides (is not saturated)",
        None if share is None else f"{share:.1%} the same exposure",
        "not saturated",
        figures.saturated is False,
        why.get("saturated"),
        "it is saturated: it does not decide" if figures.saturated else "it was not measured",
    )
    yield _gate(
        "leak check",
        {True: "clean", False: "leaks", None: None}[figures.leakcheck_clean],
        "clean",
        figures.leakcheck_clean is True,
        why.get("leakcheck_clean"),
    )
    if for_live:
        yield _at_least(
            "days on paper",
            figures.paper_days,
            settings.minimum_paper_days,
            ".1f",
            why.get("paper_days"),
        )


def _at_least(name: str, found: float | None, limit: float, form: str, why: str | None) -> Gate:
    return _gate(
        name,
        None if found is None else format(found, form),
        f"at least {limit:g}",
        found is not None and found >= limit,
        why,
    )


def _gate(
    name: str, found: str | None, limit: str, passed: bool, why: str | None, otherwise: str = ""
) -> Gate:
    """Return one gate; ``why`` says why its figure is unknown, ``otherwise`` why a known one fails."""
    # A figure that is not known proves nothing, whatever else is claimed.
    passed = passed and found is not None
    if passed:
        reason = ""
    elif found is None:
        reason = why or "it was not measured"
    else:
        reason = otherwise or f"{found}, not {limit}"
    return Gate(name, "N/A" if found is None else found, limit, passed, reason)
